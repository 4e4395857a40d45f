//! The configuration of a hub for tests.

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::activity::Activity;
use crate::engine::code::ActivityCode;
use crate::error::Result;
#[cfg(feature = "http-client")]
use crate::http_client::{HttpError, HttpRequest, HttpResponse, http_exchange};
use crate::hub::HubBuilder;
use crate::resource::Resources;
use crate::store::DiskImage;
use crate::testing::calls::Calls;
use crate::testing::life::{Life, Plan, run_life};
use crate::testing::mock::Mock;
use crate::testing::running::RunningHub;

/// The time at which a test begins: 2030-01-01T00:00:00Z, a Tuesday.
const START: Duration = Duration::from_secs(1_893_456_000);

/// Maximum time of one wait, by default.
const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A hub for tests. It is in memory, runs on the thread of the test, and time is virtual.
///
/// It runs the engine of every other hub. See the [module](crate::testing) for an example.
///
/// # Time
/// Time passes only while nothing else can happen, and then at once: a test that awaits a timer of thirty days returns
/// immediately. This includes `tokio::time::sleep` in activities, in `async` operations and in the test. A test begins
/// on 2030-01-01, unless [`start_time`](Self::start_time) says otherwise.
///
/// Time does not wait for work outside of the tokio runtime: a socket, a child process, or a thread. Replace the
/// activities that do such work. `tokio::task::spawn_blocking` is an exception; time stands still until it returns.
///
/// # Seeds
/// The [seed](Self::seed) decides which commits share a sync, and the ids that clients generate. The same seed gives the
/// same run, unless the code itself is random: `tokio::select!` without `biased`, a `HashMap` that is iterated, a
/// thread, or several tasks that watch the changes of the hub at the same time.
#[must_use = "nothing runs until the hub is passed a test"]
pub struct TestHub {
    builder: Box<dyn Fn() -> HubBuilder>,
    mocks: Vec<Arc<dyn ActivityCode>>,
    resources: Resources,
    pub(super) calls: Calls,
    pub(super) outside: Option<Rc<dyn Any>>,
    pub(super) seed: u64,
    pub(super) start_time: SystemTime,
    pub(super) time_limit: Duration,
}

impl TestHub {
    /// Creates a hub with what the builder registers. Its directory, its number of executors and its tracer are not
    /// used. It is called once for each life of the hub, so that a crash also drops the resources.
    pub fn new(builder: impl Fn() -> HubBuilder + 'static) -> Self {
        Self {
            builder: Box::new(builder),
            mocks: Vec::new(),
            resources: Resources::default(),
            calls: Calls::default(),
            outside: None,
            seed: 0,
            start_time: SystemTime::UNIX_EPOCH + START,
            time_limit: YEAR,
        }
    }

    /// Sets the seed of the run (default: 0).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the time at which the test begins.
    pub fn start_time(mut self, time: SystemTime) -> Self {
        self.start_time = time;
        self
    }

    /// Sets the maximum virtual time for which the test waits for one thing (default: 366 days). After it, the test fails
    /// and names what the orchestrations wait for.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the world outside of the hub, such as the books of a payment provider. It survives crashes of the hub.
    /// Replaced activities share it by an [`Arc`], and the test reads it with
    /// [`RunningHub::outside`].
    pub fn outside<T: 'static>(mut self, world: T) -> Self {
        self.outside = Some(Rc::new(world));
        self
    }

    /// Replaces the resource of this type, or adds it. Like the world outside, the value survives crashes of the hub.
    ///
    /// ```
    /// use abide::prelude::*;
    /// use abide::testing::TestHub;
    ///
    /// struct Rates { percent: u64 }
    ///
    /// #[activity]
    /// async fn tax(rates: Resource<Rates>, cents: u64) -> u64 {
    ///     cents * rates.percent / 100
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext, cents: u64) -> Result<u64, Failure> {
    ///     Ok(ctx.call_activity::<tax>(cents).await?)
    /// }
    ///
    /// /// The builder of the program.
    /// fn builder() -> abide::hub::HubBuilder {
    ///     Hub::in_memory().resource(Rates { percent: 19 }).activity::<tax>().orchestration::<order>()
    /// }
    ///
    /// TestHub::new(builder).resource(Rates { percent: 7 }).run(async |hub| {
    ///     let run = hub.client().start::<order>(100).await.unwrap();
    ///     assert_eq!(run.result().await.unwrap(), 7);
    /// });
    /// ```
    pub fn resource<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.resources.replace(value);
        self
    }

    /// Replaces the activity `A`. It need not be registered, and the resources of the original need not exist.
    pub fn mock<A: Activity>(
        self,
        answer: impl Fn(A::Input) -> std::result::Result<A::Output, A::Error> + Send + Sync + 'static,
    ) -> Self {
        self.mock_with(Mock::<A>::new(answer))
    }

    /// Replaces the activity `A`, with failures or delays.
    pub fn mock_with<A: Activity>(mut self, mock: Mock<A>) -> Self {
        self.mocks.push(mock.code());
        self
    }

    /// Answers the HTTP requests of orchestrations, which then leave the process no more. With the feature `http-client`.
    ///
    /// ```
    /// use abide::http_client::{HttpRequest, HttpResponse};
    /// use abide::prelude::*;
    /// use abide::testing::TestHub;
    ///
    /// #[orchestration]
    /// async fn convert(ctx: OrchestrationContext, job: String) -> Result<String, Failure> {
    ///     let response = ctx.call_http(HttpRequest::post("https://example.com/jobs").body(job)).await?;
    ///     Ok(response.text()?.to_owned())
    /// }
    ///
    /// // The job is done at the second look, an hour later.
    /// let looks = std::sync::atomic::AtomicU32::new(0);
    /// let hub = TestHub::new(|| Hub::in_memory().orchestration::<convert>()).http(move |request| {
    ///     let accepted = HttpResponse::new(202).with_header("location", "/jobs/1").with_header("retry-after", "1800");
    ///     Ok(match request.url.as_str() {
    ///         "https://example.com/jobs" => accepted,
    ///         _ if looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => accepted,
    ///         _ => HttpResponse::new(200).with_body("done"),
    ///     })
    /// });
    /// hub.run(async |hub| {
    ///     let begin = hub.now();
    ///     let run = hub.client().start::<convert>("a file".into()).await.unwrap();
    ///     assert_eq!(run.result().await.unwrap(), "done");
    ///     assert!(hub.now() >= begin + std::time::Duration::from_secs(3_600));
    /// });
    /// ```
    #[cfg(feature = "http-client")]
    pub fn http(
        self,
        answer: impl Fn(&HttpRequest) -> std::result::Result<HttpResponse, HttpError> + Send + Sync + 'static,
    ) -> Self {
        let answer = move |request: HttpRequest| answer(&request).map_err(HttpError::into_failure);
        self.mock_with(Mock::<http_exchange>::new(answer))
    }

    /// Opens the hub, runs the test, and returns its result. Then drops the hub, as if its process were killed. Call it
    /// from a plain `#[test]`: it has a tokio runtime of its own.
    ///
    /// # Panics
    /// Panics if the configuration is invalid, if one wait of the test exceeds the [time limit](Self::time_limit), or
    /// inside another tokio runtime. Panics of the test are passed on.
    #[track_caller]
    pub fn run<T>(self, test: impl AsyncFnOnce(&RunningHub) -> T) -> T {
        let image = DiskImage::default();
        match run_life(&self, image, self.start_time, Plan::never(self.seed, 0), test) {
            Life::Ended { result, .. } => result,
            Life::Killed(_) => unreachable!("the plan kills nothing"),
        }
    }

    /// Returns the builder for one life of the hub.
    pub(super) fn builder(&self) -> Result<HubBuilder> {
        let mut builder = (self.builder)();
        let registry = builder.registry_mut();
        registry.resources.replace_all(&self.resources);
        for mock in &self.mocks {
            registry.replace_activity(Arc::clone(mock));
        }
        registry.wrap_activities(|code| self.calls.record(code));
        builder.check()?;
        Ok(builder)
    }
}

impl fmt::Debug for TestHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHub")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
