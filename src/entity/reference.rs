//! References to entities.

use std::borrow::Cow;
use std::fmt;

use crate::entity::argument::Parameter;
use crate::entity::caller::sealed::Prepared;
use crate::entity::caller::{Caller, ClientCaller, Request};
use crate::entity::key::Key;
use crate::entity::kind::Entity;
use crate::entity::operation::Operation;
use crate::entity::read_state::ReadState;
use crate::error::Result;
use crate::id::EntityId;

/// The name of the built-in operation that removes the state of an entity.
pub(crate) const DELETE: &str = "delete";

/// Creates a reference to the entity of type `E` with this key, held by `caller`.
///
/// A key that violates the rules for ids is reported when the reference is used.
pub(crate) fn reference<E: Entity, C: Caller>(caller: C, key: impl Key) -> E::Ref<C> {
    E::Ref::<C>::wrap(Reference {
        target: EntityId::with_key(E::NAME, |text| key.write_key(text)),
        caller,
    })
}

/// The content of a generated reference such as `AccountRef`.
#[doc(hidden)]
#[derive(Clone)]
pub struct Reference<C> {
    target: Result<EntityId>,
    caller: C,
}

impl<C> fmt::Debug for Reference<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Ok(target) => target.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

impl<C> Reference<C> {
    /// Returns the id of the entity, or an error if the key is invalid.
    pub(crate) fn target(&self) -> Result<EntityId> {
        self.target.clone()
    }
}

impl<C: Caller> Reference<C> {
    /// Creates an operation of this entity. The arguments are a JSON object or empty.
    #[track_caller]
    pub fn operation<T, E>(
        &self,
        operation: &'static str,
        parameters: &'static [Parameter],
        arguments: Result<Vec<u8>>,
    ) -> Operation<C, T, E> {
        let prepared = match (&self.target, arguments) {
            (Ok(target), Ok(arguments)) => Ok(Request {
                target: target.clone(),
                operation: Cow::Borrowed(operation),
                arguments,
                parameters,
                request_id: None,
                refuse_when_full: false,
                claim: None,
            }),
            (Err(error), _) => Err(error.clone()),
            (_, Err(error)) => Err(error),
        };
        let mut prepared = Prepared(prepared);
        self.caller.prepare(&mut prepared);
        Operation::new(self.caller.share(), prepared)
    }
}

/// The conversions of a generated reference such as `AccountRef`. Implemented by `#[derive(Entity)]`.
///
/// It is separate from [`EntityRef`] so that its functions do not appear among the operations.
#[doc(hidden)]
pub trait ReferenceCode: Sized {
    /// The type of the entity.
    type Entity;
    /// The holder of the reference.
    type Caller: Caller;

    /// Creates the generated reference.
    fn wrap(reference: Reference<Self::Caller>) -> Self;

    /// Returns the content of the reference.
    fn reference(&self) -> &Reference<Self::Caller>;
}

/// Methods of every reference to an entity.
///
/// If the entity has an operation named `delete`, that operation replaces the built-in one.
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
/// # let client = hub.client();
/// let visits = client.entity::<Counter>("visits");
/// assert_eq!((visits.id()?.as_str(), visits.key()?), ("@counter@visits", "visits"));
///
/// assert!(visits.state().await?.is_none());
/// visits.add(1).await?;
/// assert!(visits.state().await?.is_some_and(|state| state.total == 1));
///
/// visits.delete().await?;
/// assert!(visits.state().await?.is_none());
/// # hub.shutdown().await
/// # }
/// ```
pub trait EntityRef: ReferenceCode {
    /// Returns the id of the entity.
    ///
    /// # Errors
    /// Returns an error of kind [`InvalidId`](crate::ErrorKind::InvalidId) if the key violates the rules for ids.
    fn id(&self) -> Result<&EntityId> {
        self.reference().target.as_ref().map_err(Clone::clone)
    }

    /// Returns the key of the entity.
    ///
    /// # Errors
    /// Returns an error of kind [`InvalidId`](crate::ErrorKind::InvalidId) if the key violates the rules for ids.
    fn key(&self) -> Result<&str> {
        self.id().map(EntityId::key)
    }

    /// Reads the committed state. Resolves to `None` if the entity has no state.
    fn state(&self) -> ReadState<Self::Caller, Self::Entity>
    where
        Self::Caller: ClientCaller,
        Self::Entity: Entity,
    {
        let reference = self.reference();
        ReadState::new(reference.caller.share().read_state(reference.target.clone()))
    }

    /// Deletes the state. The next operation starts from the initial state.
    #[track_caller]
    fn delete(&self) -> Operation<Self::Caller, ()> {
        self.reference().operation(DELETE, &[], Ok(Vec::new()))
    }

    /// Cancels the scheduled signal with this timer id, unless it has fired.
    #[track_caller]
    fn cancel_signal(&self, timer_id: impl Into<String>) -> <Self::Caller as Caller>::Canceled {
        let reference = self.reference();
        reference
            .caller
            .share()
            .cancel(reference.target.clone(), timer_id.into())
    }
}

impl<R: ReferenceCode> EntityRef for R {}
