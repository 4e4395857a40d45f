//! Chance that is the same in every replay.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;

use crate::id::{ExecutionId, InstanceId};
use crate::orchestration::journal::Journal;

/// A stream of numbers that its seed determines: SplitMix64 (Steele, Lea, Flood 2014), small and without weak seeds.
#[derive(Debug, Default)]
pub(super) struct Stream(u64);

impl Stream {
    /// The stream of an execution.
    pub(super) fn new(instance: &InstanceId, seed: ExecutionId) -> Self {
        let mut bytes = seed.0.to_vec();
        bytes.extend_from_slice(instance.as_str().as_bytes());
        Self(xxhash_rust::xxh3::xxh3_64(&bytes))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Random numbers for an orchestration: every replay draws the same ones. Made by
/// [`OrchestrationContext::random`](crate::OrchestrationContext::random). They are not for secrets.
#[derive(Clone)]
pub struct Random {
    pub(super) journal: Rc<Journal>,
}

impl Random {
    /// A number of all 64-bit numbers.
    pub fn next_u64(&self) -> u64 {
        self.journal.draw()
    }

    /// A number of `range`, each as likely as any other.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn range(&self, range: impl RangeBounds<u64>) -> u64 {
        let first = match range.start_bound() {
            Bound::Included(&first) => Some(first),
            Bound::Excluded(&before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let last = match range.end_bound() {
            Bound::Included(&last) => Some(last),
            Bound::Excluded(&after) => after.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        let (first, width) = match (first, last) {
            (Some(first), Some(last)) if first <= last => (first, last - first),
            _ => panic!("there is no number in an empty range"),
        };
        let Some(count) = width.checked_add(1) else {
            return self.next_u64();
        };
        // What lies above the last multiple of `count` would make small numbers likelier: draw again.
        let rest = (u64::MAX % count + 1) % count;
        loop {
            let drawn = self.next_u64();
            if drawn <= u64::MAX - rest {
                return first + drawn % count;
            }
        }
    }

    /// A number from 0 up to and without 1.
    pub fn next_f64(&self) -> f64 {
        // The 53 bits that an `f64` holds exactly.
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something happens that does so with this probability, from 0 to 1.
    pub fn chance(&self, probability: f64) -> bool {
        self.next_f64() < probability
    }

    /// Puts a list into an order of chance.
    pub fn shuffle<T>(&self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.range(..=last as u64) as usize);
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
