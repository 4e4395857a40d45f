//! What an attempt of an activity may know about itself.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use crate::activity::kind::Activity;
use crate::engine::Limits;
use crate::engine::code::{Attempt, CancelSignal};
use crate::engine::message::ActivityKey;
use crate::error::Result;
use crate::id::{ExecutionId, InstanceId};
use crate::resource::{Resource, Resources};

/// What an attempt of an activity may know about itself. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ActivityContext {
    name: &'static str,
    attempt: Attempt,
    idempotency_key: Arc<str>,
}

impl ActivityContext {
    pub(crate) fn new(name: &'static str, attempt: Attempt) -> Self {
        let first = ActivityKey {
            execution: attempt.asked_by,
            ..attempt.activity.clone()
        };
        Self {
            name,
            idempotency_key: first.to_string().into(),
            attempt,
        }
    }

    /// Makes a context for a unit test of the activity `A`: its first attempt, which is never canceled.
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
            resources: Resources::default(),
        };
        Self::new(A::NAME, attempt)
    }

    /// Sets the attempt of a context that was made by [`for_test`](Self::for_test).
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt.number = attempt;
        self
    }

    /// Adds a resource to a context that was made by [`for_test`](Self::for_test). It replaces one of the same type.
    #[must_use]
    pub fn with_resource<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.attempt.resources.replace(value);
        self
    }

    /// Returns the resource of the type `T` that was given to the hub. Prefer a parameter [`Resource<T>`](crate::Resource)
    /// where the type is known: a missing one is found when the hub opens.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) if the hub was not given one.
    pub fn resource<T: Send + Sync + 'static>(&self) -> Result<Resource<T>> {
        self.attempt.resources.get()
    }

    /// The name of the activity.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The id of the orchestration that asked for it.
    pub fn instance_id(&self) -> &str {
        self.attempt.activity.instance.as_str()
    }

    /// The key of this call: `instance/execution/sequence`, with the execution that first asked for it. It is the same in every
    /// attempt, after every open of the hub, and when a rewind asks for the activity again. No other call has it. Pass it to
    /// the external service, so that a repeated effect counts once.
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    /// Which attempt of the retry policy this is, from 1 on. One that a crash cut off is repeated under its number.
    pub fn attempt(&self) -> u32 {
        self.attempt.number
    }

    /// The most bytes that the answer may have as JSON. A larger one fails the attempt with
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub fn payload_limit(&self) -> usize {
        self.attempt.payload_bytes
    }

    /// Returns whether the attempt is to end: the orchestration dropped the call or ended, the attempt ran out of time, or the
    /// hub closes. Blocking code checks this from time to time.
    ///
    /// When the hub closes, the return value of an attempt that has seen the cancellation is not its result: the next open
    /// runs it again, as the same attempt. The result of an attempt that has not checked counts as usual.
    pub fn is_canceled(&self) -> bool {
        self.attempt.canceled.is_canceled()
    }

    /// Waits until the attempt is to end, see [`is_canceled`](Self::is_canceled). From then on the attempt has five seconds to
    /// clean up, and is dropped after them. One that runs out of time is dropped at once, unless it
    /// [blocks](crate::activity::ActivityOptions::blocking).
    pub async fn canceled(&self) {
        self.attempt.canceled.canceled().await;
    }
}

/// What the resources of parameters are taken from, for the expansion of an activity.
#[doc(hidden)]
pub fn activity_resources(context: &ActivityContext) -> &Resources {
    &context.attempt.resources
}

/// The cancellation of a context that was made for a test.
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
