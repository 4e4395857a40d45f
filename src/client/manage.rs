//! What can be done to one orchestration from outside.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;

use crate::client::caller::{into_error, unexpected};
use crate::client::handle::Client;
use crate::client::info;
use crate::client::json;
use crate::client::orchestration::OrchestrationHandle;
use crate::client::start::Start;
use crate::client::submit::{SendOptions, Submission};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::json::write_value;
use crate::runtime::Told;
use crate::store::records::instance::{Order, StartRecord};

type Done = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

impl<O: 'static> OrchestrationHandle<O> {
    /// Raises an external event. It resolves when the event is durable, which may be long before the orchestration reads
    /// it. Names of events do not depend on case.
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
            target: self.clone().untyped(),
            name,
            payload,
            keep: None,
            sending: SendOptions::default(),
        }
    }

    /// As [`raise_event`](Self::raise_event), with a payload that is JSON already; an empty one stands for `null`.
    pub fn raise_event_with_json(&self, name: impl Into<String>, json: impl Into<Vec<u8>>) -> RaiseEvent {
        let name = name.into();
        let payload = json::checked(json.into(), || format!("the payload of the event `{name}`"));
        RaiseEvent {
            target: self.clone().untyped(),
            name,
            payload,
            keep: None,
            sending: SendOptions::default(),
        }
    }

    /// Ends the orchestration at once, wherever it stands, and with it the sub-orchestrations that it waits for. None of its
    /// code runs for it.
    pub fn terminate(&self, reason: impl Into<String>) -> Terminate {
        Terminate {
            target: self.clone().untyped(),
            reason: reason.into(),
            children: true,
        }
    }

    /// Lets the orchestration rest: running activities finish, and everything that comes waits until it is resumed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Ended`], and what the hub meets.
    pub async fn suspend(&self, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        self.order(Order::Suspend { reason }).await
    }

    /// Lets an orchestration go on that was suspended, or that is stopped.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Ended`], and what the hub meets.
    pub async fn resume(&self, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        self.order(Order::Resume { reason }).await
    }

    /// Begins a failed orchestration again from before its first failure: a new execution that keeps the results of the
    /// steps that were done.
    ///
    /// Its failed sub-orchestrations are rewound with it. One that cannot be rewound, because it was terminated, canceled or
    /// purged or because another one has ended under its id, starts again. One that was already rewound or restarted
    /// continues, and one that has completed in the meantime counts as done.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongState`] if it is not `Failed` or no step of it failed, and what the hub
    /// meets.
    pub async fn rewind(&self, reason: impl Into<String>) -> Result<()> {
        let order = Order::Rewind {
            reason: reason.into(),
            start: None,
        };
        self.order(order).await
    }

    /// Begins the orchestration again with the input of its last execution, under its own id. Its history so far is
    /// forgotten. It keeps its time of creation, and a sub-orchestration its parent.
    ///
    /// After [continuing as new](crate::OrchestrationContext::continue_as_new), the last execution's input is the one that it
    /// continued with: earlier inputs are not kept.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongState`] if it has not ended, and what the hub meets.
    pub async fn restart(&self) -> Result<()> {
        self.order(Order::Restart).await
    }

    /// Starts another orchestration with the name, version, input and tags of this one, whether this one has ended or not.
    /// The input is that of the last execution, as for [`restart`](Self::restart).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::AlreadyExists`] if an orchestration `id` has not ended,
    /// [`ErrorKind::Unregistered`] if nobody registered the version any more, and what the hub meets.
    pub async fn restart_as(&self, id: impl Into<String>) -> Result<OrchestrationHandle<O>> {
        self.again().await?.instance_id(id).await
    }

    /// As [`restart_as`](Self::restart_as), under an id that is drawn.
    ///
    /// # Errors
    /// As [`restart_as`](Self::restart_as).
    pub async fn restart_as_new(&self) -> Result<OrchestrationHandle<O>> {
        self.again().await?.await
    }

    /// What starts an orchestration like this one.
    async fn again(&self) -> Result<Start<O>> {
        let instance = self.instance()?.clone();
        let source = self.client.source()?;
        let known = source.snapshot(|view| info::start(view.reader, view.partitions, &instance))?;
        source.durable().await?;
        let Some(start) = known else {
            return Err(not_found(&instance));
        };
        let record = StartRecord {
            name: start.name,
            version: start.version,
            input: start.input,
            tags: start.tags,
            ..StartRecord::default()
        };
        Ok(Start::new(self.client.clone(), Ok(record)))
    }

    /// Forgets an orchestration that has ended: its history, input and output.
    pub fn purge(&self) -> Purge {
        Purge {
            target: self.clone().untyped(),
            children: false,
        }
    }

    async fn order(&self, order: Order) -> Result<()> {
        let submission = Submission::order(self.instance()?.clone(), order);
        give(self.client.clone(), submission).await
    }
}

/// Gives an order that is answered with yes or an error.
pub(super) async fn give(client: Client, submission: Submission) -> Result<()> {
    match submission.run(client.weak()).await.map_err(into_error)? {
        Told::Answer(_) => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn not_found(id: &InstanceId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no orchestration `{id}`; it was never started, or it was purged"),
    )
}

/// An external event that is to be raised. Made by [`OrchestrationHandle::raise_event`].
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
    /// Lets the event wait for an orchestration that does not exist yet, for this long at most.
    ///
    /// Up to 5 000 such events of 128 MiB wait for one id, and twice as many in one partition. One more fails with
    /// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded).
    pub fn before_start(mut self, time_to_live: Duration) -> Self {
        self.keep = Some(time_to_live);
        self
    }

    /// Makes a retry take effect once: the same request id gives the same answer again.
    ///
    /// A retry has to ask for the same. Arguments are compared as JSON values, so that a `HashMap` in another order is the
    /// same; arrays have an order, so use a `BTreeSet` or a sorted `Vec` in the place of a `HashSet`.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.sending.request_id = Some(request_id.into());
        self
    }

    /// Fails with [`ErrorKind::Overloaded`] instead of waiting for room. Where the orchestration is suspended or stopped and
    /// its queue is full, the event fails so in either case: no one can say when there will be room.
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
    /// [`ErrorKind::NotFound`] if there is no such orchestration and the event may not wait for it, [`ErrorKind::Ended`],
    /// [`ErrorKind::TooLarge`], [`ErrorKind::InvalidArguments`] if the payload was given as JSON and is none,
    /// [`ErrorKind::RequestIdReused`], and what the hub meets.
    fn into_future(self) -> Done {
        Box::pin(self.run())
    }
}

/// The end of an orchestration from outside. Made by [`OrchestrationHandle::terminate`].
#[derive(Debug)]
#[must_use = "an orchestration is terminated when this is awaited"]
pub struct Terminate {
    target: OrchestrationHandle,
    reason: String,
    children: bool,
}

impl Terminate {
    /// Lets the sub-orchestrations go on.
    pub fn without_children(mut self) -> Self {
        self.children = false;
        self
    }
}

impl IntoFuture for Terminate {
    type Output = Result<()>;
    type IntoFuture = Done;

    /// Terminates.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Ended`], and what the hub meets.
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

/// The purge of one orchestration. Made by [`OrchestrationHandle::purge`].
#[derive(Debug)]
#[must_use = "an orchestration is purged when this is awaited"]
pub struct Purge {
    target: OrchestrationHandle,
    children: bool,
}

impl Purge {
    /// Forgets the sub-orchestrations that it waited for, too, and theirs. These are the sub-orchestrations of all its
    /// executions: before it continued as new, was rewound or was restarted.
    ///
    /// Each is forgotten by a message of its own, so some may still be there for a moment after the orchestration. Of a crowd,
    /// some go before it does. A purge that has begun is finished, also after a crash.
    ///
    /// A sub-orchestration stays if it has not ended. So does what was started with
    /// [`start_orchestration`](crate::OrchestrationContext::start_orchestration), for which nothing waits, and another
    /// orchestration that has taken the id of a sub-orchestration.
    pub fn with_children(mut self) -> Self {
        self.children = true;
        self
    }
}

impl IntoFuture for Purge {
    type Output = Result<()>;
    type IntoFuture = Done;

    /// Purges.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongState`] if it has not ended, and what the hub meets.
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
