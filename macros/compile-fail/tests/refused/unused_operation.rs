#![deny(unused_must_use)]

use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Audit;

#[operations]
impl Audit {
    pub fn noted(&mut self) {}

    pub fn passed_on(&mut self, ctx: &mut EntityContext) {
        ctx.entity::<Audit>("main").noted();
        ctx.entity::<Audit>("main").noted().timer_id("tea");
    }
}

fn main() {}
