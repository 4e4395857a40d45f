//! Error responses: one format for all errors, and the status code of each kind of error of the library.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::entity::CallError;
use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::http::documents::{ErrorBody, ErrorDocument, FailureDocument, json};

/// Seconds after which a client may retry a request that was answered with 503.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error response.
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

    /// Creates the error for an invalid parameter.
    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// Creates the error for a request that the server has no capacity for.
    pub(super) fn overloaded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Overloaded", message)
    }

    /// Replaces the status, for routes where the kind of error is not specific enough.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// Creates an error response: `{"error": {"code", "message"}}`.
pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    Problem::new(status, code.to_owned(), message).into_response()
}

/// Maximum length of an error message, in bytes. Panics and errors of a program can have any length.
const MESSAGE_BYTES: usize = 8 << 10;

/// Truncates a message that is too long for a response.
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
            // Clients of Azure's API read this field when a start is rejected.
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

/// An error that an operation returned is answered with 422 and the full record of the failure, because the request
/// itself was valid.
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

/// Returns the status code for a kind of error.
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
        // The draft on the header `Idempotency-Key` specifies 422 for a key that was used for another request.
        ErrorKind::OperationFailed | ErrorKind::RequestIdReused => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Overloaded
        | ErrorKind::Closed
        | ErrorKind::Replaced
        | ErrorKind::Poisoned
        | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unconfirmed => StatusCode::BAD_GATEWAY,
        ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        // Panics, corruption, and errors that occur only within the hub.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message is truncated between two characters and states its original length.
    #[test]
    fn a_message_is_bounded() {
        let whole = "x".to_owned() + &"é".repeat(MESSAGE_BYTES);
        let cut = bounded(whole.clone());
        assert!(cut.len() < MESSAGE_BYTES + 32, "{}", cut.len());
        assert!(cut.ends_with(&format!("é… ({} bytes)", whole.len())));
        assert_eq!(bounded("short".to_owned()), "short");
    }

    /// Errors that a client can fix have a 4xx status, and errors within the hub have a 5xx status.
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
            (
                503,
                &[
                    ErrorKind::Overloaded,
                    ErrorKind::Closed,
                    ErrorKind::Replaced,
                    ErrorKind::Poisoned,
                    ErrorKind::Unavailable,
                ],
            ),
            (502, &[ErrorKind::Unconfirmed]),
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
