use std::rc::Rc;

use abide::prelude::*;

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Account {
    #[serde(skip)]
    shared: Rc<u8>,
}

#[operations]
impl Account {
    pub fn deposit(&mut self, cents: i64) -> i64 {
        cents
    }
}

fn main() {}
