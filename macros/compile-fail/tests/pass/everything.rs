//! Every documented form of an entity, in a crate that denies the lints that users deny.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, non_ascii_idents, unsafe_code, unused_lifetimes, let_underscore_drop)]

use std::time::{Duration, SystemTime};

use abide::prelude::*;

/// The money of one owner.
#[derive(Clone, Debug, Default, Deserialize, Entity, Serialize)]
pub struct Account {
    cents: i64,
}

/// The account does not cover the amount.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("short by {short_by}")]
pub struct Overdrawn {
    short_by: i64,
}

/// A type with a name that an expansion could use itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Caller;

#[operations]
impl Account {
    /// Adds money.
    pub fn deposit(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }

    /// Withdraws money.
    pub fn withdraw(&mut self, cents: i64) -> Result<i64, Overdrawn> {
        if self.cents < cents {
            return Err(Overdrawn {
                short_by: cents - self.cents,
            });
        }
        self.cents -= cents;
        Ok(self.cents)
    }

    /// Returns the balance.
    pub fn balance(&self) -> i64 {
        self.cents
    }

    /// Closes the account.
    pub fn close(&mut self, ctx: &mut EntityContext) {
        ctx.entity::<Audit>("main").noted(ctx.key(), "closed").signal();
        ctx.entity::<Audit>("main").noted(ctx.key(), "late").signal_after(Duration::from_secs(1));
        ctx.entity::<Audit>("main")
            .noted(ctx.key(), "later")
            .timer_id("later")
            .signal_at(ctx.now() + Duration::from_secs(2));
        ctx.entity::<Audit>("main").cancel_signal("later");
        ctx.delete_state();
    }

    /// Collects money from external sources.
    pub async fn collect(&mut self, ctx: &mut EntityContext, from: &[String]) -> Result<usize, Failure> {
        let audit = ctx.entity::<Audit>("main");
        std::future::ready(ctx.idempotency_key()).await;
        for name in from {
            audit.noted(name, "asked").signal();
            self.cents += name.parse::<i64>()?;
        }
        Ok(from.len())
    }

    /// Takes arguments in every form.
    #[operation(name = "take-all")]
    pub fn take_all(
        &mut self,
        mut value: u8,
        text: &str,
        slice: &[Overdrawn],
        reference: &Option<Overdrawn>,
        other: &Self,
        caller: Caller,
        #[serde(default, alias = "old")] r#type: Vec<Self>,
        ctx: &mut EntityContext,
    ) -> Option<Self> {
        value += 1;
        drop((text, slice, reference, caller, r#type, ctx.now(), value));
        Some(other.clone())
    }

    /// An operation of an older version.
    #[deprecated = "use `deposit`"]
    pub fn add(&mut self, cents: i64) {
        self.deposit(cents);
    }

    #[cfg(any())]
    pub fn not_there(&mut self, cents: NotThere) {}

    /// Reads the context.
    pub fn seen(&self, ctx: &ReadContext) -> (String, SystemTime) {
        (ctx.id().to_string(), self.helper(ctx))
    }

    fn helper(&self, ctx: &ReadContext) -> SystemTime {
        ctx.now()
    }

    pub(crate) fn consumed(self) -> i64 {
        self.cents
    }

    /// Not an operation: it has no receiver.
    pub fn with(cents: i64) -> Self {
        Self { cents }
    }
}

/// A log of actions.
#[derive(Debug, Default, Deserialize, Entity, Serialize)]
pub struct Audit {
    lines: Vec<String>,
}

#[operations]
impl Audit {
    /// Adds a line.
    pub fn noted(&mut self, who: &str, what: &str) {
        self.lines.push(format!("{who} {what}"));
    }

    /// Replaces the built-in `delete`.
    pub fn delete(&mut self, why: String) -> String {
        why
    }
}

/// An enum as a state.
#[derive(Debug, Deserialize, Entity, Serialize)]
#[entity(name = "Lamp", init = Switch::broken)]
pub enum Switch {
    /// The lamp is on.
    On,
    /// The lamp is broken.
    Broken(String),
}

impl Switch {
    fn broken(key: &str) -> Self {
        Self::Broken(key.to_owned())
    }
}

#[operations]
impl Switch {
    /// Switches the lamp on.
    pub fn on(&mut self) {
        *self = Self::On;
    }
}

fn main() {
    let mut account = Account::default();
    account.deposit(5);
    assert!(account.withdraw(6).is_err());
    assert_eq!(account.balance(), Account::with(5).consumed());
    assert!(matches!(Switch::broken("a"), Switch::Broken(_)));
}
