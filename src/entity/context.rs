//! What an operation can know and do besides changing its state.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::engine::outbox::Outbox;
use crate::engine::scope::Scope;
use crate::entity::entity_caller::EntityCaller;
use crate::entity::key::Key;
use crate::entity::kind::Entity;
use crate::entity::reference::reference;
use crate::id::EntityId;

/// What an operation can know and do besides changing its state: an optional `&mut EntityContext` parameter.
///
/// What it sends goes out when the operation succeeds. An operation that returns `Err` or panics sends nothing.
#[derive(Debug)]
pub struct EntityContext {
    scope: Scope,
    // A lock and no cell, so that an `async` operation may hold a reference to another entity over an `.await`.
    // Nobody else ever waits for it.
    outbox: Mutex<Outbox>,
}

impl EntityContext {
    pub(crate) fn new(scope: Scope, outbox: Outbox) -> Self {
        Self {
            scope,
            outbox: Mutex::new(outbox),
        }
    }

    pub(crate) fn into_outbox(self) -> Outbox {
        self.outbox.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // A panic fails the operation, which drops the outbox whole: what it holds then is seen by nobody.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// A reference to another entity (or this one), to signal it.
    ///
    /// A key that breaks the rules for ids fails this operation once something is sent to it.
    pub fn entity<E: Entity>(&self, key: impl Key) -> E::Ref<EntityCaller<'_>> {
        reference::<E, _>(EntityCaller::new(self), key)
    }

    /// The id of this entity.
    pub fn id(&self) -> &EntityId {
        &self.scope.entity
    }

    /// The key of this entity.
    pub fn key(&self) -> &str {
        self.scope.entity.key()
    }

    /// The name of the operation that runs.
    pub fn operation(&self) -> &str {
        &self.scope.operation
    }

    /// When the turn of this operation began. It does not move while the operation runs.
    pub fn now(&self) -> SystemTime {
        self.scope.now.into()
    }

    /// A text that is the same for every attempt of this operation and for no other operation of any hub: the hub's id
    /// and incarnation, the entity's id, and the message's.
    ///
    /// Hand it to an external service, so that an `async` operation that runs again after a crash takes effect once.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}/{}", self.scope.hub, self.scope.entity, self.scope.message)
    }

    /// Removes the state of this entity when this operation succeeds. The entity begins anew when it is touched again.
    pub fn delete_state(&self) {
        self.outbox().delete_state = true;
    }
}

/// What a read-only operation can know: an optional `&ReadContext` parameter of an operation that takes `&self`.
#[derive(Debug)]
pub struct ReadContext {
    scope: Scope,
}

impl ReadContext {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// The id of this entity.
    pub fn id(&self) -> &EntityId {
        &self.scope.entity
    }

    /// The key of this entity.
    pub fn key(&self) -> &str {
        self.scope.entity.key()
    }

    /// The name of the operation that runs.
    pub fn operation(&self) -> &str {
        &self.scope.operation
    }

    /// When the turn of this operation began.
    pub fn now(&self) -> SystemTime {
        self.scope.now.into()
    }
}

/// The type of a `&mut` parameter: the context and nothing else.
#[diagnostic::on_unimplemented(
    message = "`&mut {Self}` cannot be a parameter of an operation",
    label = "the only `&mut` parameter is the context, `&mut EntityContext`",
    note = "an operation gets a copy of what it is sent: take a value or a `&` instead, and return what changed"
)]
#[doc(hidden)]
pub trait ContextParameter {
    /// Checks the type of a parameter.
    fn from_context(context: &mut EntityContext) -> &mut Self;
}

impl ContextParameter for EntityContext {
    fn from_context(context: &mut EntityContext) -> &mut Self {
        context
    }
}

/// The type of a parameter that is spelled `&ReadContext`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `ReadContext` and is not the one of abide",
    label = "not `abide::ReadContext`",
    note = "give the type another name, or take `&abide::ReadContext`"
)]
#[doc(hidden)]
pub trait ReadContextParameter {
    /// Checks the type of a parameter.
    fn from_context(context: &ReadContext) -> &Self;
}

impl ReadContextParameter for ReadContext {
    fn from_context(context: &ReadContext) -> &Self {
        context
    }
}
