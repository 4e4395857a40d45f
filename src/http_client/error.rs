//! Why a request has no answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::entity::OperationError;
use crate::failure::Failure;

/// Why an HTTP request has no answer. An answer of whatever status is no error.
///
/// A [retry policy](crate::http_client::HttpCall::retry) repeats what [`ConnectionFailed`](Self::ConnectionFailed) or
/// [`TimedOut`](Self::TimedOut), and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL is none, or not one of `http` or `https` with a host. Nothing was sent.
    #[error("`{url}` is no URL that can be asked: {reason}")]
    InvalidUrl {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The method or a header cannot be written. Nothing was sent.
    #[error("the request to `{url}` cannot be sent: {reason}")]
    InvalidRequest {
        /// The URL of the request.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host is not known, or the connection was refused, took longer than ten seconds, broke, or did not speak HTTP or
    /// TLS. The request may have been taken in.
    #[error("the connection to `{url}` failed: {reason}")]
    ConnectionFailed {
        /// The URL of the request.
        url: String,
        /// What the connection met.
        reason: String,
    },
    /// There was no whole answer in time. The request may have been taken in.
    #[error("`{url}` gave no answer within {after:?}")]
    TimedOut {
        /// The URL of the request; of the first one if the time of the whole call was over.
        url: String,
        /// The limit that was over: of one exchange, or of the whole call.
        after: Duration,
    },
    /// The answer is over the limit, and was not read any further. The request was taken in.
    #[error("the answer of `{url}` is larger than {limit} bytes")]
    TooLarge {
        /// The URL of the request.
        url: String,
        /// The limit in bytes: the hub's for payloads, or the client's for the head of an answer.
        limit: usize,
    },
}

impl HttpError {
    /// As the activity stores it, marked if no retry mends it.
    pub(super) fn into_failure(self) -> Failure {
        let failure = self.to_failure();
        match self {
            Self::ConnectionFailed { .. } | Self::TimedOut { .. } => failure,
            Self::InvalidUrl { .. } | Self::InvalidRequest { .. } | Self::TooLarge { .. } => failure.non_retriable(),
        }
    }
}
