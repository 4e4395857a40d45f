//! Errors of HTTP requests.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::entity::OperationError;
use crate::failure::Failure;

/// The error of an HTTP request without a response. A response is not an error, whatever its status.
///
/// A [retry policy](crate::http_client::HttpCall::retry) applies only to [`ConnectionFailed`](Self::ConnectionFailed)
/// and [`TimedOut`](Self::TimedOut).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL is invalid, or not an `http` or `https` URL with a host. Nothing was sent.
    #[error("invalid URL `{url}`: {reason}")]
    InvalidUrl {
        /// The URL as it was given.
        url: String,
        /// The reason why the URL is invalid.
        reason: String,
    },
    /// The method or a header is invalid. Nothing was sent.
    #[error("the request to `{url}` cannot be sent: {reason}")]
    InvalidRequest {
        /// The URL of the request.
        url: String,
        /// The reason why the request is invalid.
        reason: String,
    },
    /// The host is unknown, or the connection was refused, took longer than ten seconds, was interrupted, or did not
    /// speak HTTP or TLS. The server may have received the request.
    #[error("the connection to `{url}` failed: {reason}")]
    ConnectionFailed {
        /// The URL of the request.
        url: String,
        /// The reason of the failure.
        reason: String,
    },
    /// No complete response arrived in time. The server may have received the request.
    #[error("no response from `{url}` within {after:?}")]
    TimedOut {
        /// The URL of the request. If the time limit of the whole call expired, the URL of the first request.
        url: String,
        /// The time limit that expired: that of one exchange, or of the whole call.
        after: Duration,
    },
    /// The response exceeds the limit, and was not read any further. The server has received the request.
    #[error("the response from `{url}` is larger than {limit} bytes")]
    TooLarge {
        /// The URL of the request.
        url: String,
        /// The limit in bytes: the hub's for payloads, or the client's for the head of a response.
        limit: usize,
    },
}

impl HttpError {
    /// Converts the error to its stored form, marked as non-retriable if a retry cannot help.
    pub(crate) fn into_failure(self) -> Failure {
        let failure = self.to_failure();
        match self {
            Self::ConnectionFailed { .. } | Self::TimedOut { .. } => failure,
            Self::InvalidUrl { .. } | Self::InvalidRequest { .. } | Self::TooLarge { .. } => failure.non_retriable(),
        }
    }
}
