//! Resources of a hub: values that its activities and `async` operations share and that the hub does not store.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// A value that was registered with [`HubBuilder::resource`](crate::HubBuilder::resource), such as a connection pool,
/// an HTTP client or a configuration.
///
/// An `#[activity]` function or an `async` operation of an entity receives it through a parameter of this type. A
/// `Resource` dereferences to its value and is cheap to clone. A hub that lacks the resource of a parameter does not
/// open, and the error names both.
///
/// ```
/// use abide::prelude::*;
///
/// /// A client of the mail server.
/// struct Mailer { from: String }
///
/// impl Mailer {
///     async fn send(&self, to: &str) -> String { format!("{} -> {to}", self.from) }
/// }
///
/// #[activity]
/// async fn send_receipt(mailer: Resource<Mailer>, customer: String) -> String {
///     mailer.send(&customer).await
/// }
///
/// #[orchestration]
/// async fn order(ctx: OrchestrationContext, customer: String) -> Result<String, Failure> {
///     Ok(ctx.call_activity::<send_receipt>(customer).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::in_memory()
///     .resource(Mailer { from: "shop".into() })
///     .activity::<send_receipt>()
///     .orchestration::<order>()
///     .open()
///     .await?;
/// let run = hub.client().start::<order>("alice".into()).await?;
/// assert_eq!(run.result().await?, "shop -> alice");
/// # hub.shutdown().await?;
///
/// // A unit test calls the function with any value.
/// let test = Resource::new(Mailer { from: "test".into() });
/// assert_eq!(send_receipt(test, "bob".into()).await, "test -> bob");
/// # Ok(())
/// # }
/// ```
///
/// A resource is identified by its type, so a hub has at most one of each type. To replace a resource behind a trait,
/// register an `Arc<dyn Mailer>` and take a `Resource<Arc<dyn Mailer>>`.
///
/// Synchronous operations and orchestrations have no resources, and do not compile with one. A synchronous operation
/// runs within the turn, where waiting would delay other entities. An orchestration is replayed from its history, which
/// contains no resources.
pub struct Resource<T>(Arc<T>);

impl<T> Resource<T> {
    /// Wraps a value, to call a function that takes a resource in a test.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Resource<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for Resource<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The values that were registered with a hub, by type.
#[doc(hidden)]
#[derive(Clone, Default)]
pub struct Resources(Arc<BTreeMap<TypeId, Given>>);

#[derive(Clone)]
struct Given {
    name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl Given {
    fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self {
            name: type_name::<T>(),
            value: Arc::new(value),
        }
    }
}

impl Resources {
    /// Adds a value.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if a value of this type exists.
    pub(crate) fn add<T: Send + Sync + 'static>(&mut self, value: T) -> Result<()> {
        match Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), Given::new(value)) {
            None => Ok(()),
            Some(first) => Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "the resource `{}` is registered twice, but a hub has one resource of each type; wrap one of them \
                     in its own struct",
                    first.name
                ),
            )),
        }
    }

    /// Adds a value, replacing one of the same type.
    pub(crate) fn replace<T: Send + Sync + 'static>(&mut self, value: T) {
        Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), Given::new(value));
    }

    /// Adds the values of `others`, replacing those of the same types.
    #[cfg(feature = "testing")]
    pub(crate) fn replace_all(&mut self, others: &Self) {
        let others = others.0.iter().map(|(id, given)| (*id, given.clone()));
        Arc::make_mut(&mut self.0).extend(others);
    }

    /// Returns the value of a type.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if there is none.
    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Result<Resource<T>> {
        let given = self.0.get(&TypeId::of::<T>()).map(|given| Arc::clone(&given.value));
        match given.and_then(|value| value.downcast().ok()) {
            Some(value) => Ok(Resource(value)),
            None => Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "the hub has no resource `{name}`; register it with `.resource(...)` before `.open()`, and take it \
                     as a parameter `Resource<{name}>`, so that a missing resource is detected when the hub opens",
                    name = type_name::<T>()
                ),
            )),
        }
    }

    /// Returns whether the required resource is registered.
    pub(crate) fn meet(&self, need: ResourceNeed) -> bool {
        self.0.contains_key(&(need.id)())
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.values().map(|given| given.name)).finish()
    }
}

/// The type of a resource that some code requires.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct ResourceNeed {
    id: fn() -> TypeId,
    name: fn() -> &'static str,
}

impl ResourceNeed {
    /// Returns the name of the type.
    pub(crate) fn name(self) -> &'static str {
        (self.name)()
    }
}

/// The type of a parameter that is written as `Resource<T>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a resource",
    label = "not an `abide::Resource<T>` whose `T` is `Send + Sync + 'static`",
    note = "wrap a value that cannot be shared between threads in an `Arc` or a `Mutex`; rename a type of your own that is called `Resource`"
)]
#[doc(hidden)]
pub trait ResourceParameter: Sized {
    /// The requirement that is checked when the hub opens.
    const NEED: ResourceNeed;

    /// Takes the resource from those of the hub. A hub opens only if the resource is registered.
    ///
    /// # Panics
    /// Panics if the context was created for a test without this resource.
    fn take(resources: &Resources) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> ResourceParameter for Resource<T> {
    const NEED: ResourceNeed = ResourceNeed {
        id: TypeId::of::<T>,
        name: type_name::<T>,
    };

    fn take(resources: &Resources) -> Self {
        resources.get().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Implemented by no type: orchestrations and read-only operations have no resources.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a resource here: only activities and `async` operations have resources",
    label = "an orchestration or a read-only operation has no resources",
    note = "an orchestration is replayed from its history, which does not contain the results of a resource; an operation with `&self` reads only the state",
    note = "use the resource in an activity, `async fn charge(pool: Resource<{Self}>, ...)`, and call that"
)]
#[doc(hidden)]
pub trait ResourceOfReplayedCode {}
