//! Why something was not done.

use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::{Cause, Failure};
use crate::http::documents::Raw;

/// Why a request was not done.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ErrorDocument {
    pub(in crate::http) error: ErrorBody,
    /// The message once more, with status 400, for clients of Azure's API.
    #[serde(rename = "ExceptionMessage", skip_serializing_if = "Option::is_none")]
    pub(in crate::http) exception_message: Option<String>,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ErrorBody {
    /// One word for programs, such as `NotFound`.
    pub(in crate::http) code: String,
    /// For people: the thing, the reason and the way out.
    pub(in crate::http) message: String,
    /// What the operation of an entity returned, if it was called and failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) failure: Option<FailureDocument>,
}

/// The record of an error that an orchestration, an activity or an operation returned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct FailureDocument {
    /// The type of the error.
    error_type: String,
    /// What it says of itself.
    message: String,
    /// The error itself, where its type is serialisable.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Raw>,
    /// Its sources, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<CauseDocument>,
    /// A stack trace, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Box<str>>,
    /// Whether a retry is known to be useless.
    non_retriable: bool,
}

/// One source of an error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct CauseDocument {
    /// Its type, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<String>,
    /// Its message.
    message: String,
    /// A stack trace, if there is one.
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

impl From<crate::Error> for FailureDocument {
    fn from(error: crate::Error) -> Self {
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
