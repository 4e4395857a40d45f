//! Activities that a test replaces.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::activity::{Activity, activity_code_of};
use crate::engine::code::{ActivityCode, ActivityFuture, Attempt};

/// A replacement of the activity `A` in a test.
///
/// ```
/// use std::time::Duration;
///
/// use abide::prelude::*;
/// use abide::testing::{Mock, TestHub};
///
/// #[activity(retry(max_attempts = 3, first_interval = "1m"))]
/// async fn charge(cents: u64) -> Result<String, Failure> {
///     Err(Failure::message(format!("no provider takes {cents} cents in a test")))
/// }
///
/// #[orchestration]
/// async fn order(ctx: OrchestrationContext, cents: u64) -> Result<String, Failure> {
///     Ok(ctx.call_activity::<charge>(cents).await?)
/// }
///
/// // The provider is busy twice, and takes five seconds each time.
/// let busy = Mock::<charge>::new(|cents| Ok(format!("charged {cents}")))
///     .failing(2, || Failure::message("the provider is busy"))
///     .delay(Duration::from_secs(5));
/// let hub = TestHub::new(|| Hub::in_memory().orchestration::<order>()).mock_with(busy);
/// hub.run(async |hub| {
///     let run = hub.client().start::<order>(900).await.unwrap();
///     assert_eq!(run.result().await.unwrap(), "charged 900");
///     assert_eq!(hub.calls::<charge>(), [900, 900, 900]);
/// });
/// ```
#[must_use = "an activity is replaced by `TestHub::mock_with`"]
pub struct Mock<A: Activity> {
    answer: Arc<Answer<A>>,
    error: Option<Arc<MakeError<A>>>,
    failures: Arc<AtomicU32>,
    delay: Duration,
}

type Answer<A> =
    dyn Fn(<A as Activity>::Input) -> Result<<A as Activity>::Output, <A as Activity>::Error> + Send + Sync;

type MakeError<A> = dyn Fn() -> <A as Activity>::Error + Send + Sync;

impl<A: Activity> Mock<A> {
    /// Creates a replacement that returns the result of `answer`.
    pub fn new(answer: impl Fn(A::Input) -> Result<A::Output, A::Error> + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            error: None,
            failures: Arc::default(),
            delay: Duration::ZERO,
        }
    }

    /// Makes the first `times` attempts fail with this error, over all calls of the activity.
    pub fn failing(mut self, times: u32, error: impl Fn() -> A::Error + Send + Sync + 'static) -> Self {
        self.failures.store(times, Ordering::Relaxed);
        self.error = Some(Arc::new(error));
        self
    }

    /// Makes each attempt take this long, in virtual time.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Returns the code that the hub runs. It needs no resources.
    pub(super) fn code(&self) -> Arc<dyn ActivityCode> {
        let Self {
            answer,
            error,
            failures,
            delay,
        } = self;
        let (answer, error, failures, delay) = (Arc::clone(answer), error.clone(), Arc::clone(failures), *delay);
        let code = activity_code_of::<A, _>(move |_, input| {
            let (answer, error, failures) = (Arc::clone(&answer), error.clone(), Arc::clone(&failures));
            Box::pin(async move {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                let left = |left: u32| left.checked_sub(1);
                let fails = failures
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
                    .is_ok();
                match error.filter(|_| fails) {
                    Some(error) => Err(error()),
                    None => answer(input),
                }
            })
        });
        Arc::new(Replaced(code))
    }
}

impl<A: Activity> fmt::Debug for Mock<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mock")
            .field("activity", &A::NAME)
            .finish_non_exhaustive()
    }
}

/// The code of a replaced activity, without the resources and the thread that the original needs.
struct Replaced(Arc<dyn ActivityCode>);

impl ActivityCode for Replaced {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn limit(&self) -> Option<usize> {
        self.0.limit()
    }

    fn timeout(&self) -> Option<Duration> {
        self.0.timeout()
    }

    fn is_blocking(&self) -> bool {
        false
    }

    fn check_input(&self, input: &[u8]) -> Result<(), String> {
        self.0.check_input(input)
    }

    fn run(&self, input: Vec<u8>, attempt: Attempt) -> ActivityFuture {
        self.0.run(input, attempt)
    }
}
