//! What a request is told that is not done: one form of error for all of them, and one place that says which code each of
//! the library's errors has.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::entity::CallError;
use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::http::documents::{ErrorBody, ErrorDocument, FailureDocument, json};

/// After how many seconds a client that was refused for want of room may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    message: String,
    failure: Option<Box<Failure>>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            failure: None,
        }
    }

    /// An argument that cannot be understood.
    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// There is no room for the request now.
    pub(super) fn overloaded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Overloaded", message)
    }

    /// The same with another status, where a route says more than the kind of an error does.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// The answer that says why a request is not done: `{"error": {"code", "message"}}`.
pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    Problem::new(status, code.to_owned(), message).into_response()
}

/// The longest message of an error, in bytes. Panics and errors of a program may say any amount.
const MESSAGE_BYTES: usize = 8 << 10;

/// A message that is not too long for an answer.
fn bounded(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES {
        let whole = message.len();
        let end = (0..=MESSAGE_BYTES).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or_default());
        message.push_str(&format!("… ({whole} bytes)"));
    }
    message
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.message = bounded(self.message);
        let document = ErrorDocument {
            // Clients of Azure's API read this one, of a start that is refused.
            exception_message: (self.status == StatusCode::BAD_REQUEST).then(|| self.message.clone()),
            error: ErrorBody {
                code: self.code.into_owned(),
                message: self.message,
                failure: self.failure.map(|failure| FailureDocument::from(*failure)),
            },
        };
        let mut response = json(self.status, &document);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(
            status_of(error.kind()),
            format!("{:?}", error.kind()),
            error.to_string(),
        )
    }
}

/// What an operation itself returned is no fault of the request's form: 422, with the whole record of the failure.
impl From<CallError<Failure>> for Problem {
    fn from(error: CallError<Failure>) -> Self {
        match error {
            CallError::Runtime(error) => error.into(),
            CallError::Returned(failure) => Self {
                failure: Some(Box::new(failure.clone())),
                ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "OperationFailed", failure.to_string())
            },
        }
    }
}

/// The code that goes with each kind of error.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidId
        | ErrorKind::InvalidArguments
        | ErrorKind::Serialization
        | ErrorKind::Unregistered
        | ErrorKind::UnknownOperation => StatusCode::BAD_REQUEST,
        ErrorKind::ReadOnly => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists
        | ErrorKind::WrongState
        | ErrorKind::Quarantined
        | ErrorKind::Stopped
        | ErrorKind::Terminated => StatusCode::CONFLICT,
        ErrorKind::Ended => StatusCode::GONE,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // The one of the draft on the header `Idempotency-Key` for a key that was used for another request.
        ErrorKind::OperationFailed | ErrorKind::RequestIdReused => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Overloaded | ErrorKind::Closed | ErrorKind::Poisoned => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        // Panics and damage, and what only code within the hub meets.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message is cut between two characters, and says how long it was.
    #[test]
    fn a_message_is_bounded() {
        let whole = "x".to_owned() + &"é".repeat(MESSAGE_BYTES);
        let cut = bounded(whole.clone());
        assert!(cut.len() < MESSAGE_BYTES + 32, "{}", cut.len());
        assert!(cut.ends_with(&format!("é… ({} bytes)", whole.len())));
        assert_eq!(bounded("short".to_owned()), "short");
    }

    /// What a client can do something about is no fault of the server, and what comes from within the hub is.
    #[test]
    fn each_kind_of_error_has_its_code() {
        for (status, kinds) in [
            (
                400,
                &[
                    ErrorKind::InvalidId,
                    ErrorKind::InvalidArguments,
                    ErrorKind::Serialization,
                    ErrorKind::Unregistered,
                    ErrorKind::UnknownOperation,
                ] as &[_],
            ),
            (403, &[ErrorKind::ReadOnly]),
            (404, &[ErrorKind::NotFound]),
            (
                409,
                &[ErrorKind::AlreadyExists, ErrorKind::WrongState, ErrorKind::Quarantined],
            ),
            (410, &[ErrorKind::Ended]),
            (413, &[ErrorKind::TooLarge]),
            (422, &[ErrorKind::OperationFailed, ErrorKind::RequestIdReused]),
            (
                500,
                &[
                    ErrorKind::Panicked,
                    ErrorKind::Corrupted,
                    ErrorKind::Io,
                    ErrorKind::LockLost,
                ],
            ),
            (503, &[ErrorKind::Overloaded, ErrorKind::Closed, ErrorKind::Poisoned]),
            (504, &[ErrorKind::TimedOut]),
        ] {
            for kind in kinds {
                let response = Problem::from(Error::new(*kind, "why")).into_response();
                assert_eq!(response.status(), status, "{kind:?}");
                assert_eq!(
                    response.headers().contains_key(header::RETRY_AFTER),
                    status == 503,
                    "{kind:?}"
                );
            }
        }
    }
}
