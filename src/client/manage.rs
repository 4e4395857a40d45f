//! Operations on a single orchestration: events, termination, suspension, rewinding, restarting and purging.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;

use crate::client::handle::Client;
use crate::client::json;
use crate::client::orchestration::OrchestrationHandle;
use crate::client::reply::{into_error, unexpected};
use crate::client::start::Start;
use crate::client::submit::{SendOptions, Submission};
use crate::error::{Error, ErrorKind, Result};
use crate::id::placement;
use crate::json::write_value;
use crate::model::orchestration::{Order, StartRecord};
use crate::runtime::Response;
use crate::views::info;

type Done = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

impl<O: 'static> OrchestrationHandle<O> {
    /// Raises an external event. The returned future resolves when the event is durable, which may be long before the
    /// orchestration reads it. Event names are case-insensitive.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// run.raise_event("decision", true).await?;
    /// assert_eq!(run.result().await?, "a chair: true");
    ///
    /// // An event may also wait for the start of its orchestration.
    /// let early = client.orchestration::<approval>("desk").raise_event("decision", false);
    /// early.before_start(Duration::from_secs(60)).await?;
    /// let run = client.start::<approval>("a desk".into()).instance_id("desk").await?;
    /// assert_eq!(run.result().await?, "a desk: false");
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn raise_event(&self, name: impl Into<String>, payload: impl Serialize) -> RaiseEvent {
        let name = name.into();
        let mut json = Vec::new();
        let payload = match write_value(&payload, &mut json) {
            Ok(()) => Ok(json),
            Err(reason) => {
                let text = format!("the payload of the event `{name}` does not serialize: {reason}");
                Err(Error::new(ErrorKind::Serialization, text).with_source(reason))
            }
        };
        RaiseEvent {
            target: self.share().untyped(),
            name,
            payload,
            keep: None,
            sending: SendOptions::default(),
        }
    }

    /// Like [`raise_event`](Self::raise_event), but takes the payload as JSON. An empty payload stands for `null`.
    pub fn raise_event_with_json(&self, name: impl Into<String>, json: impl Into<Vec<u8>>) -> RaiseEvent {
        let name = name.into();
        let payload = json::checked(json.into(), || format!("the payload of the event `{name}`"));
        RaiseEvent {
            target: self.share().untyped(),
            name,
            payload,
            keep: None,
            sending: SendOptions::default(),
        }
    }

    /// Terminates the orchestration immediately, along with the sub-orchestrations that it waits for. The orchestration
    /// runs no more code.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// run.terminate("the chair is not needed").await?;
    /// let error = Error::from(run.result().await.unwrap_err());
    /// assert_eq!(error.kind(), ErrorKind::Terminated);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn terminate(&self, reason: impl Into<String>) -> Terminate {
        Terminate {
            target: self.share().untyped(),
            reason: reason.into(),
            children: true,
        }
    }

    /// Suspends the orchestration. Running activities finish, and all incoming messages wait until the orchestration is
    /// resumed.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// run.suspend("the budget is under review").await?;
    /// run.raise_event("decision", true).await?;
    /// let info = run.status().await?;
    /// assert!(info.is_some_and(|info| info.status == OrchestrationStatus::Suspended));
    ///
    /// run.resume("the budget is approved").await?;
    /// assert_eq!(run.result().await?, "a chair: true");
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind [`ErrorKind::Ended`]
    /// if it has ended, or any [hub error](crate::Error).
    pub async fn suspend(&self, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        self.order(Order::Suspend { reason }).await
    }

    /// Resumes an orchestration that was suspended or is stopped. See [`suspend`](Self::suspend) for an example.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind [`ErrorKind::Ended`]
    /// if it has ended, or any [hub error](crate::Error).
    pub async fn resume(&self, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        self.order(Order::Resume { reason }).await
    }

    /// Starts a new execution of a failed orchestration from before its first failure. The new execution keeps the
    /// results of the completed steps.
    ///
    /// Failed sub-orchestrations are rewound as well. One that was terminated, canceled or purged cannot be rewound and
    /// starts again. So does one under whose id another orchestration has ended. One that was already rewound or
    /// restarted continues, and one that has completed in the meantime counts as done.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// use abide::prelude::*;
    ///
    /// static PROVIDER_IS_UP: AtomicBool = AtomicBool::new(false);
    ///
    /// #[activity]
    /// async fn charge(cents: u64) -> Result<u64, Failure> {
    ///     match PROVIDER_IS_UP.load(Ordering::Relaxed) {
    ///         true => Ok(cents),
    ///         false => Err(Failure::message("the provider is down")),
    ///     }
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext, cents: u64) -> Result<u64, Failure> {
    ///     Ok(ctx.call_activity::<charge>(cents).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().activity::<charge>().orchestration::<order>().open().await?;
    /// let run = hub.client().start::<order>(900).await?;
    /// assert!(run.result().await.is_err());
    ///
    /// PROVIDER_IS_UP.store(true, Ordering::Relaxed);
    /// run.rewind("the provider is up again").await?;
    /// assert_eq!(run.result().await?, 900);
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind
    /// [`ErrorKind::WrongState`] if it is not `Failed` or none of its steps failed, or any [hub error](crate::Error).
    pub async fn rewind(&self, reason: impl Into<String>) -> Result<()> {
        let order = Order::Rewind {
            reason: reason.into(),
            start: None,
        };
        self.order(order).await
    }

    /// Starts the orchestration again under its own id, with the input of its last execution. Its history is deleted.
    /// The orchestration keeps its creation time, and a sub-orchestration keeps its parent.
    ///
    /// After [continuing as new](crate::OrchestrationContext::continue_as_new), the input of the last execution is the
    /// one that it continued with. Earlier inputs are not kept.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).instance_id("chair").await?;
    /// run.raise_event("decision", false).await?;
    /// assert_eq!(run.result().await?, "a chair: false");
    ///
    /// // The same id and the same input.
    /// run.restart().await?;
    /// run.raise_event("decision", true).await?;
    /// assert_eq!(run.result().await?, "a chair: true");
    ///
    /// // Another id and the same input.
    /// let copy = run.restart_as("chair-2").await?;
    /// copy.raise_event("decision", true).await?;
    /// assert_eq!(copy.result().await?, "a chair: true");
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind
    /// [`ErrorKind::WrongState`] if it has not ended, or any [hub error](crate::Error).
    pub async fn restart(&self) -> Result<()> {
        self.order(Order::Restart).await
    }

    /// Starts another orchestration with the name, version, input and tags of this one. This orchestration may be
    /// running or may have ended. The input is that of the last execution. See [`restart`](Self::restart) for an
    /// example.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind
    /// [`ErrorKind::AlreadyExists`] if orchestration `id` exists and has not ended, of kind [`ErrorKind::Unregistered`]
    /// if the version is no longer registered, or any [hub error](crate::Error).
    pub async fn restart_as(&self, id: impl Into<String>) -> Result<OrchestrationHandle<O>> {
        self.again().await?.instance_id(id).await
    }

    /// Like [`restart_as`](Self::restart_as), with a generated id.
    ///
    /// # Errors
    /// Returns the same errors as [`restart_as`](Self::restart_as).
    pub async fn restart_as_new(&self) -> Result<OrchestrationHandle<O>> {
        self.again().await?.await
    }

    /// Returns a start with the name, version and tags of this orchestration and another input, as JSON.
    #[cfg(feature = "http")]
    pub(crate) async fn again_with(&self, input: String) -> Result<Start<O>> {
        Ok(self.again().await?.with_json(input))
    }

    /// Returns a start with the name, version, input and tags of this orchestration.
    async fn again(&self) -> Result<Start<O>> {
        let instance = self.instance()?.clone();
        let client = self.client.of(&instance)?;
        let source = client.source().await?;
        let known = source.snapshot(|view| info::start(view.reader, view.partitions, &instance))?;
        client.durable(source).await?;
        let Some(start) = known else {
            return Err(Error::no_orchestration(instance.as_str()));
        };
        let record = StartRecord {
            name: start.name,
            version: start.version,
            input: start.input,
            tags: start.tags,
            ..StartRecord::default()
        };
        let start = Start::new(self.client.share(), Ok(record));
        Ok(match placement(instance.as_str()) {
            Some(placement) => start.placed_with(placement),
            None => start,
        })
    }

    /// Deletes an orchestration that has ended: its history, input and output.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// assert_eq!(run.purge().await.unwrap_err().kind(), ErrorKind::WrongState);
    ///
    /// run.terminate("the chair is not needed").await?;
    /// run.purge().with_children().await?;
    /// assert!(run.status().await?.is_none());
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn purge(&self) -> Purge {
        Purge {
            target: self.share().untyped(),
            children: false,
        }
    }

    async fn order(&self, order: Order) -> Result<()> {
        let submission = Submission::order(self.instance()?.clone(), order);
        give(self.client.share(), submission).await
    }
}

/// Sends an order that succeeds without a value.
pub(super) async fn give(client: Client, submission: Submission) -> Result<()> {
    match submission.run(client.hub()).await.map_err(into_error)? {
        Response::Answer(_) => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// An external event to raise. Created by [`OrchestrationHandle::raise_event`].
#[derive(Debug)]
#[must_use = "an event is raised when this is awaited"]
pub struct RaiseEvent {
    target: OrchestrationHandle,
    name: String,
    payload: Result<Vec<u8>>,
    keep: Option<Duration>,
    sending: SendOptions,
}

impl RaiseEvent {
    /// Keeps the event for up to `time_to_live` if the orchestration does not exist yet.
    ///
    /// Up to 5,000 such events with a total of 128 MiB wait for one id, and twice as many in one partition. Beyond
    /// that, the event fails with [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded).
    pub fn before_start(mut self, time_to_live: Duration) -> Self {
        self.keep = Some(time_to_live);
        self
    }

    /// Makes retries idempotent: requests with the same request id take effect once and return the same answer.
    ///
    /// A retry must repeat the same request. Arguments are compared as JSON values, so the order of a `HashMap` does
    /// not matter. Arrays are ordered, so use a `BTreeSet` or a sorted `Vec` instead of a `HashSet`.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.sending.request_id = Some(request_id.into());
        self
    }

    /// Fails with [`ErrorKind::Overloaded`] instead of waiting for room. If the orchestration is suspended or stopped
    /// and its queue is full, the event fails either way, because the time until there is room is unknown.
    pub fn refuse_when_full(mut self) -> Self {
        self.sending.refuse_when_full = true;
        self
    }

    async fn run(self) -> Result<()> {
        let instance = self.target.instance()?.clone();
        let client = self.target.client;
        let order = Order::Raise {
            name: self.name,
            payload: self.payload?,
            keep_until: match self.keep {
                Some(keep) => Some(client.runtime()?.clock.now().after(keep)),
                None => None,
            },
        };
        give(client, Submission::order(instance, order).with(self.sending)).await
    }
}

impl IntoFuture for RaiseEvent {
    type Output = Result<()>;
    type IntoFuture = Done;

    /// Raises the event.
    ///
    /// # Errors
    /// Returns an error of kind:
    /// * [`ErrorKind::NotFound`] if there is no such orchestration and the event may not wait for it,
    /// * [`ErrorKind::Ended`] if the orchestration has ended,
    /// * [`ErrorKind::TooLarge`] if the payload exceeds the limit,
    /// * [`ErrorKind::InvalidArguments`] if the payload was given as JSON and is not valid JSON,
    /// * [`ErrorKind::RequestIdReused`] if the request id was used for a different request.
    ///
    /// It also returns any [hub error](crate::Error).
    fn into_future(self) -> Done {
        Box::pin(self.run())
    }
}

/// The termination of one orchestration. Created by [`OrchestrationHandle::terminate`].
#[derive(Debug)]
#[must_use = "an orchestration is terminated when this is awaited"]
pub struct Terminate {
    target: OrchestrationHandle,
    reason: String,
    children: bool,
}

impl Terminate {
    /// Leaves the sub-orchestrations running.
    pub fn without_children(mut self) -> Self {
        self.children = false;
        self
    }
}

impl IntoFuture for Terminate {
    type Output = Result<()>;
    type IntoFuture = Done;

    /// Terminates the orchestration.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind [`ErrorKind::Ended`]
    /// if it has ended, or any [hub error](crate::Error).
    fn into_future(self) -> Done {
        Box::pin(async move {
            let order = Order::Terminate {
                reason: self.reason,
                children: self.children,
            };
            self.target.order(order).await
        })
    }
}

/// The purge of one orchestration. Created by [`OrchestrationHandle::purge`].
#[derive(Debug)]
#[must_use = "an orchestration is purged when this is awaited"]
pub struct Purge {
    target: OrchestrationHandle,
    children: bool,
}

impl Purge {
    /// Also deletes the sub-orchestrations that it waited for, and theirs. This covers all its executions, including
    /// those before it continued as new, was rewound or was restarted.
    ///
    /// A separate message deletes each sub-orchestration, so some may exist for a moment longer than the orchestration.
    /// If there are many, some are deleted before it. A purge that has begun is completed, even after a crash.
    ///
    /// A sub-orchestration that has not ended is kept. An orchestration started with
    /// [`start_orchestration`](crate::OrchestrationContext::start_orchestration) is kept as well, because nothing waits
    /// for it. So is another orchestration that has taken the id of a sub-orchestration.
    pub fn with_children(mut self) -> Self {
        self.children = true;
        self
    }
}

impl IntoFuture for Purge {
    type Output = Result<()>;
    type IntoFuture = Done;

    /// Purges the orchestration.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind
    /// [`ErrorKind::WrongState`] if it has not ended, or any [hub error](crate::Error).
    fn into_future(self) -> Done {
        Box::pin(async move {
            let order = Order::Purge {
                children: self.children,
                seen: None,
            };
            self.target.order(order).await
        })
    }
}
