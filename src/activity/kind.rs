//! The type of an activity.

use std::future::Future;
use std::pin::Pin;

use crate::activity::context::ActivityContext;
use crate::activity::options::ActivityOptions;
use crate::entity::{Answer, Argument, OperationError};
use crate::resource::ResourceNeed;

/// A future on the heap that can move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Work that an orchestration asks for and that is done outside of it: a request to another system, a file, a long
/// computation. Implemented by `#[activity]` on a function.
///
/// An attempt begins when what asked for it is on disk, and runs *at least once*: if the process dies before its result is
/// on disk, it runs again after the next open. Once the result is on disk it never runs again. What cannot bear to happen
/// twice gives [`ActivityContext::idempotency_key`] to the other side.
///
/// An activity that was running when the process went down may be what brought it down. From the second crash on it runs
/// beside no other such one, and at the fifth it ends with [`ErrorKind::Poisonous`](crate::ErrorKind::Poisonous). A hub that
/// is closed while it runs counts as no crash.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activity",
    label = "this type was not made by `#[activity]`",
    note = "write `#[activity]` on the function, and name the activity by the function's name"
)]
pub trait Activity: Sized + 'static {
    /// The stored name.
    const NAME: &'static str;

    /// How attempts run.
    const OPTIONS: ActivityOptions;

    /// The resources that it needs.
    #[doc(hidden)]
    const RESOURCES: &'static [ResourceNeed] = &[];

    /// What it takes.
    type Input: Argument;

    /// What it answers.
    type Output: Answer;

    /// What it fails with; [`NoError`](crate::NoError) if it cannot.
    type Error: OperationError;

    /// Returns whether another attempt is worthwhile after this error: `#[activity(retry_if = ...)]`. If not, the error is
    /// stored as [non-retriable](crate::Failure::non_retriable), whatever the policy of a call says.
    fn is_retriable(_error: &Self::Error) -> bool {
        true
    }

    /// Makes one attempt. Of a [blocking](ActivityOptions::blocking) activity the future has run to its end when it was
    /// polled once.
    fn run(context: ActivityContext, input: Self::Input) -> BoxFuture<Result<Self::Output, Self::Error>>;
}
