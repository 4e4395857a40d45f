//! The outcome of an operation and its error texts.

use crate::engine::code::{OperationFailure, OperationOutcome};
use crate::engine::message::Response;
use crate::engine::scope::Scope;
use crate::error::{Error, ErrorKind};
use crate::failure::CallFailure;
use crate::id::{EntityId, InstanceId};

/// The outcome of an operation, for its caller.
pub(super) type CallResult = Result<Vec<u8>, Unanswered>;

/// The failure of an operation. Boxed because it is rare.
#[derive(Debug)]
pub(super) struct Unanswered(pub(super) Box<CallFailure>);

impl Unanswered {
    /// Shortens the failure to the limit of payloads. `what` names its origin.
    pub(super) fn within(self, payload_limit: usize, what: impl FnOnce() -> String) -> Self {
        (*self.0).within(payload_limit, what).into()
    }
}

impl From<CallFailure> for Unanswered {
    fn from(failure: CallFailure) -> Self {
        Self(Box::new(failure))
    }
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        CallFailure::Runtime(error).into()
    }
}

impl From<Unanswered> for Response {
    fn from(unanswered: Unanswered) -> Self {
        Response::Failed(unanswered.0)
    }
}

/// Converts the result of user code into the form that the rest of the engine uses.
pub(super) fn described(result: Result<OperationOutcome, String>, scope: &Scope) -> CallResult {
    let failure = match result {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(failure)) => failure,
        Err(text) => return Err(panicked(scope, &text)),
    };
    let (entity, operation) = (&scope.entity, &scope.operation);
    Err(match failure {
        OperationFailure::Returned(failure) => CallFailure::Returned(failure).into(),
        OperationFailure::Arguments(text) => unanswered(
            ErrorKind::InvalidArguments,
            format!("the arguments of `{operation}` for `{entity}` do not decode: {text}"),
        ),
        OperationFailure::Answer(text) => unanswered(
            ErrorKind::Serialization,
            format!("the answer of `{operation}` from `{entity}` cannot be serialized: {text}"),
        ),
    })
}

pub(super) fn unanswered(kind: ErrorKind, message: String) -> Unanswered {
    Error::new(kind, message).into()
}

pub(super) fn unknown_operation(id: &InstanceId, operation: &str) -> Error {
    Error::new(
        ErrorKind::UnknownOperation,
        format!(
            "the entity `{id}` has no operation `{operation}`; it may have been renamed or belong to a newer build"
        ),
    )
}

pub(super) fn over_limit(scope: &Scope, what: &str) -> Unanswered {
    unanswered(
        ErrorKind::TooLarge,
        format!(
            "`{}` of `{}` {what}; its effects were discarded",
            scope.operation, scope.entity
        ),
    )
}

pub(super) fn panicked(scope: &Scope, text: &str) -> Unanswered {
    unanswered(
        ErrorKind::Panicked,
        format!("`{}` of `{}` panicked: {text}", scope.operation, scope.entity),
    )
}

pub(super) fn init_panicked(id: &EntityId, text: &str) -> Unanswered {
    unanswered(
        ErrorKind::Panicked,
        format!("the creation of the initial state of `{id}` panicked: {text}"),
    )
}

pub(super) fn lock_lost(id: &InstanceId, owner: &InstanceId) -> Unanswered {
    unanswered(
        ErrorKind::LockLost,
        format!(
            "`{owner}` no longer holds the lock of `{id}`: it was released by force, or the critical section has ended"
        ),
    )
}

pub(super) fn lingers(scope: &Scope, limit: std::time::Duration) -> Unanswered {
    let (entity, operation) = (&scope.entity, &scope.operation);
    unanswered(
        ErrorKind::TimedOut,
        format!(
            "`{operation}` of `{entity}` ran longer than {limit:?} and cannot be stopped, because it blocks its \
             thread; its effects are discarded, and the next operation of `{entity}` begins when it has returned; let \
             it await instead of blocking, or move the blocking work to `spawn_blocking`"
        ),
    )
}

pub(super) fn timed_out(scope: &Scope, limit: std::time::Duration) -> Unanswered {
    unanswered(
        ErrorKind::TimedOut,
        format!("`{}` of `{}` ran longer than {limit:?}", scope.operation, scope.entity),
    )
}
