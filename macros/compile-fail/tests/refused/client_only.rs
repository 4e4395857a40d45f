use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Audit;

#[operations]
impl Audit {
    pub fn noted(&mut self) {}

    pub fn passed_on(&mut self, ctx: &mut EntityContext) {
        let audit = ctx.entity::<Audit>("main");
        audit.noted().request_id("once").signal();
        audit.noted().refuse_when_full().signal();
        let _ = audit.state();
    }
}

fn main() {}
