use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account {
    #[entity(name = "amount")]
    cents: i64,
}

#[derive(Entity, Default, Serialize, Deserialize)]
struct Safe;

#[operations]
impl Safe {
    #[operation(name = "one")]
    pub const ONE: i64 = 1;

    #[operation(name = "new")]
    pub fn new() -> Self {
        Self
    }

    #[operation(name = "help")]
    fn help(&self, #[serde(default)] cents: i64) -> i64 {
        cents
    }

    pub fn renamed(&mut self, #[serde(with = "module")] cents: i64, #[cfg(unix)] unix: i64) {
        let _ = (cents, unix);
    }
}

#[operations]
struct NotAnImpl;

#[operations]
impl Clone for Safe {
    fn clone(&self) -> Self {
        Self
    }
}

#[operations(name = "safe")]
impl Account {}

fn main() {}
