use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Audit;

#[operations]
impl Audit {
    pub fn noted(&mut self) {}
}

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[operations]
impl Account {
    pub async fn close(&mut self, ctx: &mut EntityContext) {
        let audit = ctx.entity::<Audit>("main");
        let _ = tokio::join!(audit.noted(), audit.noted());
    }
}

fn main() {}
