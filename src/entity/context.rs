//! Contexts of operations.

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

/// The context of an operation: an optional `&mut EntityContext` parameter.
///
/// Messages are sent when the operation succeeds. An operation that returns `Err` or panics sends nothing.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use abide::prelude::*;
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Cart {
///     articles: Vec<String>,
///     changed: Option<SystemTime>,
/// }
///
/// #[operations]
/// impl Cart {
///     pub fn add(&mut self, ctx: &mut EntityContext, article: String) {
///         self.changed = Some(ctx.now());
///         // A signal to another entity.
///         ctx.entity::<Audit>("main").noted(format!("{}: {article}", ctx.key())).signal();
///         // A timer of this entity. A new one replaces it.
///         let day = Duration::from_secs(24 * 60 * 60);
///         ctx.entity::<Cart>(ctx.key()).expire().timer_id("expiry").signal_after(day);
///         self.articles.push(article);
///     }
///
///     pub fn expire(&mut self, ctx: &mut EntityContext) {
///         ctx.entity::<Cart>(ctx.key()).cancel_signal("expiry");
///         ctx.delete_state();
///     }
/// }
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Audit {
///     lines: Vec<String>,
/// }
///
/// #[operations]
/// impl Audit {
///     pub fn noted(&mut self, line: String) {
///         self.lines.push(line);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Cart>().entity::<Audit>().open().await?;
/// let cart = hub.client().entity::<Cart>("alice");
/// cart.add("lamp".into()).await?;
/// assert!(cart.state().await?.is_some());
/// cart.expire().await?;
/// assert!(cart.state().await?.is_none());
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Debug)]
pub struct EntityContext {
    scope: Scope,
    // A lock instead of a cell lets an `async` operation hold a reference to another entity across an `.await`. The
    // lock is never contended.
    outbox: Mutex<Outbox>,
    /// `None` in a synchronous operation, which has no resources.
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

    /// Creates the context of an `async` operation.
    pub(crate) fn with_resources(scope: Scope, resources: Resources) -> Self {
        Self {
            resources: Some(resources),
            ..Self::new(scope, Outbox::default())
        }
    }

    /// Creates a context for a unit test of an operation of the entity with type `E` and this key, at this time.
    /// Messages of the operation go nowhere; [`sent`](Self::sent) returns them.
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
    /// Panics if the key violates the rules for ids.
    #[track_caller]
    pub fn for_test<E: Entity>(key: impl Key, now: SystemTime) -> Self {
        Self::with_resources(Scope::for_test::<E>(key, now), Resources::default())
    }

    /// Adds a resource to a context from [`for_test`](Self::for_test). It replaces a resource of the same type.
    #[must_use]
    pub fn with_resource<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.resources.get_or_insert_default().replace(value);
        self
    }

    pub(crate) fn into_outbox(self) -> Outbox {
        self.outbox.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // A panic fails the operation, which discards the whole outbox. Its content is never read.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exempts this operation from the limits of state, payloads and messages. It only continues work that was accepted
    /// before the limits were lowered.
    pub(crate) fn keep_accepted(&self) {
        self.outbox().is_accepted = true;
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns a reference to another entity, or to this one, to signal it.
    ///
    /// If the key violates the rules for ids, sending a message to the reference fails this operation.
    pub fn entity<E: Entity>(&self, key: impl Key) -> E::Ref<EntityCaller<'_>> {
        reference::<E, _>(EntityCaller::new(self), key)
    }

    /// Returns the id of this entity.
    pub fn id(&self) -> &EntityId {
        &self.scope.entity
    }

    /// Returns the key of this entity.
    pub fn key(&self) -> &str {
        self.scope.entity.key()
    }

    /// Returns the name of the running operation.
    pub fn operation(&self) -> &str {
        &self.scope.operation
    }

    /// Returns the time at which the turn of this operation began. It does not advance while the operation runs.
    pub fn now(&self) -> SystemTime {
        self.scope.now.into()
    }

    /// Returns a text that is the same for every attempt of this operation and differs from that of any other operation
    /// of any hub.
    ///
    /// It consists of the hub's id and incarnation, the entity's id, and the message's id. Pass it to an external
    /// service so that an `async` operation that runs again after a crash takes effect once.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    /// struct Till {
    ///     receipts: Vec<String>,
    /// }
    ///
    /// #[operations]
    /// impl Till {
    ///     pub async fn charge(&mut self, ctx: &mut EntityContext, cents: u64) -> usize {
    ///         // A request to a payment provider, which charges once for each key.
    ///         let receipt = format!("{cents} cents, {}", ctx.idempotency_key());
    ///         self.receipts.push(receipt);
    ///         self.receipts.len()
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().entity::<Till>().open().await?;
    /// assert_eq!(hub.client().entity::<Till>("main").charge(900).await?, 1);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}/{}", self.scope.hub, self.scope.entity, self.scope.message)
    }

    /// Returns the hub's resource of type `T` in an `async` operation.
    ///
    /// Prefer a parameter of type [`Resource<T>`](crate::Resource) if the type is known: the hub then detects a missing
    /// resource when it opens.
    ///
    /// # Errors
    /// Returns an error of kind [`Configuration`](crate::ErrorKind::Configuration) if the hub has no such resource, or
    /// if the operation is synchronous. A synchronous operation has no resources: it runs within the turn, where
    /// waiting would delay other entities, and its state must depend only on stored data.
    pub fn resource<T: Send + Sync + 'static>(&self) -> Result<Resource<T>> {
        match &self.resources {
            Some(resources) => resources.get(),
            None => Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "operation `{}` of {} is synchronous and has no resources, such as `{}`: it runs within the turn, \
                     where waiting would delay other entities, and its state must depend only on stored data; make it \
                     an `async fn`, or use the resource in an activity",
                    self.scope.operation,
                    self.scope.entity,
                    std::any::type_name::<T>()
                ),
            )),
        }
    }

    /// Deletes the state of this entity when this operation succeeds. The next operation starts from the initial state.
    pub fn delete_state(&self) {
        self.outbox().delete_state = true;
    }
}

/// The context of a read-only operation: an optional `&ReadContext` parameter of an operation that takes `&self`.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use abide::prelude::*;
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Session {
///     expires: Option<SystemTime>,
/// }
///
/// #[operations]
/// impl Session {
///     pub fn is_open(&self, ctx: &ReadContext) -> bool {
///         self.expires.is_some_and(|expires| ctx.now() < expires)
///     }
/// }
///
/// let (open, day) = (SystemTime::UNIX_EPOCH, Duration::from_secs(24 * 60 * 60));
/// let session = Session { expires: Some(open + day) };
/// assert!(session.is_open(&ReadContext::for_test::<Session>("alice", open)));
/// assert!(!session.is_open(&ReadContext::for_test::<Session>("alice", open + 2 * day)));
/// ```
#[derive(Debug)]
pub struct ReadContext {
    scope: Scope,
}

impl ReadContext {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// Creates a context for a unit test of a read-only operation, like [`EntityContext::for_test`].
    ///
    /// # Panics
    /// Panics if the key violates the rules for ids.
    #[track_caller]
    pub fn for_test<E: Entity>(key: impl Key, now: SystemTime) -> Self {
        Self::new(Scope::for_test::<E>(key, now))
    }

    /// Rejects the use of resources in a read-only operation at compile time.
    #[doc(hidden)]
    pub fn resource<T: ResourceOfReplayedCode>(&self) {}

    /// Returns the id of this entity.
    pub fn id(&self) -> &EntityId {
        &self.scope.entity
    }

    /// Returns the key of this entity.
    pub fn key(&self) -> &str {
        self.scope.entity.key()
    }

    /// Returns the name of the running operation.
    pub fn operation(&self) -> &str {
        &self.scope.operation
    }

    /// Returns the time at which the turn of this operation began.
    pub fn now(&self) -> SystemTime {
        self.scope.now.into()
    }
}

/// Returns the resources from which the expansion of an `async` operation takes its parameters.
#[doc(hidden)]
pub fn operation_resources(context: &EntityContext) -> &Resources {
    match &context.resources {
        Some(resources) => resources,
        None => panic!("a synchronous operation has no resources"),
    }
}

impl Scope {
    /// Creates the scope of an operation that a test calls.
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

/// The type of a `&mut` parameter, which can only be the context.
#[diagnostic::on_unimplemented(
    message = "`&mut {Self}` cannot be a parameter of an operation",
    label = "the only `&mut` parameter is the context, `&mut EntityContext`",
    note = "an operation receives a copy of each argument: take a value or a `&` reference, and return the changed value"
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

/// The type of a parameter that is written as `&ReadContext`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `ReadContext` but is not `abide::ReadContext`",
    label = "not `abide::ReadContext`",
    note = "rename the type, or take `&abide::ReadContext`"
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
