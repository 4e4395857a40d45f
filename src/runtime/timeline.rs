//! Starts and ends of orchestrations over time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::engine::Counts;
use crate::time::Timestamp;

/// Length of an interval in milliseconds.
pub(crate) const INTERVAL_MS: u64 = 10_000;

/// Number of intervals that are kept: those of seven days.
pub(crate) const INTERVALS: usize = 7 * 24 * 60 * 6;

/// The starts and ends in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) terminated: u64,
}

/// The starts and ends of the last seven days, by the number of their interval. Intervals without any are not held.
pub(crate) type Intervals = BTreeMap<u64, Interval>;

/// The starts and ends since the hub was opened.
#[derive(Debug, Default)]
pub(crate) struct Timeline(Mutex<Intervals>);

/// The starts and ends of earlier lives of the hub, as far as its orchestrations tell them.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) intervals: Intervals,
    /// Number of orchestrations that there were.
    pub(crate) read: u64,
}

impl Past {
    /// Returns the interval at this time.
    pub(crate) fn at(&mut self, time: Timestamp) -> &mut Interval {
        self.intervals.entry(time.0 / INTERVAL_MS).or_default()
    }
}

impl Interval {
    pub(crate) fn add(&mut self, other: Self) {
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.terminated += other.terminated;
    }
}

impl Timeline {
    /// Adds the counts of a step.
    pub(super) fn add(&self, now: Timestamp, counts: &Counts) {
        let counted = Interval {
            started: counts.started,
            completed: counts.completed,
            failed: counts.failed,
            terminated: counts.terminated,
        };
        if counted != Interval::default() {
            let mut intervals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            intervals.entry(now.0 / INTERVAL_MS).or_default().add(counted);
            if intervals.len() > INTERVALS {
                intervals.pop_first();
            }
        }
    }

    /// Calls `visit` for the intervals in a range since the hub was opened.
    pub(crate) fn visit(&self, range: Range<u64>, mut visit: impl FnMut(u64, Interval)) {
        let intervals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, interval) in intervals.range(range) {
            visit(*number, *interval);
        }
    }
}
