use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account {
    cents: i64,
}

mod other {
    pub struct ReadContext;
}

#[operations]
impl Account {
    pub fn changes_argument(&mut self, cents: &mut i64) {
        *cents = self.cents;
    }

    pub fn foreign_context(&self, ctx: &other::ReadContext) {
        let _ = ctx;
    }
}

fn main() {}
