//! Entities whose type the caller does not know, for tools.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::client::arguments;
use crate::client::caller::{accepted, unexpected};
use crate::client::handle::Client;
use crate::client::json;
use crate::client::submit::{SendOptions, Submission};
use crate::entity::caller::ClientCaller;
use crate::entity::{CallError, CallFailure};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::Failure;
use crate::id::EntityId;
use crate::runtime::Told;
use crate::store::records::Action;

/// One entity whose type is not known, for tools: inputs, answers and states are JSON. Made by [`Client::untyped_entity`].
///
/// Cheap to clone. A program that knows the type has [`Client::entity`].
#[derive(Clone, Debug)]
pub struct EntityHandle {
    client: Client,
    id: EntityId,
}

impl Client {
    /// A handle of the entity with this id, whatever its type. Nothing is sent or read yet.
    pub fn untyped_entity(&self, id: &EntityId) -> EntityHandle {
        EntityHandle {
            client: self.clone(),
            id: id.clone(),
        }
    }
}

impl EntityHandle {
    /// The entity's id.
    pub fn id(&self) -> &EntityId {
        &self.id
    }

    /// Calls an operation by its stored name. Awaiting it gives the answer as JSON.
    ///
    /// `input` is JSON as text; an empty one is none. The arguments are made of it: an operation without parameters takes
    /// nothing or `null`, one with a single parameter the value itself, and any other an object by the names of the
    /// parameters. It is checked against the type before anything is stored.
    pub fn call(&self, operation: impl Into<String>, input: impl Into<Vec<u8>>) -> EntityCall {
        EntityCall(self.request(operation.into(), input.into()))
    }

    /// Signals an operation by its stored name: one-way. Awaiting it resolves when the signal is durable. What the input may
    /// be is told at [`call`](Self::call).
    pub fn signal(&self, operation: impl Into<String>, input: impl Into<Vec<u8>>) -> EntitySignal {
        EntitySignal(self.request(operation.into(), input.into()))
    }

    /// Reads the committed state as JSON; nothing if the entity has none.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn state(&self) -> Result<Option<String>> {
        let state = self.client.clone().read_state(Ok(self.id.clone())).await?;
        Ok(state.map(json::text))
    }

    fn request(&self, operation: String, input: Vec<u8>) -> Request {
        Request {
            entity: self.clone(),
            operation,
            input,
            sending: SendOptions::default(),
        }
    }
}

/// An operation that is to be asked for.
#[derive(Debug)]
struct Request {
    entity: EntityHandle,
    operation: String,
    input: Vec<u8>,
    sending: SendOptions,
}

impl Request {
    /// Sends it and waits until it is settled.
    async fn run(self, call: bool) -> Result<Told, CallFailure> {
        let EntityHandle { client, id } = self.entity;
        let arguments = {
            let runtime = client.runtime()?;
            match runtime.registry.entity(id.name()) {
                Some(code) => arguments::from_input(code.as_ref(), &self.operation, self.input)?,
                // Refused where it is sent, with a better reason than its arguments could give.
                None => self.input,
            }
        };
        let submission = Submission {
            target: id.into_instance(),
            action: Action::Operation {
                operation: self.operation.into(),
                arguments,
            },
            call,
            request_id: None,
            refuse_when_full: false,
        };
        submission.with(self.sending).run(client.into_weak()).await
    }
}

/// A call of an entity's operation. Made by [`EntityHandle::call`].
#[derive(Debug)]
#[must_use = "an operation is called when this is awaited"]
pub struct EntityCall(Request);

/// A signal to an entity. Made by [`EntityHandle::signal`].
#[derive(Debug)]
#[must_use = "a signal is sent when this is awaited"]
pub struct EntitySignal(Request);

impl EntityCall {
    /// Makes a retry take effect once: the same request id gives the same answer again.
    ///
    /// A retry has to ask for the same. Arguments are compared as JSON values, so that a `HashMap` in another order is the
    /// same; arrays have an order, so use a `BTreeSet` or a sorted `Vec` in the place of a `HashSet`.
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
    /// Makes a retry take effect once. A retry has to ask for the same, as for [`EntityCall::request_id`].
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

    /// Calls, and waits for the answer.
    ///
    /// # Errors
    /// What the operation returned; [`ErrorKind::Unregistered`], [`ErrorKind::UnknownOperation`],
    /// [`ErrorKind::InvalidArguments`], [`ErrorKind::TooLarge`], [`ErrorKind::RequestIdReused`], and what the hub meets.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.0.run(true).await.map_err(CallError::from_failure)? {
                Told::Answer(answer) => String::from_utf8(answer).map_err(|reason| {
                    let text = "the answer is no UTF-8; the operation has taken effect";
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

    /// Signals, and waits until that is durable.
    ///
    /// # Errors
    /// [`ErrorKind::Unregistered`], [`ErrorKind::UnknownOperation`], [`ErrorKind::InvalidArguments`],
    /// [`ErrorKind::TooLarge`], [`ErrorKind::RequestIdReused`], and what the hub meets.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { accepted(self.0.run(false).await) })
    }
}
