//! Checks of `?` after a call of an activity or of a sub-orchestration.

use crate::activity::Activity;
use crate::entity::CallError;
use crate::orchestration::kind::Orchestration;

/// An error type into which the error of a call converts. `#[orchestration]` requires it where a `?` needs the
/// conversion. The compiler alone reports only that `From` is missing.
#[diagnostic::on_unimplemented(
    message = "`?` cannot convert the `CallError<{Returned}>` of this call to `{Self}`",
    label = "`{Self}` does not implement `From<CallError<{Returned}>>`",
    note = "derive `FromCallError` for `{Self}`, beside `thiserror::Error`, and give it the variants `#[from] {Returned}` and `#[from] CallError`",
    note = "or return `Result<_, Failure>`, into which every error converts"
)]
#[doc(hidden)]
pub trait TakesCallError<Returned> {}

#[diagnostic::do_not_recommend]
impl<Target: From<CallError<Returned>>, Returned> TakesCallError<Returned> for Target {}

/// Checks the `?` after a call of an activity.
#[doc(hidden)]
pub fn activity_question_mark<Target: TakesCallError<A::Error>, A: Activity>() {}

/// Checks the `?` after a call of a sub-orchestration.
#[doc(hidden)]
pub fn orchestration_question_mark<Target: TakesCallError<O::Error>, O: Orchestration>() {}
