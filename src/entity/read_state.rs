//! Reads of an entity's state by a client.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::entity::caller::ClientCaller;
use crate::entity::kind::Entity;
use crate::error::{Error, ErrorKind, Result};

/// A future of the committed state of an entity, returned by [`EntityRef::state`](crate::EntityRef::state).
///
/// Resolves to `None` if the entity has no state. Fails with [`ErrorKind::Serialization`] if the stored state does not
/// decode into the current type, or with any [hub error](crate::Error).
#[must_use = "the state is read only when this is awaited"]
pub struct ReadState<C: ClientCaller, E> {
    state: C::State,
    entity: PhantomData<fn() -> E>,
}

impl<C: ClientCaller, E> ReadState<C, E> {
    pub(crate) fn new(state: C::State) -> Self {
        Self {
            state,
            entity: PhantomData,
        }
    }
}

impl<C: ClientCaller, E: Entity> Future for ReadState<C, E> {
    type Output = Result<Option<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.state).poll(cx).map(|state| {
            let Some(json) = state? else { return Ok(None) };
            E::from_json(&json).map(Some).map_err(|reason| {
                let message = format!("the stored state of an entity `{}` does not decode: {reason}", E::NAME);
                Error::new(ErrorKind::Serialization, message).with_source(reason)
            })
        })
    }
}

impl<C: ClientCaller, E: Entity> fmt::Debug for ReadState<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadState of `{}`", E::NAME)
    }
}
