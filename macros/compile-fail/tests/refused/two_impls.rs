use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[operations]
impl Account {
    pub fn open(&mut self) {}
}

#[operations]
impl Account {
    pub fn close(&mut self) {}
}

fn main() {}
