//! Error documents.

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::failure::{Cause, Failure};
use crate::http::documents::Raw;

/// Body of an error response.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ErrorDocument {
    pub(in crate::http) error: ErrorBody,
    /// Repeats the message, with status 400, for clients of Azure's API.
    #[serde(rename = "ExceptionMessage", skip_serializing_if = "Option::is_none")]
    pub(in crate::http) exception_message: Option<String>,
}

/// Details of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ErrorBody {
    /// Machine-readable code, such as `NotFound`.
    pub(in crate::http) code: String,
    /// Human-readable message, with the subject, the reason and the way out.
    pub(in crate::http) message: String,
    /// Error that the called operation of an entity returned, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) failure: Option<FailureDocument>,
}

/// Record of an error that an orchestration, an activity or an operation returned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct FailureDocument {
    /// Type of the error.
    error_type: String,
    /// Message of the error.
    message: String,
    /// The error itself, if its type is serializable.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Raw>,
    /// Sources of the error, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<CauseDocument>,
    /// Stack trace, if available.
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Box<str>>,
    /// `true` if a retry is known to be useless.
    non_retriable: bool,
}

/// One source of an error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct CauseDocument {
    /// Type of the source, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<String>,
    /// Message of the source.
    message: String,
    /// Stack trace, if available.
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Box<str>>,
}

impl From<Cause> for CauseDocument {
    fn from(cause: Cause) -> Self {
        Self {
            error_type: cause.error_type,
            message: cause.message,
            stack: cause.stack,
        }
    }
}

impl From<Failure> for FailureDocument {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.error_type,
            message: failure.message,
            details: failure.details.map(Raw::new),
            causes: failure.causes.into_iter().map(CauseDocument::from).collect(),
            stack: failure.stack,
            non_retriable: failure.non_retriable,
        }
    }
}

impl From<Error> for FailureDocument {
    fn from(error: Error) -> Self {
        Self {
            error_type: format!("{:?}", error.kind()),
            message: error.to_string(),
            details: None,
            causes: Vec::new(),
            stack: None,
            non_retriable: false,
        }
    }
}
