//! The entities of the load, which record what reaches them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use abide::prelude::*;

/// The initial balance of every account.
pub(crate) const OPENING_CENTS: i64 = 1_000;

/// Number of messages that a relay sends at once.
pub(crate) const BURST: u64 = 3;

/// Returns a number that no process has returned before. What was lost and is done again gets another one, so an
/// acknowledged number shows whether it is the acknowledged work that was kept.
fn stamp() -> u64 {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(fastrand::u64(..1 << 31) << 32));
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Numbers 0, 1, 2, ... that one client has sent on one way, each with the stamp of its arrival.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) stamps: BTreeMap<u64, u64>,
    /// Descriptions of what should not have happened.
    pub(crate) faults: Vec<String>,
    padding: String,
}

impl Journal {
    fn fault(&mut self, fault: String) {
        if self.faults.len() < 8 {
            self.faults.push(fault);
        }
    }

    fn keep(&mut self, n: u64, padding: usize) -> u64 {
        let stamp = stamp();
        if self.stamps.insert(n, stamp).is_some() {
            self.fault(format!("{n} came twice"));
        }
        if self.padding.len() < padding {
            self.padding = "x".repeat(padding);
        }
        stamp
    }

    fn keep_next(&mut self, n: u64, padding: usize) -> u64 {
        let next = self.stamps.len() as u64;
        if n != next {
            self.fault(format!("{n} came although {next} was next"));
        }
        self.keep(n, padding)
    }
}

#[operations]
impl Journal {
    pub fn note(&mut self, n: u64, padding: usize) -> u64 {
        self.keep_next(n, padding)
    }

    pub async fn note_slowly(&mut self, n: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(n % 3)).await;
        self.keep_next(n, 0)
    }

    /// Notes a number that may come in any order, but not before its time.
    pub fn note_late(&mut self, ctx: &mut EntityContext, n: u64, due_ms: u64) {
        let now = ctx.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        if now < due_ms {
            self.fault(format!("{n} came {} ms too early", due_ms - now));
        }
        self.keep(n, 0);
    }

    /// Returns how many numbers there are, and the stamp of the last one.
    pub fn last(&self) -> (u64, u64) {
        let last = self.stamps.values().next_back();
        (self.stamps.len() as u64, last.copied().unwrap_or_default())
    }
}

/// Passes numbers on to a journal.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Relay {
    passed: u64,
}

#[operations]
impl Relay {
    /// Sends the n-th burst of numbers to a journal.
    pub fn pass(&mut self, ctx: &mut EntityContext, n: u64, to: &str) -> u64 {
        for number in n * BURST..(n + 1) * BURST {
            ctx.entity::<Journal>(to).note(number, 0).signal();
        }
        self.passed += 1;
        stamp()
    }
}

#[derive(Entity, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) cents: i64,
    /// The ids of the transfers that withdrew.
    pub(crate) sent: Vec<String>,
    /// The ids of the transfers that deposited.
    pub(crate) received: Vec<String>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            cents: OPENING_CENTS,
            sent: Vec::new(),
            received: Vec::new(),
        }
    }
}

#[operations]
impl Account {
    pub fn withdraw(&mut self, transfer: &str, cents: i64) -> bool {
        if self.cents < cents {
            return false;
        }
        self.cents -= cents;
        self.sent.push(transfer.to_owned());
        true
    }

    pub fn deposit(&mut self, transfer: &str, cents: i64) {
        self.cents += cents;
        self.received.push(transfer.to_owned());
    }
}

/// Records the runs of the schedule.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Ticker {
    pub(crate) runs: BTreeSet<String>,
    pub(crate) faults: Vec<String>,
}

#[operations]
impl Ticker {
    pub fn tick(&mut self, run: &str) {
        if !self.runs.insert(run.to_owned()) && self.faults.len() < 8 {
            self.faults.push(format!("{run} ticked twice"));
        }
    }
}
