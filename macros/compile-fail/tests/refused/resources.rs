use abide::prelude::*;

struct Pool;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[operations]
impl Account {
    pub fn read(&self, pool: Resource<Pool>) {}

    pub fn write(&mut self, pool: Resource<Pool>, ctx: &mut EntityContext) -> bool {
        ctx.resource::<Pool>().is_ok()
    }

    pub fn seen(&self, ctx: &ReadContext) {
        ctx.resource::<Pool>();
    }

    pub async fn borrowed(&mut self, pool: &Resource<Pool>, #[serde(default)] other: Resource<Pool>) {}
}

#[activity]
async fn borrows(pool: &Resource<Pool>) {}

#[orchestration]
async fn replayed(ctx: OrchestrationContext, pool: Resource<Pool>) {}

fn main() {}
