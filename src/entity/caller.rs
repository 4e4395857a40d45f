//! Who asks an entity: a client from outside, or an entity from inside an operation.

use std::borrow::Cow;
use std::future::Future;
use std::panic::Location;

use crate::entity::argument::Parameter;
use crate::entity::error::CallFailure;
use crate::id::{EntityId, Sequence};
use crate::time::Timestamp;

/// Who holds a reference to an entity. Implemented by the client and by the callers inside Abide; sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not call entities",
    label = "not a caller",
    note = "references are made by `client.entity::<E>(key)` and, inside an operation, by `ctx.entity::<E>(key)`"
)]
pub trait Caller: Sized + Clone + sealed::Sealed {
    /// What [`Operation::signal`](crate::entity::Operation::signal) gives back.
    type Signaled;
    /// What [`Operation::signal_at`](crate::entity::Operation::signal_at) gives back.
    type Scheduled;
    /// What cancelling a scheduled signal gives back.
    type Canceled;
    #[doc(hidden)]
    type Answer: Future<Output = Result<Vec<u8>, CallFailure>> + Unpin;

    /// Sees every operation when it is made, before it is known whether it will be called or signaled.
    #[doc(hidden)]
    #[track_caller]
    fn prepare(&self, _: &mut sealed::Prepared) {}
    #[doc(hidden)]
    fn call(self, request: sealed::Prepared) -> Self::Answer;
    #[doc(hidden)]
    fn signal(self, request: sealed::Prepared) -> Self::Signaled;
    #[doc(hidden)]
    fn schedule(self, request: sealed::Prepared, due: sealed::Due, timer: Option<String>) -> Self::Scheduled;
    #[doc(hidden)]
    #[track_caller]
    fn cancel(self, target: crate::Result<EntityId>, timer: String) -> Self::Canceled;
}

/// A caller that can wait for an answer.
#[diagnostic::on_unimplemented(
    message = "an entity cannot wait for another entity",
    label = "this operation can only be signaled here",
    note = "send it one-way with `.signal()`, and let the receiver signal the answer back; or move the waiting into an orchestration"
)]
pub trait CanCall: Caller {}

/// A caller outside the hub's turns: it may retry under a request id, refuse to wait for room, and read states.
#[diagnostic::on_unimplemented(
    message = "only a client can do this",
    label = "not available inside an operation or an orchestration",
    note = "request ids, the `try_` forms and `state()` belong to `client.entity::<E>(key)`; inside, ask the entity by an operation of its own"
)]
pub trait ClientCaller: CanCall {
    #[doc(hidden)]
    type State: Future<Output = crate::Result<Option<Vec<u8>>>> + Unpin;

    /// Reads the committed state as JSON; `None` if the entity has none.
    #[doc(hidden)]
    fn read_state(self, target: crate::Result<EntityId>) -> Self::State;
}

/// What a request asks for: one operation of one entity.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) target: EntityId,
    pub(crate) operation: Cow<'static, str>,
    /// The arguments as a JSON object, by name. Empty if there are none.
    pub(crate) arguments: Vec<u8>,
    /// The parameters of the operation in this build.
    pub(crate) parameters: &'static [Parameter],
    /// Makes a retry of a client take effect once.
    pub(crate) request_id: Option<String>,
    /// Fail with `Overloaded` instead of waiting for room.
    pub(crate) refuse_when_full: bool,
    /// The step of an orchestration that this is.
    pub(crate) claim: Option<Claim>,
}

/// A step of an orchestration, from the moment its call is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) sequence: Sequence,
    /// Where the call stands in the user's code.
    pub(crate) place: &'static Location<'static>,
}

/// When a scheduled signal is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    At(Timestamp),
    After(std::time::Duration),
}

pub(crate) mod sealed {
    /// Keeps [`super::Caller`] to this crate.
    pub trait Sealed {}

    /// A request, or why it could not be made: the error is told where the request is used.
    #[derive(Debug)]
    pub struct Prepared(pub(crate) crate::Result<super::Request>);

    /// When a scheduled signal is due.
    #[derive(Debug)]
    pub struct Due(pub(crate) super::When);
}
