//! A crate that uses `abide` through another path.

mod framework {
    pub mod inner {
        pub use ::abide::*;
    }
}

mod abide {}

use framework::inner::prelude::*;

type Result<T, E = Failure> = std::result::Result<T, E>;

#[derive(Default, Deserialize, Entity, Serialize)]
#[entity(crate = crate::framework::inner)]
struct Account {
    cents: i64,
}

#[operations(crate = crate::framework::inner)]
impl Account {
    pub fn deposit(&mut self, cents: i64, #[serde(default)] note: &str, ctx: &mut EntityContext) -> Result<i64> {
        let _ = (note, ctx.key());
        self.cents += cents;
        Ok(self.cents)
    }

    pub async fn collect(&mut self) -> std::result::Result<(), NoError> {
        Ok(())
    }

    pub fn seen(&self, ctx: &ReadContext) -> Result<()> {
        let _ = ctx.now();
        Ok(())
    }
}

#[activity(crate = crate::framework::inner, timeout = "1s", retry(max_attempts = 2))]
async fn parse(ctx: ActivityContext, text: String) -> Result<i64> {
    drop(ctx);
    Ok(text.parse()?)
}

#[orchestration(crate = framework::inner)]
async fn forward(ctx: OrchestrationContext, text: String) -> String {
    drop(ctx);
    text
}

#[derive(Debug, thiserror::Error, FromCallError)]
#[from_call_error(crate = crate::framework::inner)]
enum TransferError {
    #[error(transparent)]
    Number(#[from] std::num::ParseIntError),
    #[error(transparent)]
    Runtime {
        #[from]
        error: CallError,
    },
}

fn main() {
    assert!(Account::default().deposit_twice(2).is_ok());
    let _ = (parse, forward);
}

impl Account {
    fn deposit_twice(&mut self, cents: i64) -> std::result::Result<i64, TransferError> {
        self.cents += 2 * cents;
        Ok(self.cents)
    }
}
