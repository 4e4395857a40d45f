//! Random numbers that are the same in every replay.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;

use crate::id::{ExecutionId, InstanceId};
use crate::orchestration::execution::ExecutionState;

/// A stream of numbers that its seed determines: SplitMix64 (Steele, Lea, Flood 2014), which is small and has no weak
/// seeds.
#[derive(Debug, Default)]
pub(super) struct Stream(u64);

impl Stream {
    /// Creates the stream of an execution.
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

/// A source of random numbers for an orchestration. Every replay draws the same numbers. Not suitable for secrets.
///
/// Created by [`OrchestrationContext::random`](crate::OrchestrationContext::random).
#[derive(Clone)]
pub struct Random {
    pub(super) execution: Rc<ExecutionState>,
}

impl Random {
    /// Returns a random 64-bit number.
    pub fn next_u64(&self) -> u64 {
        self.execution.draw()
    }

    /// Returns a uniformly distributed number in `range`.
    ///
    /// # Panics
    /// Panics if the range is empty.
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
            _ => panic!("cannot draw a number from an empty range"),
        };
        let Some(count) = width.checked_add(1) else {
            return self.next_u64();
        };
        // Numbers above the last multiple of `count` would make small results likelier, so they are drawn again.
        let rest = (u64::MAX % count + 1) % count;
        loop {
            let drawn = self.next_u64();
            if drawn <= u64::MAX - rest {
                return first + drawn % count;
            }
        }
    }

    /// Returns a number from 0 (inclusive) to 1 (exclusive).
    pub fn next_f64(&self) -> f64 {
        // The 53 bits that an `f64` holds exactly.
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns `true` with this probability, from 0 to 1.
    pub fn chance(&self, probability: f64) -> bool {
        self.next_f64() < probability
    }

    /// Shuffles a list.
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
