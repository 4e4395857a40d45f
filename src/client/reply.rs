//! Replies of the hub, as the results of calls.

use crate::entity::CallFailure;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Response;

/// Converts the reply to a message that was to be accepted.
pub(super) fn accepted(told: Result<Response, CallFailure>) -> Result<()> {
    match told.map_err(into_error)? {
        Response::Accepted => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// Converts a failure of which only the text matters.
pub(super) fn into_error(failure: CallFailure) -> Error {
    match failure {
        CallFailure::Runtime(error) => error,
        CallFailure::Returned(failure) => Error::new(ErrorKind::OperationFailed, failure.to_string()),
    }
}

/// Returns the error for an unexpected reply: the request id was used for a call before and for a signal now, or vice
/// versa.
pub(super) fn unexpected(told: &Response) -> Error {
    let was = match told {
        Response::Accepted => "a signal",
        _ => "a call",
    };
    Error::new(
        ErrorKind::RequestIdReused,
        format!("the request id was already used for {was}; use a new id"),
    )
}
