//! The context of an activity.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use crate::activity::kind::Activity;
use crate::engine::Limits;
use crate::engine::code::{Attempt, CancelSignal};
use crate::error::Result;
use crate::id::{ActivityKey, ExecutionId, InstanceId};
use crate::resource::{Resource, Resources};

/// The context of one attempt of an activity. Cheap to clone.
///
/// ```
/// use std::time::Duration;
///
/// use abide::prelude::*;
///
/// #[activity(retry(max_attempts = 3, first_interval = "1ms"))]
/// async fn charge(ctx: ActivityContext, cents: u64) -> Result<String, Failure> {
///     if ctx.attempt() == 1 {
///         return Err(Failure::message("the provider is busy"));
///     }
///     tokio::select! {
///         () = tokio::time::sleep(Duration::from_millis(1)) => {}
///         // The orchestration needs no answer any more, or the hub is closing.
///         () = ctx.canceled() => return Err(Failure::message("canceled")),
///     }
///     // The payment provider charges once for each key, whatever the number of attempts.
///     Ok(format!("{cents} cents under {}", ctx.idempotency_key()))
/// }
/// #
/// # #[orchestration]
/// # async fn order(ctx: OrchestrationContext, cents: u64) -> Result<String, Failure> {
/// #     Ok(ctx.call_activity::<charge>(cents).await?)
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().activity::<charge>().orchestration::<order>().open().await?;
/// # let client = hub.client();
/// let run = client.start::<order>(900).instance_id("order-17").await?;
/// assert!(run.result().await?.starts_with("900 cents under order-17/"));
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ActivityContext {
    name: &'static str,
    attempt: Attempt,
    /// Written when it is asked for, because most activities do not need it.
    idempotency_key: OnceLock<Arc<str>>,
}

impl ActivityContext {
    pub(crate) fn new(name: &'static str, attempt: Attempt) -> Self {
        Self {
            name,
            attempt,
            idempotency_key: OnceLock::new(),
        }
    }

    /// Creates a context for a unit test of the activity `A`: its first attempt, which is never canceled.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[activity]
    /// async fn charge(ctx: ActivityContext, cents: u64) -> String {
    ///     format!("{cents} in attempt {}", ctx.attempt())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let ctx = ActivityContext::for_test::<charge>().with_attempt(2);
    /// assert_eq!(charge(ctx, 5).await, "5 in attempt 2");
    /// # }
    /// ```
    pub fn for_test<A: Activity>() -> Self {
        let attempt = Attempt {
            activity: ActivityKey {
                instance: InstanceId::trusted("test"),
                execution: ExecutionId::default(),
                sequence: 1,
            },
            asked_by: ExecutionId::default(),
            number: 1,
            payload_bytes: Limits::default().payload_bytes,
            canceled: Arc::new(NeverCanceled),
            trace: None,
            resources: Resources::default(),
        };
        Self::new(A::NAME, attempt)
    }

    /// Sets the attempt number of a context that was created by [`for_test`](Self::for_test).
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt.number = attempt;
        self
    }

    /// Adds a resource to a context that was created by [`for_test`](Self::for_test). It replaces one of the same type.
    #[must_use]
    pub fn with_resource<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.attempt.resources.replace(value);
        self
    }

    /// Returns the resource of type `T` that is registered with the hub.
    ///
    /// Prefer a parameter of type [`Resource<T>`](crate::Resource) where the type is known: a missing resource is then
    /// detected when the hub opens.
    ///
    /// # Errors
    /// Returns an error of kind [`Configuration`](crate::ErrorKind::Configuration) if the hub has no such resource.
    pub fn resource<T: Send + Sync + 'static>(&self) -> Result<Resource<T>> {
        self.attempt.resources.get()
    }

    /// Returns the name of the activity.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the id of the orchestration that called the activity.
    pub fn instance_id(&self) -> &str {
        self.attempt.activity.instance.as_str()
    }

    /// Returns the key of this call: `instance/execution/sequence`, with the execution that first made the call.
    ///
    /// The key is the same in every attempt, after every open of the hub, and when a rewind repeats the call. No other
    /// call has the same key. Pass it to the external service, so that a repeated effect counts once.
    pub fn idempotency_key(&self) -> &str {
        self.idempotency_key.get_or_init(|| {
            let first = ActivityKey {
                execution: self.attempt.asked_by,
                ..self.attempt.activity.clone()
            };
            first.to_string().into()
        })
    }

    /// Returns the W3C trace context of this attempt as the value of the header `traceparent`, for requests to other
    /// systems. `None` if the orchestration belongs to no trace.
    ///
    /// With the feature `otel`, the span of the attempt is the parent. Otherwise, it is the span of whoever started the
    /// orchestration over HTTP.
    pub fn trace_parent(&self) -> Option<String> {
        self.attempt.trace.as_ref().map(ToString::to_string)
    }

    /// Returns the value of the header `tracestate` that belongs to [`trace_parent`](Self::trace_parent), if there is
    /// one.
    pub fn trace_state(&self) -> Option<&str> {
        self.attempt.trace.as_ref()?.state()
    }

    /// Returns the number of this attempt in the retry policy, starting at 1. An attempt that a crash interrupted is
    /// repeated under the same number.
    pub fn attempt(&self) -> u32 {
        self.attempt.number
    }

    /// Returns the maximum size of the output as JSON, in bytes. A larger output fails the attempt with
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub fn payload_limit(&self) -> usize {
        self.attempt.payload_bytes
    }

    /// Returns whether the attempt is canceled: the orchestration dropped the call or ended, the attempt exceeded its
    /// time limit, or the hub is closing. Blocking code should check this periodically.
    ///
    /// If the hub is closing and the attempt has observed the cancellation, its return value is discarded. The next
    /// open runs it again, as the same attempt. If the attempt has not checked for cancellation, its result counts as
    /// usual.
    pub fn is_canceled(&self) -> bool {
        self.attempt.canceled.is_canceled()
    }

    /// Waits until the attempt is canceled; see [`is_canceled`](Self::is_canceled). The attempt then has five seconds
    /// to clean up before it is dropped. An attempt that exceeds its time limit is dropped at its next await, unless it
    /// [blocks](crate::activity::ActivityOptions::blocking).
    pub async fn canceled(&self) {
        self.attempt.canceled.canceled().await;
    }
}

/// Returns the resources of the hub, for the expansion of an activity.
#[doc(hidden)]
pub fn activity_resources(context: &ActivityContext) -> &Resources {
    &context.attempt.resources
}

/// The cancellation signal of a test context.
#[derive(Debug)]
struct NeverCanceled;

impl CancelSignal for NeverCanceled {
    fn is_canceled(&self) -> bool {
        false
    }

    fn canceled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(pending())
    }
}
