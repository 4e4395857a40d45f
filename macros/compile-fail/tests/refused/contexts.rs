use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account {
    cents: i64,
}

#[operations]
impl Account {
    pub fn shared(&mut self, ctx: &EntityContext) {
        let _ = ctx;
    }

    pub fn owned(&mut self, ctx: EntityContext) {
        let _ = ctx;
    }

    pub fn reads_in_write(&mut self, ctx: &ReadContext) {
        let _ = ctx;
    }

    pub fn writes_in_read(&self, ctx: &mut EntityContext) {
        let _ = ctx;
    }

    pub fn changes_argument_in_read(&self, cents: &mut i64) {
        *cents = self.cents;
    }

    pub fn two(&mut self, ctx: &mut EntityContext, other: &mut EntityContext) {
        let _ = (ctx, other);
    }

    pub fn stored(&mut self, #[serde(default)] ctx: &mut EntityContext) {
        let _ = ctx;
    }
}

fn main() {}
