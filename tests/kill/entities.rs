//! The entities of the worker, which record the messages that they receive.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use abide::prelude::*;

use crate::LANES;

/// The initial balance of every account.
pub(crate) const START_CENTS: i64 = 1_000;

/// Records the received numbers by sender.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) notes: BTreeMap<String, Vec<u64>>,
    pub(crate) early: u64,
}

impl Journal {
    /// Number of notes from clients.
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

/// Sends a running number to journals in other partitions, in rotation.
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
            return Err(Failure::message("insufficient funds"));
        }
        self.cents -= cents;
        self.payments += 1;
        Ok(self.payments)
    }

    pub fn receive(&mut self, cents: i64) {
        self.cents += cents;
    }
}
