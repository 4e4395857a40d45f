use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Audit;

#[operations]
impl Audit {
    pub fn passed_on(&mut self, ctx: &mut EntityContext, price: f64, name: Option<String>) {
        ctx.entity::<Audit>(price).passed_on(0.0, None).signal();
        ctx.entity::<Audit>(name).passed_on(0.0, None).signal();
        ctx.entity::<Audit>(&("a", 1)).passed_on(0.0, None).signal();
        ctx.entity::<String>("main");
    }
}

fn main() {}
