use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Generic<T> {
    value: T,
}

#[operations]
impl<T> Generic<T> {}

#[operations]
impl Generic<i64> {}

#[operations]
impl dyn ToString {}

#[derive(Entity)]
union Overlay {
    whole: u32,
    parts: [u8; 4],
}

struct Plain;

#[operations]
impl Plain {
    pub fn touch(&mut self) {}
}

fn main() {}
