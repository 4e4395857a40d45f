//! The operations of an entity type, as `#[operations]` lays them out.

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
/// Every `pub fn` with `&self` or `&mut self` is an operation. `&self` reads the committed state, `&mut self` changes it,
/// and an `async fn` runs outside the turn, on a copy of the state, and may do I/O. Methods that are not plainly `pub` are
/// helpers. All stay ordinary methods, for tests: [`EntityContext::for_test`] and [`ReadContext::for_test`] make the context
/// that some of them take.
///
/// Arguments are values or `&T` (`&str`, `&[T]`) and are stored by name. On a parameter `#[serde(default)]`,
/// `#[serde(default = "path")]`, `#[serde(rename = "...")]` and `#[serde(alias = "...")]` let a later version add or rename
/// one. A `&mut EntityContext` parameter is the context, a `&ReadContext` that of a read-only operation. Parameters
/// [`Resource<T>`](crate::Resource) of an `async` operation are given by the hub, and not by the caller.
///
/// The macro adds a method for each operation to the reference, `AccountRef` for `Account`, which `#[derive(Entity)]` makes
/// beside the struct; where the impl stands in another module, the reference has to be imported there as well. Each method
/// returns an [`Operation`](crate::entity::Operation). A type has one impl with `#[operations]`; others hold further helpers.
///
/// `#[operation(name = "...")]` sets the stored name of an operation, which is the method's name otherwise.
#[diagnostic::on_unimplemented(
    message = "the entity `{Self}` has no operations",
    label = "no `#[operations]` for this type",
    note = "write `#[operations]` on the `impl {Self}` whose `pub fn`s are its operations"
)]
pub trait Operations: Sized + 'static {
    /// The stored names.
    #[doc(hidden)]
    const NAMES: &'static [&'static str];

    /// What the hub has to be given, with the stored name of the operation that needs it.
    #[doc(hidden)]
    const RESOURCES: &'static [(&'static str, ResourceNeed)] = &[];

    /// Looks up an operation by its stored name.
    #[doc(hidden)]
    fn find(operation: &str) -> Option<OperationSpec>;

    /// The stored names of an operation's parameters, in their order.
    #[doc(hidden)]
    fn parameters(operation: usize) -> &'static [&'static str];

    /// Whether stored arguments decode into an operation's parameters; the answer in `Ok` means nothing.
    #[doc(hidden)]
    fn check(operation: usize, arguments: &[u8]) -> OperationOutcome;

    /// Runs a read-only operation.
    #[doc(hidden)]
    fn read(&self, operation: usize, arguments: &[u8], turn: ReadTurn<'_>) -> OperationOutcome;

    /// Runs a synchronous operation that may change the state.
    #[doc(hidden)]
    fn write(&mut self, operation: usize, arguments: &[u8], turn: Turn<'_>) -> OperationOutcome;

    /// Makes the future of an `async` operation. It owns the state, which is a copy.
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
    /// Makes the context for an operation that takes it.
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
    /// Runs an operation that takes the context. After a panic in it the outbox is empty, as the roll-back wants it.
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
    /// Takes the future of the operation.
    pub fn new(operation: impl Future<Output = Finished> + Send + 'static) -> Self {
        Self(Box::pin(async move { operation.await.0 }))
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

/// What an `async` operation leaves.
#[doc(hidden)]
pub struct Finished(AsyncFinished);

impl Finished {
    /// Takes the changed copy, the context with what was sent, and the outcome.
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

/// What stands in the table for an index that is not in it.
#[doc(hidden)]
#[cold]
#[track_caller]
pub fn not_in_table(operation: usize) -> ! {
    panic!("operation {operation} is not in this table of operations; it is looked up by its name first")
}
