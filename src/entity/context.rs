//! What an operation can know and do besides changing its state.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::engine::outbox::Outbox;
use crate::engine::scope::Scope;
use crate::entity::entity_caller::EntityCaller;
use crate::entity::key::Key;
use crate::entity::kind::Entity;
use crate::entity::reference::reference;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EntityId, MessageId};
use crate::resource::{Resource, ResourceOfReplayedCode, Resources};

/// What an operation can know and do besides changing its state: an optional `&mut EntityContext` parameter.
///
/// What it sends goes out when the operation succeeds. An operation that returns `Err` or panics sends nothing.
#[derive(Debug)]
pub struct EntityContext {
    scope: Scope,
    // A lock and no cell, so that an `async` operation may hold a reference to another entity over an `.await`.
    // Nobody else ever waits for it.
    outbox: Mutex<Outbox>,
    /// Nothing in a synchronous operation, which has none.
    resources: Option<Resources>,
}

impl EntityContext {
    pub(crate) fn new(scope: Scope, outbox: Outbox) -> Self {
        Self {
            scope,
            outbox: Mutex::new(outbox),
            resources: None,
        }
    }

    /// The context of an `async` operation.
    pub(crate) fn with_resources(scope: Scope, resources: Resources) -> Self {
        Self {
            resources: Some(resources),
            ..Self::new(scope, Outbox::default())
        }
    }

    /// Makes a context for a unit test of an operation, of the entity of the type `E` with this key, at this time. What the
    /// operation sends goes nowhere.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use abide::prelude::*;
    ///
    /// #[derive(Entity, Default, Serialize, Deserialize)]
    /// struct Lamp { owner: String }
    ///
    /// #[operations]
    /// impl Lamp {
    ///     pub fn claim(&mut self, ctx: &mut EntityContext, owner: &str) {
    ///         self.owner = format!("{} by {owner}", ctx.key());
    ///     }
    /// }
    ///
    /// let mut ctx = EntityContext::for_test::<Lamp>("hall", SystemTime::UNIX_EPOCH);
    /// let mut lamp = Lamp::default();
    /// lamp.claim(&mut ctx, "alice");
    /// assert_eq!(lamp.owner, "hall by alice");
    /// ```
    ///
    /// # Panics
    /// If the key breaks the rules for ids.
    #[track_caller]
    pub fn for_test<E: Entity>(key: impl Key, now: SystemTime) -> Self {
        Self::with_resources(Scope::for_test::<E>(key, now), Resources::default())
    }

    /// Adds a resource to a context that was made by [`for_test`](Self::for_test). It replaces one of the same type.
    #[must_use]
    pub fn with_resource<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.resources.get_or_insert_default().replace(value);
        self
    }

    pub(crate) fn into_outbox(self) -> Outbox {
        self.outbox.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // A panic fails the operation, which drops the outbox whole: what it holds then is seen by nobody.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exempts this operation from the limits of state, payloads and messages, because it only continues with what was accepted
    /// before they were lowered.
    pub(crate) fn keep_accepted(&self) {
        self.outbox().is_accepted = true;
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

    /// Returns the resource of the type `T` that was given to the hub, in an `async` operation. Prefer a parameter
    /// [`Resource<T>`](crate::Resource) where the type is known: a missing one is found when the hub opens.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) if the hub was not given one, and in a synchronous operation, which
    /// has none: it runs within the turn, where waiting would hold up other entities, and its state follows only from what is
    /// stored.
    pub fn resource<T: Send + Sync + 'static>(&self) -> Result<Resource<T>> {
        match &self.resources {
            Some(resources) => resources.get(),
            None => Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "the operation `{}` of {} is synchronous and has no resources, such as `{}`: it runs within the turn, \
                     where waiting would hold up other entities, and its state must follow from what is stored; make it an \
                     `async fn`, or use the resource in an activity",
                    self.scope.operation,
                    self.scope.entity,
                    std::any::type_name::<T>()
                ),
            )),
        }
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

    /// Makes a context for a unit test of a read-only operation, as [`EntityContext::for_test`].
    ///
    /// # Panics
    /// If the key breaks the rules for ids.
    #[track_caller]
    pub fn for_test<E: Entity>(key: impl Key, now: SystemTime) -> Self {
        Self::new(Scope::for_test::<E>(key, now))
    }

    /// Refuses resources in a read-only operation at compile time.
    #[doc(hidden)]
    pub fn resource<T: ResourceOfReplayedCode>(&self) {}

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

/// What the resources of parameters are taken from, for the expansion of an `async` operation.
#[doc(hidden)]
pub fn operation_resources(context: &EntityContext) -> &Resources {
    match &context.resources {
        Some(resources) => resources,
        None => panic!("a synchronous operation has no resources"),
    }
}

impl Scope {
    /// What an operation knows that is called in a test.
    #[track_caller]
    fn for_test<E: Entity>(key: impl Key, now: SystemTime) -> Self {
        let entity = EntityId::with_key(E::NAME, |text| key.write_key(text));
        Self {
            hub: "test".into(),
            entity: entity.unwrap_or_else(|error| panic!("{error}")),
            operation: "test".into(),
            message: MessageId { batch: 1, index: 0 },
            now: now.into(),
        }
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
