//! Entities, an activity and an orchestration with typed errors.
#![deny(warnings)]

use abide::prelude::*;

#[derive(Default, Deserialize, Entity, Serialize)]
struct Account {
    cents: i64,
}

#[operations]
impl Account {
    pub fn deposit(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }

    pub fn withdraw(&mut self, cents: i64) -> Result<i64, Overdrawn> {
        if self.cents < cents {
            return Err(Overdrawn {
                short_by: cents - self.cents,
            });
        }
        self.cents -= cents;
        Ok(self.cents)
    }
}

#[derive(Default, Deserialize, Entity, Serialize)]
struct Audit {
    lines: Vec<String>,
}

#[operations]
impl Audit {
    pub fn noted(&mut self, who: &str, what: &str) {
        self.lines.push(format!("{who} {what}"));
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("short by {short_by}")]
struct Overdrawn {
    short_by: i64,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("declined")]
struct ChargeError;

#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
enum TransferError {
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error(transparent)]
    Runtime(#[from] CallError),
}

#[derive(Serialize, Deserialize)]
struct Transfer {
    from: String,
    to: String,
    cents: i64,
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    key: String,
}

#[activity]
async fn charge_card(ctx: ActivityContext, cents: i64) -> Result<Receipt, ChargeError> {
    if cents < 0 {
        return Err(ChargeError);
    }
    Ok(Receipt {
        key: ctx.idempotency_key().to_owned(),
    })
}

#[orchestration]
async fn transfer(ctx: OrchestrationContext, t: Transfer) -> Result<Receipt, TransferError> {
    let (from, to) = (ctx.entity::<Account>(&t.from), ctx.entity::<Account>(&t.to));
    let lock = ctx.lock_entities((&from, &to)).await?;
    from.withdraw(t.cents).await?;
    to.deposit(t.cents).await?;
    drop(lock);
    ctx.entity::<Audit>("main").noted(&t.from, "sent").signal();
    Ok(ctx.call_activity::<charge_card>(t.cents).await?)
}

#[orchestration]
async fn daily(ctx: OrchestrationContext, day: u64) -> Result<(), Failure> {
    let next = Transfer {
        from: ctx.new_guid().to_string(),
        to: ctx.random().next_u64().to_string(),
        cents: 1,
    };
    ctx.call_sub_orchestration::<transfer>(next).await?;
    ctx.create_timer(std::time::Duration::from_secs(60)).await;
    ctx.continue_as_new(day + 1).await
}

fn main() {
    let _ = Hub::builder("data")
        .entity::<Account>()
        .entity::<Audit>()
        .activity::<charge_card>()
        .orchestration::<transfer>()
        .orchestration::<daily>();
}
