//! Documents of the responses.

mod batch;
mod described;
mod entity;
mod error;
mod history;
mod hub;
mod instance;
mod raw;
mod registered;
mod schedule;

pub(super) use batch::{BatchDocument, BatchRequest};
pub(super) use described::{
    CreatedArguments, EntitiesArguments, EntityArguments, OperationArguments, OperationHeaders, OperationRefused,
    OrderRefused, PageArguments, PageHeaders, PageRefused, ReasonArguments, StartHeaders, StartRefused, WaitArguments,
};
pub(super) use entity::{DeadLetterDocument, EntityDetailsDocument, EntityDocument, LockDocument, QuarantineDocument};
pub(super) use error::{ErrorBody, ErrorDocument, FailureDocument};
pub(super) use history::{HistoryEventDocument, Shown, history};
pub(super) use hub::{CountsDocument, EntityCountDocument, Health, OrchestrationCountDocument, StatsDocument};
pub(super) use instance::{CheckStatus, InstancesDeleted, RestartRequest, StatusDocument};
pub(super) use raw::Raw;
pub(super) use registered::HubDocument;
pub(super) use schedule::{PlanDocument, ScheduleDocument};

use std::time::SystemTime;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Content type of all documents.
pub(super) const APPLICATION_JSON: &str = "application/json";

/// Returns a response with a small document.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Response {
    let text = serde_json::to_vec(document).unwrap_or_default();
    (
        status,
        [(header::CONTENT_TYPE, HeaderValue::from_static(APPLICATION_JSON))],
        Body::from(text),
    )
        .into_response()
}

/// Formats a time in RFC 3339: `2026-11-20T13:40:21.5Z`.
fn time(time: SystemTime) -> String {
    // Times beyond the range of jiff are shown as its maximum.
    jiff::Timestamp::try_from(time)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}
