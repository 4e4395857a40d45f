use abide::prelude::*;

struct Pool;

mod own {
    #[derive(abide::prelude::Serialize, abide::prelude::Deserialize)]
    pub struct Resource<T>(T);
}

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[operations]
impl Account {
    pub fn seen(&self, ctx: &ReadContext) {
        ctx.resource::<Pool>();
    }
}

#[orchestration]
async fn replayed(ctx: OrchestrationContext) {
    ctx.resource::<Pool>();
}

#[activity]
async fn named_alike(pool: own::Resource<u8>) {}

#[activity]
async fn not_shared(pool: Resource<std::rc::Rc<u8>>) {}

fn main() {}
