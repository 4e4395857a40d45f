//! Callers of entities: a client outside the hub, an orchestration, or another entity inside an operation.

use std::borrow::Cow;
use std::future::Future;
use std::panic::Location;

use crate::entity::argument::Parameter;
use crate::entity::error::CallFailure;
use crate::error::Result;
use crate::id::{EntityId, Sequence};
use crate::time::Timestamp;

/// The holder of a reference to an entity, which calls or signals it.
///
/// Implemented by the client and by the callers inside Abide. This trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot call entities",
    label = "not a caller",
    note = "create a reference with `client.entity::<E>(key)` or, inside an operation, with `ctx.entity::<E>(key)`"
)]
pub trait Caller: Sized + Clone + sealed::Sealed {
    /// The return type of [`Operation::signal`](crate::entity::Operation::signal).
    type Signaled;
    /// The return type of [`Operation::signal_at`](crate::entity::Operation::signal_at).
    type Scheduled;
    /// The return type of [`EntityRef::cancel_signal`](crate::EntityRef::cancel_signal).
    type Canceled;
    #[doc(hidden)]
    type Answer: Future<Output = Result<Vec<u8>, CallFailure>> + Unpin;

    /// Returns the same caller for one more reference or operation. That may cost less than a clone.
    #[doc(hidden)]
    fn share(&self) -> Self {
        self.clone()
    }

    /// Processes every new operation, before it is called or signaled.
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
    fn cancel(self, target: Result<EntityId>, timer: String) -> Self::Canceled;
}

/// A caller that can wait for the result of an operation.
#[diagnostic::on_unimplemented(
    message = "an entity cannot wait for another entity",
    label = "this operation can only be signaled here",
    note = "send it one-way with `.signal()` and let the receiver signal the result back, or wait in an orchestration"
)]
pub trait CanCall: Caller {}

/// A caller outside the hub's turns. It can retry with a request id, refuse to wait for room, and read states.
#[diagnostic::on_unimplemented(
    message = "only a client can do this",
    label = "not available inside an operation or an orchestration",
    note = "request ids, `refuse_when_full()` and `state()` are available on `client.entity::<E>(key)`; inside, use an operation of the entity"
)]
pub trait ClientCaller: CanCall {
    #[doc(hidden)]
    type State: Future<Output = Result<Option<Vec<u8>>>> + Unpin;

    /// Reads the committed state as JSON. Resolves to `None` if the entity has no state.
    #[doc(hidden)]
    fn read_state(self, target: Result<EntityId>) -> Self::State;
}

/// A request to run one operation of one entity.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) target: EntityId,
    pub(crate) operation: Cow<'static, str>,
    /// The arguments as a JSON object, by name. Empty if there are none.
    pub(crate) arguments: Vec<u8>,
    /// The parameters of the operation in this build.
    pub(crate) parameters: &'static [Parameter],
    /// The id that makes a retry of a client take effect once.
    pub(crate) request_id: Option<String>,
    /// Makes the request fail with `Overloaded` instead of waiting for room.
    pub(crate) refuse_when_full: bool,
    /// The orchestration step that makes this request.
    pub(crate) claim: Option<Claim>,
}

/// A step of an orchestration, claimed as soon as its call is created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) sequence: Sequence,
    /// The location of the call in the user's code.
    pub(crate) place: &'static Location<'static>,
}

/// The due time of a scheduled signal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    At(Timestamp),
    After(std::time::Duration),
}

pub(crate) mod sealed {
    /// Restricts implementations of [`super::Caller`] to this crate.
    pub trait Sealed {}

    /// A request, or the error that prevented its creation. The error is reported where the request is used.
    #[derive(Debug)]
    pub struct Prepared(pub(crate) crate::error::Result<super::Request>);

    /// The due time of a scheduled signal.
    #[derive(Debug)]
    pub struct Due(pub(crate) super::When);
}
