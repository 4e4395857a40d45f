//! What the worker's hub holds: entities that write down what happens to them.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use abide::prelude::*;

use crate::LANES;

/// What every account begins with.
pub(crate) const START_CENTS: i64 = 1_000;

/// Writes down what it is told, by sender.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) notes: BTreeMap<String, Vec<u64>>,
    pub(crate) early: u64,
}

impl Journal {
    /// How much a client had written down.
    pub(crate) fn written(&self) -> usize {
        self.notes.get("client").map_or(0, Vec::len)
    }
}

#[operations]
impl Journal {
    pub fn note(&mut self, source: &str, n: u64) -> usize {
        let notes = self.notes.entry(source.to_owned()).or_default();
        notes.push(n);
        notes.len()
    }

    pub fn note_late(&mut self, ctx: &mut EntityContext, n: u64, due_ms: u64) {
        self.early += u64::from(ctx.now() < UNIX_EPOCH + Duration::from_millis(due_ms));
        self.note("client", n);
    }

    pub async fn note_slowly(&mut self, n: u64) -> usize {
        for _ in 0..n % 4 {
            tokio::task::yield_now().await;
        }
        self.note("client", n)
    }
}

/// Tells journals of other partitions, by turns, how often it was asked to.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Relay {
    sent: u64,
}

#[operations]
impl Relay {
    pub fn forward(&mut self, ctx: &mut EntityContext) -> u64 {
        let inbox = format!("inbox-{}", self.sent % LANES as u64);
        ctx.entity::<Journal>(inbox).note(ctx.key(), self.sent).signal();
        self.sent += 1;
        self.sent
    }
}

#[derive(Entity, Clone, Serialize, Deserialize)]
#[entity(init = Account::opened)]
pub(crate) struct Account {
    pub(crate) cents: i64,
    pub(crate) payments: u64,
}

impl Account {
    fn opened(_key: &str) -> Self {
        Self {
            cents: START_CENTS,
            payments: 0,
        }
    }
}

#[operations]
impl Account {
    pub fn pay(&mut self, ctx: &mut EntityContext, to: &str, cents: i64) -> Result<u64, Failure> {
        ctx.entity::<Account>(to).receive(cents).signal();
        if self.cents < cents {
            return Err(Failure::message("not enough"));
        }
        self.cents -= cents;
        self.payments += 1;
        Ok(self.payments)
    }

    pub fn receive(&mut self, cents: i64) {
        self.cents += cents;
    }
}
