use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Audit;

#[operations]
impl Audit {
    pub fn noted(&mut self, what: &str) {
        let _ = what;
    }
}

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[operations]
impl Account {
    pub fn close(&mut self, ctx: &mut EntityContext) {
        ctx.entity::<Audit>("main").noted("closed").await;
    }
}

fn main() {}
