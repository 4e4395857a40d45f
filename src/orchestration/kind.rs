//! The type of an orchestration.

use std::future::Future;
use std::pin::Pin;

use crate::entity::{Answer, Argument, OperationError};
use crate::orchestration::context::OrchestrationContext;

/// A future on the heap that stays on its thread.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T> + 'static>>;

/// A workflow in plain Rust that survives any crash. Implemented by `#[orchestration]` on an `async fn`.
///
/// What it awaits is recorded in its history. After a restart the function runs again from its beginning and is given the
/// recorded results, up to where it was. So between two awaits it may do nothing but compute, and always the same: time,
/// chance and the world outside come from the [`OrchestrationContext`] and from activities.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an orchestration",
    label = "this type was not made by `#[orchestration]`",
    note = "write `#[orchestration]` on the function, and name the orchestration by the function's name"
)]
pub trait Orchestration: Sized + 'static {
    /// The stored name.
    const NAME: &'static str;

    /// The stored version; empty if it has none. Several versions of one name may be registered, and an instance keeps the
    /// one with which it began.
    const VERSION: &'static str;

    /// What it takes; `()` if nothing.
    type Input: Argument;

    /// What it returns.
    type Output: Answer;

    /// What it fails with; [`NoError`](crate::NoError) if it cannot.
    type Error: OperationError;

    /// Makes the future of one execution.
    fn run(context: OrchestrationContext, input: Self::Input) -> LocalBoxFuture<Result<Self::Output, Self::Error>>;
}
