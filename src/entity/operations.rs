//! The operations of an entity type, as implemented by `#[operations]`.

use std::fmt;
use std::future::Future;

use crate::engine::code::{AsyncFinished, AsyncOperation, OperationOutcome, OperationSpec};
use crate::engine::outbox::Outbox;
use crate::engine::scope::Scope;
use crate::entity::context::{EntityContext, ReadContext};
use crate::entity::kind::Entity;
use crate::entity::object::TypedObject;
use crate::resource::ResourceNeed;

/// The operations of an entity type. Implemented by `#[operations]` on the impl of the type.
///
/// Every `pub fn` with `&self` or `&mut self` is an operation. One with `&self` reads the committed state, and one with
/// `&mut self` changes it. An `async fn` runs outside the turn, on a copy of the state, and may perform I/O. Methods
/// that are not plainly `pub` are helpers. All of them remain ordinary methods, which tests can call.
/// [`EntityContext::for_test`] and [`ReadContext::for_test`] create the context that some of them take.
///
/// Arguments are values or references (`&T`, `&str`, `&[T]`) and are stored by name. The parameter attributes
/// `#[serde(default)]`, `#[serde(default = "path")]`, `#[serde(rename = "...")]` and `#[serde(alias = "...")]` let a
/// later version add or rename an argument. A `&mut EntityContext` parameter is the context. In a read-only operation,
/// it is `&ReadContext`. Parameters of type [`Resource<T>`](crate::Resource) of an `async` operation are provided by
/// the hub, not by the caller.
///
/// The macro adds a method for each operation to the reference type, which `#[derive(Entity)]` generates beside the
/// struct: `AccountRef` for `Account`. If the impl is in another module, import the reference type there. Each method
/// returns an [`Operation`](crate::entity::Operation). A type has one impl with `#[operations]`. Other impls hold
/// further helpers.
///
/// `#[operation(name = "...")]` sets the stored name of an operation. Defaults to the name of the method.
///
/// ```
/// use abide::prelude::*;
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Cart {
///     articles: Vec<String>,
/// }
///
/// #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
/// #[error("a cart holds at most {limit} articles")]
/// struct Full {
///     limit: usize,
/// }
///
/// #[operations]
/// impl Cart {
///     /// Changes the state. An error undoes the change.
///     pub fn add(&mut self, article: &str) -> Result<usize, Full> {
///         self.articles.push(article.to_owned());
///         if self.is_too_full() { Err(Full { limit: 2 }) } else { Ok(self.articles.len()) }
///     }
///
///     /// Reads the committed state.
///     pub fn contains(&self, article: &str) -> bool {
///         self.articles.iter().any(|own| own == article)
///     }
///
///     /// Performs I/O. It runs on a copy of the state, which replaces the state when it succeeds.
///     pub async fn check_out(&mut self, ctx: &mut EntityContext) -> String {
///         self.articles.clear();
///         format!("order {}", ctx.idempotency_key())
///     }
///
///     /// A helper.
///     fn is_too_full(&self) -> bool {
///         self.articles.len() > 2
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Cart>().open().await?;
/// let cart = hub.client().entity::<Cart>("alice");
/// cart.add("lamp").await?;
/// cart.add("bulb").await?;
/// assert!(cart.add("cable").await.is_err());
/// assert!(!cart.contains("cable").await?);
/// println!("{}", cart.check_out().await?);
/// # hub.shutdown().await
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "the entity `{Self}` has no operations",
    label = "no `#[operations]` for this type",
    note = "add `#[operations]` to the `impl {Self}` whose `pub fn`s are its operations"
)]
pub trait Operations: Sized + 'static {
    /// The stored names.
    #[doc(hidden)]
    const NAMES: &'static [&'static str];

    /// The required resources, each with the stored name of the operation that needs it.
    #[doc(hidden)]
    const RESOURCES: &'static [(&'static str, ResourceNeed)] = &[];

    /// Looks up an operation by its stored name.
    #[doc(hidden)]
    fn find(operation: &str) -> Option<OperationSpec>;

    /// Returns the stored names of an operation's parameters, in order.
    #[doc(hidden)]
    fn parameters(operation: usize) -> &'static [&'static str];

    /// Checks that stored arguments decode into an operation's parameters. The value in `Ok` has no meaning.
    #[doc(hidden)]
    fn check(operation: usize, arguments: &[u8]) -> OperationOutcome;

    /// Runs a read-only operation.
    #[doc(hidden)]
    fn read(&self, operation: usize, arguments: &[u8], turn: ReadTurn<'_>) -> OperationOutcome;

    /// Runs a synchronous operation that may change the state.
    #[doc(hidden)]
    fn write(&mut self, operation: usize, arguments: &[u8], turn: Turn<'_>) -> OperationOutcome;

    /// Creates the future of an `async` operation. It owns the state, which is a copy.
    #[doc(hidden)]
    fn start(self, operation: usize, arguments: Vec<u8>, context: EntityContext) -> Running;
}

/// The turn in which a read-only operation runs.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct ReadTurn<'a> {
    pub(crate) scope: &'a Scope,
}

impl ReadTurn<'_> {
    /// Creates the context of an operation that takes it.
    pub fn context(self) -> ReadContext {
        ReadContext::new(self.scope.clone())
    }
}

/// The turn in which a synchronous operation runs.
#[doc(hidden)]
#[derive(Debug)]
pub struct Turn<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) outbox: &'a mut Outbox,
}

impl Turn<'_> {
    /// Runs an operation that takes the context. After a panic, the outbox is empty, as the rollback requires.
    pub fn with_context<R>(self, operation: impl FnOnce(&mut EntityContext) -> R) -> R {
        let mut context = EntityContext::new(self.scope.clone(), std::mem::take(self.outbox));
        let returned = operation(&mut context);
        *self.outbox = context.into_outbox();
        returned
    }
}

/// A running `async` operation.
#[doc(hidden)]
pub struct Running(pub(crate) AsyncOperation);

impl Running {
    /// Wraps the future of the operation.
    pub fn new(operation: impl Future<Output = Finished> + Send + 'static) -> Self {
        Self(Box::pin(async move { operation.await.0 }))
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

/// A finished `async` operation.
#[doc(hidden)]
pub struct Finished(AsyncFinished);

impl Finished {
    /// Combines the changed copy of the state, the context with the sent messages, and the outcome.
    pub fn new<E: Entity + Operations>(state: E, context: EntityContext, outcome: OperationOutcome) -> Self {
        Self(AsyncFinished {
            object: Box::new(TypedObject::new(state)),
            outbox: context.into_outbox(),
            outcome,
        })
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Finished")
    }
}

/// Panics for an index that is not in the table.
#[doc(hidden)]
#[cold]
#[track_caller]
pub fn not_in_table(operation: usize) -> ! {
    panic!("operation {operation} is not in this table of operations; look it up by its name first")
}
