//! A reference to one entity.

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

/// Makes the reference to the entity of type `E` with this key, in the hands of `caller`.
///
/// A key that breaks the rules for ids is told where the reference is used.
pub(crate) fn reference<E: Entity, C: Caller>(caller: C, key: impl Key) -> E::Ref<C> {
    E::Ref::<C>::wrap(Reference {
        target: EntityId::with_key(E::NAME, |text| key.write_key(text)),
        caller,
    })
}

/// What a generated reference such as `AccountRef` holds.
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
    /// The id of the entity, or why the key makes none.
    pub(crate) fn target(&self) -> Result<EntityId> {
        self.target.clone()
    }
}

impl<C: Caller> Reference<C> {
    /// Makes an operation of this entity. The arguments are a JSON object, or nothing.
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
        Operation::new(self.caller.clone(), prepared)
    }
}

/// What a generated reference such as `AccountRef` is made of. Implemented by `#[derive(Entity)]`.
///
/// It stands apart from [`EntityRef`] so that its functions do not appear among the operations.
#[doc(hidden)]
pub trait ReferenceCode: Sized {
    /// The type of the entity.
    type Entity;
    /// Who holds the reference.
    type Caller: Caller;

    /// Makes the generated reference.
    fn wrap(reference: Reference<Self::Caller>) -> Self;

    /// What it holds.
    fn reference(&self) -> &Reference<Self::Caller>;
}

/// What every reference to an entity can do, whatever its operations are.
///
/// An operation of the entity's own that is named `delete` wins over the built-in one.
pub trait EntityRef: ReferenceCode {
    /// The id of the entity.
    ///
    /// # Errors
    /// [`InvalidId`](crate::ErrorKind::InvalidId) if the key breaks the rules for ids.
    fn id(&self) -> Result<&EntityId> {
        self.reference().target.as_ref().map_err(Clone::clone)
    }

    /// The key of the entity.
    ///
    /// # Errors
    /// [`InvalidId`](crate::ErrorKind::InvalidId) if the key breaks the rules for ids.
    fn key(&self) -> Result<&str> {
        self.id().map(EntityId::key)
    }

    /// Reads the committed state; `None` if the entity has none.
    fn state(&self) -> ReadState<Self::Caller, Self::Entity>
    where
        Self::Caller: ClientCaller,
        Self::Entity: Entity,
    {
        let reference = self.reference();
        ReadState::new(reference.caller.clone().read_state(reference.target.clone()))
    }

    /// Removes the state. The entity begins anew when it is touched again.
    #[track_caller]
    fn delete(&self) -> Operation<Self::Caller, ()> {
        self.reference().operation(DELETE, &[], Ok(Vec::new()))
    }

    /// Cancels the scheduled signal with this timer id, if it has not fired.
    #[track_caller]
    fn cancel_signal(&self, timer_id: impl Into<String>) -> <Self::Caller as Caller>::Canceled {
        let reference = self.reference();
        reference
            .caller
            .clone()
            .cancel(reference.target.clone(), timer_id.into())
    }
}

impl<R: ReferenceCode> EntityRef for R {}
