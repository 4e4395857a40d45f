//! Options of activities.

use std::time::Duration;

use crate::retry::RetryPolicy;

/// Options for the attempts of an activity. They can be created in a `const`.
///
/// `#[activity]` creates them from its attributes:
///
/// ```
/// use std::time::Duration;
///
/// use abide::activity::{Activity, ActivityOptions};
/// use abide::prelude::*;
///
/// #[activity(timeout = "30s", limit = 8, retry(max_attempts = 3))]
/// async fn charge(cents: u64) -> u64 {
///     cents
/// }
///
/// const OPTIONS: ActivityOptions = ActivityOptions::new()
///     .timeout(Duration::from_secs(30))
///     .limit(8)
///     .retry(RetryPolicy::new(3));
/// assert_eq!(charge::OPTIONS, OPTIONS);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivityOptions {
    timeout: Option<Duration>,
    limit: Option<usize>,
    blocking: bool,
    retry: Option<RetryPolicy>,
}

impl ActivityOptions {
    /// Creates the default options: attempts run as tasks of tokio, without a time limit, a limit of their own or
    /// retries.
    pub const fn new() -> Self {
        Self {
            timeout: None,
            limit: None,
            blocking: false,
            retry: None,
        }
    }

    /// Sets the time limit of one attempt (default: unlimited). Waiting for a free slot does not count. An attempt that
    /// exceeds the limit is dropped at its current or next await, and its call fails with
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut). If it returns before it awaits again, its result counts. The time
    /// limit of a call takes precedence.
    ///
    /// A [blocking](Self::blocking) attempt cannot be interrupted. The orchestration receives the timeout, the attempt
    /// can observe it through [`ActivityContext::is_canceled`](crate::ActivityContext::is_canceled), and the slot
    /// becomes free when the attempt returns.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the maximum number of attempts of this activity that run concurrently in the hub (default: unlimited).
    /// Further attempts wait in order. The hub's limit for all activities together applies as well.
    ///
    /// # Panics
    /// Panics if the limit is 0. In a `const`, this is a compile-time error.
    #[must_use]
    pub const fn limit(mut self, at_once: usize) -> Self {
        assert!(at_once > 0, "the limit of concurrent attempts must be at least 1");
        self.limit = Some(at_once);
        self
    }

    /// Runs attempts on tokio's threads for blocking work, because they block their thread. Waiting for such a thread
    /// counts as running.
    #[must_use]
    pub const fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }

    /// Sets the policy for retrying failed attempts, unless a call sets its own (default: no retries).
    ///
    /// The delays between attempts are steps of the orchestration. If a build changes the policy, every running
    /// orchestration whose history contains a failed attempt stops if the new policy would have continued differently.
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Returns the time limit of one attempt.
    pub(crate) const fn attempt_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns the maximum number of concurrent attempts.
    pub(crate) const fn at_once(&self) -> Option<usize> {
        self.limit
    }

    /// Returns whether attempts block their thread.
    pub(crate) const fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// Returns the retry policy.
    pub(crate) const fn retry_policy(&self) -> Option<RetryPolicy> {
        self.retry
    }
}

impl Default for ActivityOptions {
    fn default() -> Self {
        Self::new()
    }
}
