//! What a hub has done since it was opened, counted for `hub.stats()` and for the metrics facade.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Counts;

/// What a hub has done since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) turns: AtomicU64,
    pub(crate) operations: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) timers_fired: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) mailboxes: AtomicU64,
    pub(crate) entities_in_memory: AtomicU64,
    pub(crate) callers: AtomicU64,
}

impl Totals {
    /// Adds what one step did.
    pub(crate) fn add(&self, counts: &Counts) {
        let pairs = [
            (&self.turns, counts.turns, "abide.turns"),
            (&self.operations, counts.operations, "abide.operations"),
            (&self.failures, counts.failures, "abide.operations.failed"),
            (&self.loads, counts.loads, "abide.states.loaded"),
            (&self.timers_fired, counts.timers_fired, "abide.timers.fired"),
            (&self.dead_letters, counts.dead_letters, "abide.dead_letters"),
        ];
        for (total, count, name) in pairs {
            if count > 0 {
                total.fetch_add(count, Ordering::Relaxed);
                metrics::counter!(name).increment(count);
            }
        }
    }
}
