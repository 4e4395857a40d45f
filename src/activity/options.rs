//! How the attempts of an activity run.

use std::time::Duration;

use crate::retry::RetryPolicy;

/// How the attempts of an activity run. Made in a `const`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivityOptions {
    timeout: Option<Duration>,
    limit: Option<usize>,
    blocking: bool,
    retry: Option<RetryPolicy>,
}

impl ActivityOptions {
    /// Tasks of tokio, without a time limit, a limit of their own or retries.
    pub const fn new() -> Self {
        Self {
            timeout: None,
            limit: None,
            blocking: false,
            retry: None,
        }
    }

    /// How long one attempt may run, from its begin on; what waits for a free slot does not count. After that it is ended
    /// with [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut). A call may bring a limit of its own, which counts instead.
    ///
    /// A [blocking](Self::blocking) attempt cannot be ended: the orchestration hears of the timeout, the attempt is told by
    /// [`ActivityContext::is_canceled`](crate::ActivityContext::is_canceled), and its slot is free when it returns.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The most attempts of this activity that run at one time in the hub; more wait, in their order. The limit of the hub
    /// for all activities together holds as well.
    ///
    /// # Panics
    /// If the limit is 0; in a `const` that is an error when it is compiled.
    #[must_use]
    pub const fn limit(mut self, at_once: usize) -> Self {
        assert!(at_once > 0, "a limit of no attempts would let none begin");
        self.limit = Some(at_once);
        self
    }

    /// Attempts block their thread, so that they run on one of those that tokio has for blocking work. Waiting for such a
    /// thread counts as running.
    #[must_use]
    pub const fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }

    /// How failed attempts are repeated, where a call says nothing else. Without it they are not.
    ///
    /// The waits between attempts are steps of the orchestration. A build that changes the policy stops every running
    /// orchestration in whose history an attempt has failed, if the new policy would have continued otherwise.
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// The time limit of one attempt.
    pub(crate) const fn attempt_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The most attempts at one time.
    pub(crate) const fn at_once(&self) -> Option<usize> {
        self.limit
    }

    /// Whether attempts block their thread.
    pub(crate) const fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// How failed attempts are repeated.
    pub(crate) const fn retry_policy(&self) -> Option<RetryPolicy> {
        self.retry
    }
}

impl Default for ActivityOptions {
    fn default() -> Self {
        Self::new()
    }
}
