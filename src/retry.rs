//! Retry policies.

use std::time::Duration;

/// The number of attempts after failures, and the delays between them. A policy can be created in a `const`:
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
/// Before retry `n`, counted from 0, a durable timer waits `min(first_interval * backoff^n, max_interval)`. A failure
/// that is marked with [`Failure::non_retriable`](crate::Failure::non_retriable) is never retried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    max_attempts: u32,
    first_interval: Duration,
    backoff: f64,
    max_interval: Duration,
    timeout: Option<Duration>,
}

impl RetryPolicy {
    /// Creates a policy with at most `max_attempts` attempts, including the first one, and one second between them.
    ///
    /// Use [`u32::MAX`] for a practically unlimited number of attempts.
    ///
    /// # Panics
    /// Panics if `max_attempts` is 0. In a `const`, this is a compile-time error.
    pub const fn new(max_attempts: u32) -> Self {
        assert!(max_attempts > 0, "`max_attempts` must be at least 1");
        Self {
            max_attempts,
            first_interval: Duration::from_secs(1),
            backoff: 1.0,
            max_interval: Duration::from_secs(60 * 60),
            timeout: None,
        }
    }

    /// Sets the delay before the first retry (default: 1 second).
    #[must_use]
    pub const fn first_interval(mut self, interval: Duration) -> Self {
        self.first_interval = interval;
        self
    }

    /// Sets the factor by which each delay grows (default: 1, so that all delays are equal).
    ///
    /// # Panics
    /// Panics if the coefficient is less than 1 or not finite. In a `const`, this is a compile-time error.
    #[must_use]
    pub const fn backoff(mut self, coefficient: f64) -> Self {
        assert!(
            coefficient >= 1.0 && coefficient < f64::INFINITY,
            "the coefficient of `backoff` must be finite and at least 1"
        );
        self.backoff = coefficient;
        self
    }

    /// Sets the maximum delay before a retry (default: 1 hour).
    #[must_use]
    pub const fn max_interval(mut self, interval: Duration) -> Self {
        self.max_interval = interval;
        self
    }

    /// Sets the time, from the first attempt on, in which retries may begin (default: unlimited). It does not interrupt
    /// a running attempt.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Returns the maximum number of attempts, including the first one.
    pub(crate) const fn attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Returns the time in which retries may begin, from the first attempt on.
    pub(crate) const fn overall(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns the delay before retry `n`, counted from 0.
    ///
    /// A history records when the timer of a retry is due, and a replay compares it. The result must therefore depend
    /// on the policy alone. It is computed by multiplication, which every machine rounds alike; `powi` may differ.
    pub(crate) fn delay(&self, n: u32) -> Duration {
        if self.first_interval >= self.max_interval {
            return self.max_interval;
        }
        // Multiplication by one changes nothing, and neither does multiplication of zero.
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

    /// A policy can be a `const`, and options that are not set have their defaults.
    #[test]
    fn a_default_policy_has_equal_delays() {
        const POLICY: RetryPolicy = RetryPolicy::new(3);
        assert_eq!(POLICY.attempts(), 3);
        assert_eq!(POLICY.overall(), None);
        assert_eq!([0, 1, 100, u32::MAX].map(|n| POLICY.delay(n)), [SECOND; 4]);
    }

    /// `delay(n) = min(first * coefficient^n, max)`, and the first delay has `n = 0`.
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

    /// Extreme values of every option give a delay and no panic.
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
