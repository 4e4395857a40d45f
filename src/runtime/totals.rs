//! Counters of a hub since it was opened, for the statistics of the client.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Counts;

/// The counters of a hub since it was opened. The executors change them, so no other field is on their cache lines.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Totals {
    pub(crate) turns: AtomicU64,
    pub(crate) operations: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) timers_fired: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) commits: AtomicU64,
    /// Inputs that an executor has received and left to its next step.
    pub(crate) inputs: AtomicU64,
    pub(crate) mailboxes: AtomicU64,
    pub(crate) entities_in_memory: AtomicU64,
    pub(crate) callers: AtomicU64,
    /// Requests that were forwarded to the node that runs the hub.
    #[cfg(feature = "cluster")]
    pub(crate) forwarded: AtomicU64,
}

/// The current load of one executor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) inputs: u64,
    pub(crate) mailboxes: u64,
    pub(crate) entities: u64,
    pub(crate) callers: u64,
}

impl Totals {
    /// Replaces the previous load of an executor in the totals with its current load, so the totals are sums over all
    /// executors.
    pub(crate) fn hold(&self, before: &mut Held, now: Held) {
        let pairs = [
            (&self.inputs, before.inputs, now.inputs),
            (&self.mailboxes, before.mailboxes, now.mailboxes),
            (&self.entities_in_memory, before.entities, now.entities),
            (&self.callers, before.callers, now.callers),
        ];
        for (total, before, now) in pairs {
            if before != now {
                total.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
            }
        }
        *before = now;
    }

    /// Adds the counts of one step.
    pub(crate) fn add(&self, counts: &Counts) {
        let pairs = [
            (&self.turns, counts.turns),
            (&self.operations, counts.operations),
            (&self.failures, counts.failures),
            (&self.loads, counts.loads),
            (&self.timers_fired, counts.timers_fired),
            (&self.dead_letters, counts.dead_letters),
        ];
        for (total, count) in pairs {
            if count > 0 {
                total.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The totals are sums over all executors, in whatever order these change.
    #[test]
    fn what_executors_hold_is_summed_up() {
        let totals = Totals::default();
        let (mut one, mut other) = (Held::default(), Held::default());
        let holds = |callers| Held {
            inputs: 3,
            mailboxes: 1,
            entities: 2,
            callers,
        };
        totals.hold(&mut one, holds(5));
        totals.hold(&mut other, holds(7));
        totals.hold(&mut one, holds(3));
        assert_eq!(totals.callers.load(Ordering::Relaxed), 10);
        assert_eq!(totals.inputs.load(Ordering::Relaxed), 6);
        assert_eq!(totals.mailboxes.load(Ordering::Relaxed), 2);
        assert_eq!(totals.entities_in_memory.load(Ordering::Relaxed), 4);
    }
}
