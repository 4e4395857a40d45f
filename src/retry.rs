//! How often something that failed is tried again, and after how long.

use std::time::Duration;

/// How often an attempt that failed is repeated, and after how long. Made in a `const` or in code:
///
/// ```
/// use std::time::Duration;
/// use abide::RetryPolicy;
///
/// const POLITE: RetryPolicy = RetryPolicy::new(5)
///     .first_interval(Duration::from_secs(2))
///     .backoff(2.0)
///     .max_interval(Duration::from_secs(60));
/// ```
///
/// Before retry `n`, counted from 0, it waits `min(first_interval * backoff^n, max_interval)`, as a durable timer. A failure
/// that is marked by [`Failure::non_retriable`](crate::Failure::non_retriable) is never tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    max_attempts: u32,
    first_interval: Duration,
    backoff: f64,
    max_interval: Duration,
    timeout: Option<Duration>,
}

impl RetryPolicy {
    /// At most `max_attempts` attempts, the first one counted, with a second between them. [`u32::MAX`] is no limit that
    /// anyone meets.
    ///
    /// # Panics
    /// If `max_attempts` is 0; in a `const` that is an error when it is compiled.
    pub const fn new(max_attempts: u32) -> Self {
        assert!(max_attempts > 0, "a retry policy allows at least one attempt");
        Self {
            max_attempts,
            first_interval: Duration::from_secs(1),
            backoff: 1.0,
            max_interval: Duration::from_secs(60 * 60),
            timeout: None,
        }
    }

    /// How long to wait before the first retry; a second if nothing is said.
    #[must_use]
    pub const fn first_interval(mut self, interval: Duration) -> Self {
        self.first_interval = interval;
        self
    }

    /// What each wait is multiplied by for the next one; 1 if nothing is said, so that all are equal.
    ///
    /// # Panics
    /// If the coefficient is less than 1 or not finite; in a `const` that is an error when it is compiled.
    #[must_use]
    pub const fn backoff(mut self, coefficient: f64) -> Self {
        assert!(
            coefficient >= 1.0 && coefficient < f64::INFINITY,
            "the coefficient of a backoff is a finite number that is not less than 1"
        );
        self.backoff = coefficient;
        self
    }

    /// The longest wait before a retry; an hour if nothing is said.
    #[must_use]
    pub const fn max_interval(mut self, interval: Duration) -> Self {
        self.max_interval = interval;
        self
    }

    /// For how long retries are begun, from the first attempt on; without a limit if nothing is said. An attempt that runs
    /// is not ended by it.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The most attempts, the first one counted.
    pub(crate) const fn attempts(&self) -> u32 {
        self.max_attempts
    }

    /// For how long retries are begun, from the first attempt on.
    pub(crate) const fn overall(&self) -> Option<Duration> {
        self.timeout
    }

    /// How long to wait before retry `n`, counted from 0.
    ///
    /// A history records when the timer of a retry is due, and a replay compares it. So the result may depend on nothing but
    /// the policy: it is made by multiplication alone, which every machine rounds alike; `powi` may differ.
    pub(crate) fn delay(&self, n: u32) -> Duration {
        if self.first_interval >= self.max_interval {
            return self.max_interval;
        }
        // Nothing that is multiplied with one changes, however often; zero neither.
        if self.backoff == 1.0 || self.first_interval.is_zero() {
            return self.first_interval;
        }
        let max = self.max_interval.as_secs_f64();
        let mut seconds = self.first_interval.as_secs_f64();
        for _ in 0..n {
            seconds *= self.backoff;
            if seconds >= max {
                return self.max_interval;
            }
        }
        Duration::try_from_secs_f64(seconds).map_or(self.max_interval, |delay| delay.min(self.max_interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A policy can be a `const`, and what was not said has its default.
    #[test]
    fn a_policy_of_which_nothing_is_said_has_equal_delays() {
        const POLICY: RetryPolicy = RetryPolicy::new(3);
        assert_eq!(POLICY.attempts(), 3);
        assert_eq!(POLICY.overall(), None);
        assert_eq!([0, 1, 100, u32::MAX].map(|n| POLICY.delay(n)), [SECOND; 4]);
    }

    /// `delay(n) = min(first * coefficient^n, max)`, the first with n = 0.
    #[test]
    fn delays_grow_by_the_coefficient_up_to_the_longest() {
        let policy = RetryPolicy::new(9)
            .first_interval(SECOND)
            .backoff(2.0)
            .max_interval(Duration::from_secs(10));
        let seconds: Vec<u64> = (0..6).map(|n| policy.delay(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 10, 10]);
        assert_eq!(policy.delay(u32::MAX), Duration::from_secs(10));
        let gentle = RetryPolicy::new(9).first_interval(SECOND).backoff(1.5);
        assert_eq!(gentle.delay(2), Duration::from_millis(2_250));
        assert_eq!(gentle.delay(u32::MAX), Duration::from_secs(60 * 60));
    }

    /// Extremes of every part give a delay and no panic.
    #[test]
    fn no_policy_has_a_delay_beyond_its_longest() {
        let long = RetryPolicy::new(9).first_interval(Duration::MAX);
        assert_eq!(long.delay(0), Duration::from_secs(60 * 60));
        let endless = long.max_interval(Duration::MAX).backoff(f64::MAX);
        assert_eq!(endless.delay(5), Duration::MAX);
        let almost = RetryPolicy::new(9).max_interval(Duration::MAX).backoff(f64::MAX);
        assert_eq!(almost.delay(2), Duration::MAX);
        let zero = RetryPolicy::new(9).first_interval(Duration::ZERO).backoff(2.0);
        assert_eq!(zero.delay(u32::MAX), Duration::ZERO);
    }
}
