//! Entities whose type the caller does not know, for tools.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use crate::client::arguments;
use crate::client::handle::Client;
use crate::client::reply::{accepted, unexpected};
use crate::client::submit::{SendOptions, Submission};
use crate::entity::caller::ClientCaller;
use crate::entity::{CallError, CallFailure};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::Failure;
use crate::id::EntityId;
use crate::model::Action;
use crate::runtime::{HubRef, Response};
use crate::views::json::text;

/// A handle to an entity whose type is not known, for tools. Inputs, answers and states are JSON. Created by
/// [`Client::untyped_entity`].
///
/// The handle is cheap to clone. Programs that know the type use [`Client::entity`].
///
/// ```
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// let visits = hub.client().untyped_entity(&"@counter@visits".parse()?);
/// visits.signal("add", "2").await?;
/// assert_eq!(visits.call("add", "3").request_id("req-1").await?, "5");
/// assert_eq!(visits.state().await?.as_deref(), Some(r#"{"total":5}"#));
///
/// let error = Error::from(visits.call("subtract", "3").await.unwrap_err());
/// assert_eq!(error.kind(), ErrorKind::UnknownOperation);
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EntityHandle {
    client: Client,
    id: EntityId,
}

impl Client {
    /// Returns a handle to the entity with this id, whatever its type. This sends and reads nothing. See
    /// [`EntityHandle`] for an example.
    pub fn untyped_entity(&self, id: &EntityId) -> EntityHandle {
        EntityHandle {
            client: self.share(),
            id: id.clone(),
        }
    }
}

impl EntityHandle {
    /// Returns the id of the entity.
    pub fn id(&self) -> &EntityId {
        &self.id
    }

    /// Calls an operation by its stored name. The returned future resolves to the answer as JSON.
    ///
    /// `input` is JSON text, and an empty text is no input. An operation without parameters takes no input or `null`.
    /// An operation with a single parameter takes the value itself. Any other takes an object with the names of the
    /// parameters as keys. The input is checked against the type before anything is stored.
    pub fn call(&self, operation: impl Into<String>, input: impl Into<Vec<u8>>) -> EntityCall {
        EntityCall(self.request(operation.into(), input.into()))
    }

    /// Signals an operation by its stored name, one-way. The returned future resolves when the signal is durable.
    /// [`call`](Self::call) describes the input.
    pub fn signal(&self, operation: impl Into<String>, input: impl Into<Vec<u8>>) -> EntitySignal {
        EntitySignal(self.request(operation.into(), input.into()))
    }

    /// Returns the committed state as JSON, or `None` if the entity has no state.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn state(&self) -> Result<Option<String>> {
        let state = self.client.share().read_state(Ok(self.id.clone())).await?;
        Ok(state.map(text))
    }

    fn request(&self, operation: String, input: Vec<u8>) -> Request {
        Request {
            entity: self.client.untyped_entity(&self.id),
            operation,
            input,
            sending: SendOptions::default(),
        }
    }
}

/// A request for an operation.
#[derive(Debug)]
struct Request {
    entity: EntityHandle,
    operation: String,
    input: Vec<u8>,
    sending: SendOptions,
}

impl Request {
    /// Sends the request as a call and waits for the answer.
    async fn call(self) -> Result<Response, CallFailure> {
        let (signal, hub) = self.prepare()?;
        Submission { call: true, ..signal }.run(hub).await
    }

    /// Sends the request as a signal and waits until it is durable.
    async fn signal(self) -> Result<Response, CallFailure> {
        let (signal, hub) = self.prepare()?;
        signal.run(hub).await
    }

    fn prepare(self) -> Result<(Submission, Arc<HubRef>), CallFailure> {
        let EntityHandle { client, id } = self.entity;
        let arguments = {
            let runtime = client.runtime()?;
            match runtime.registry.entity(id.name()) {
                Some(code) => arguments::from_input(code.as_ref(), &self.operation, self.input)?,
                // Sending it fails with a better reason than its arguments could give.
                None => self.input,
            }
        };
        let submission = Submission {
            target: id.into_instance(),
            action: Action::Operation {
                operation: self.operation.into(),
                arguments,
            },
            call: false,
            request_id: None,
            refuse_when_full: false,
            trace: None,
        };
        Ok((submission.with(self.sending), client.into_hub()))
    }
}

/// A call of an operation of an entity. Created by [`EntityHandle::call`].
#[derive(Debug)]
#[must_use = "an operation is called when this is awaited"]
pub struct EntityCall(Request);

/// A signal to an entity. Created by [`EntityHandle::signal`].
#[derive(Debug)]
#[must_use = "a signal is sent when this is awaited"]
pub struct EntitySignal(Request);

impl EntityCall {
    /// Makes retries idempotent: requests with the same request id take effect once and return the same answer.
    ///
    /// A retry must repeat the same request. Arguments are compared as JSON values, so the order of a `HashMap` does
    /// not matter. Arrays are ordered, so use a `BTreeSet` or a sorted `Vec` instead of a `HashSet`.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.sending.request_id = Some(request_id.into());
        self
    }

    /// Fails with [`ErrorKind::Overloaded`] instead of waiting for room.
    pub fn refuse_when_full(mut self) -> Self {
        self.0.sending.refuse_when_full = true;
        self
    }
}

impl EntitySignal {
    /// Makes retries idempotent: requests with the same request id take effect once. A retry must repeat the same
    /// request, as for [`EntityCall::request_id`].
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.sending.request_id = Some(request_id.into());
        self
    }

    /// Fails with [`ErrorKind::Overloaded`] instead of waiting for room.
    pub fn refuse_when_full(mut self) -> Self {
        self.0.sending.refuse_when_full = true;
        self
    }
}

impl IntoFuture for EntityCall {
    type Output = Result<String, CallError<Failure>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Calls the operation and waits for the answer.
    ///
    /// # Errors
    /// Returns [`CallError::Returned`] if the operation returned an error. Returns [`CallError::Runtime`] with an error
    /// of kind:
    /// * [`ErrorKind::Unregistered`] if the entity type is not registered,
    /// * [`ErrorKind::UnknownOperation`] if the entity type has no such operation,
    /// * [`ErrorKind::InvalidArguments`] if the operation does not take the input,
    /// * [`ErrorKind::TooLarge`] if the input exceeds the limit,
    /// * [`ErrorKind::RequestIdReused`] if the request id was used for a different request.
    ///
    /// It also returns any [hub error](crate::Error).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.0.call().await.map_err(CallError::from_failure)? {
                Response::Answer(answer) => String::from_utf8(answer).map_err(|reason| {
                    let text = "the answer is not valid UTF-8; the operation has taken effect";
                    CallError::Runtime(Error::new(ErrorKind::Serialization, text).with_source(reason))
                }),
                other => Err(CallError::Runtime(unexpected(&other))),
            }
        })
    }
}

impl IntoFuture for EntitySignal {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Signals the operation and waits until the signal is durable.
    ///
    /// # Errors
    /// Returns an error of kind:
    /// * [`ErrorKind::Unregistered`] if the entity type is not registered,
    /// * [`ErrorKind::UnknownOperation`] if the entity type has no such operation,
    /// * [`ErrorKind::InvalidArguments`] if the operation does not take the input,
    /// * [`ErrorKind::TooLarge`] if the input exceeds the limit,
    /// * [`ErrorKind::RequestIdReused`] if the request id was used for a different request.
    ///
    /// It also returns any [hub error](crate::Error).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { accepted(self.0.signal().await) })
    }
}
