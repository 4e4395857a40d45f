//! The number of inputs that an executor takes into one step.

use std::time::Duration;

/// Minimum number of inputs of which a step may leave some. Fewer are not worth one more commit, and the time of their
/// step says little about the time per input.
const WORTHWHILE: usize = 32;

/// Divisor of the share by which older steps lose weight with each step.
const AGING: u32 = 8;

/// Decides how many inputs a step takes.
///
/// A step takes all inputs, with one exception. If the disk has nothing to do, and all inputs would take longer than one
/// sync, the step takes half of them. Then the disk makes the first half durable while the executor works on the second, and
/// clients continue with the answers of one half while the executor works on the other. Otherwise the clients of a busy
/// hub end up in lockstep: they, the executor and the disk take turns, and processors are idle meanwhile.
///
/// Less work than one sync is not divided, because the second half would have to wait for the sync of the first. The
/// second half is not divided again.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// The time of the last steps, of which older ones count less.
    took: Duration,
    /// The inputs of the same steps, in units of 1 / [`AGING`].
    inputs: u64,
    /// True if the last step has left inputs.
    has_divided: bool,
}

impl Portion {
    /// Returns the maximum number of inputs of the next step. `waiting` inputs wait for it. `sync` returns the duration
    /// of the last sync if the disk has nothing to do. It is called only if it matters, because it takes a lock.
    pub(super) fn next(&mut self, waiting: usize, sync: impl FnOnce() -> Option<Duration>) -> usize {
        let outlasts = |sync| self.time_of(waiting) >= sync;
        self.has_divided = !self.has_divided && waiting >= WORTHWHILE && sync().is_some_and(outlasts);
        if self.has_divided {
            waiting.div_ceil(2)
        } else {
            usize::MAX
        }
    }

    /// Notes that a step with `inputs` inputs took this long.
    pub(super) fn learn(&mut self, inputs: usize, took: Duration) {
        if inputs >= WORTHWHILE / 2 {
            self.took = self.took - self.took / AGING + took;
            self.inputs = self.inputs - self.inputs / u64::from(AGING) + inputs as u64 * u64::from(AGING);
        }
    }

    /// Returns the expected time of a step with `inputs` inputs.
    fn time_of(&self, inputs: usize) -> Duration {
        let known = self.inputs as f64 / f64::from(AGING);
        if known > 0.0 {
            self.took.mul_f64(inputs as f64 / known)
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Option<Duration> = Some(Duration::from_micros(100));

    /// Each input takes one microsecond.
    fn learned() -> Portion {
        let mut portion = Portion::default();
        for inputs in [200, 300, 40, 200] {
            portion.learn(inputs, Duration::from_micros(inputs as u64));
        }
        // Mostly other work.
        portion.learn(1, Duration::from_secs(1));
        portion
    }

    /// A step takes half of the inputs exactly if the disk has nothing to do and all of them would take at least as long
    /// as one sync.
    #[test]
    fn work_that_outlasts_a_sync_is_halved_for_an_idle_disk() {
        assert_eq!(learned().next(256, || SYNC), 128);
        assert_eq!(learned().next(257, || SYNC), 129);
        assert_eq!(learned().next(90, || SYNC), usize::MAX);
        assert_eq!(learned().next(256, || None), usize::MAX);
    }

    /// What a step has left is not divided again, even if the disk has nothing to do.
    #[test]
    fn the_second_half_is_not_divided() {
        let mut portion = learned();
        let portions = [1_024, 512, 1_024, 512].map(|waiting| portion.next(waiting, || SYNC));
        assert_eq!(portions, [512, usize::MAX, 512, usize::MAX]);
    }

    /// Few inputs are not divided, however fast the disk is. Nothing is divided before the first step.
    #[test]
    fn few_inputs_are_not_divided() {
        assert_eq!(learned().next(WORTHWHILE - 1, || Some(Duration::ZERO)), usize::MAX);
        assert_eq!(Portion::default().next(256, || SYNC), usize::MAX);
    }

    /// The expected time follows a change of the work within some tens of steps.
    #[test]
    fn the_expected_time_follows_the_work() {
        let mut portion = learned();
        for _ in 0..50 {
            portion.learn(100, Duration::from_micros(10));
        }
        assert_eq!(portion.next(256, || SYNC), usize::MAX);
        for _ in 0..50 {
            portion.learn(100, Duration::from_micros(1_000));
        }
        assert_eq!(portion.next(32, || SYNC), 16);
    }
}
