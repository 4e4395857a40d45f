//! `?` behind a call of an activity or of a sub-orchestration.

use crate::activity::Activity;
use crate::entity::CallError;
use crate::orchestration::kind::Orchestration;

/// An error that takes what a call fails with. `#[orchestration]` asks for it where a `?` needs the conversion, of which the
/// compiler alone says only that `From` is missing.
#[diagnostic::on_unimplemented(
    message = "`?` cannot turn the `CallError<{Returned}>` of this call into `{Self}`",
    label = "`{Self}` takes no `CallError<{Returned}>`",
    note = "derive `FromCallError` for `{Self}`, beside `thiserror::Error`, and give it the variants `#[from] {Returned}` and `#[from] CallError`",
    note = "or return `Result<_, Failure>`, into which every error converts"
)]
#[doc(hidden)]
pub trait TakesCallError<Returned> {}

#[diagnostic::do_not_recommend]
impl<Target: From<CallError<Returned>>, Returned> TakesCallError<Returned> for Target {}

/// Checks the `?` behind a call of an activity.
#[doc(hidden)]
pub fn activity_question_mark<Target: TakesCallError<A::Error>, A: Activity>() {}

/// Checks the `?` behind a call of a sub-orchestration.
#[doc(hidden)]
pub fn orchestration_question_mark<Target: TakesCallError<O::Error>, O: Orchestration>() {}
