//! What several routes take and answer, for the description of the API. The routes read it themselves.

use utoipa::{IntoParams, IntoResponses};

use crate::http::documents::ErrorDocument;

/// How much of a list is wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct PageArguments {
    /// The most on one page; 100 if nothing is said, 10 000 at most.
    top: Option<u32>,
}

/// Where a list goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct PageHeaders {
    /// What the page before gave.
    #[param(rename = "x-ms-continuation-token")]
    token: Option<String>,
}

/// When orchestrations of a list were started.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct CreatedArguments {
    /// Only those that were started at this time or later.
    created_time_from: Option<String>,
    /// Only those that were started at this time or before.
    created_time_to: Option<String>,
}

/// When entities of a list were changed, and what is shown of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct EntitiesArguments {
    /// Only those whose state was written at this time or later.
    last_operation_time_from: Option<String>,
    /// Only those whose state was written at this time or before.
    last_operation_time_to: Option<String>,
    /// Whether to show states.
    fetch_state: Option<bool>,
}

/// How a start waits.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct WaitArguments {
    /// Waits for the end, at most so many seconds.
    timeout: Option<f64>,
    /// Accepted and of no effect: the end is not polled.
    polling_interval: Option<f64>,
    /// With `timeout`: 500 if it failed.
    return_internal_server_error_on_failure: Option<bool>,
}

/// What makes a start one, and the trace that it belongs to.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct StartHeaders {
    /// Makes a retry mean the same orchestration.
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
    /// The trace that the orchestration goes on with.
    traceparent: Option<String>,
    /// Belongs to `traceparent`.
    tracestate: Option<String>,
}

/// One entity.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct EntityArguments {
    /// The name of the type.
    name: String,
    /// The key; `$` for the empty one.
    key: String,
}

/// The operation of an entity that is asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct OperationArguments {
    /// The name of the operation. Case does not matter unless several names differ only in case.
    op: String,
    /// Whether to call the operation and wait for its result.
    wait: Option<bool>,
}

/// The header that makes retries safe.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct OperationHeaders {
    /// Makes a retry take effect once, with the same answer.
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
}

/// One orchestration, and why something is done to it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) struct ReasonArguments {
    /// Why.
    reason: Option<String>,
}

/// Why there is no page of a list.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) enum PageRefused {
    /// An argument or the token is wrong.
    #[response(status = 400)]
    Wrong(ErrorDocument),
    /// There is no room for the answer now.
    #[response(status = 503)]
    NoRoom(ErrorDocument),
}

/// Why an operation is not done.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) enum OperationRefused {
    /// The type or the operation is unknown, or an argument or the input is wrong.
    #[response(status = 400)]
    Wrong(ErrorDocument),
    /// The entity is quarantined.
    #[response(status = 409)]
    Quarantined(ErrorDocument),
    /// The input is too large.
    #[response(status = 413)]
    TooLarge(ErrorDocument),
    /// The operation returned an error, which `failure` holds; or the idempotency key was used for something else.
    #[response(status = 422)]
    Failed(ErrorDocument),
    /// The operation panicked.
    #[response(status = 500)]
    Panicked(ErrorDocument),
    /// The hub has no room now.
    #[response(status = 503)]
    NoRoom(ErrorDocument),
    /// There was no answer in time.
    #[response(status = 504)]
    NotInTime(ErrorDocument),
}

/// Why an orchestration is not started.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) enum StartRefused {
    /// The name is unknown, or an argument or the input is wrong.
    #[response(status = 400)]
    Wrong(ErrorDocument),
    /// The input is too large.
    #[response(status = 413)]
    TooLarge(ErrorDocument),
    /// The idempotency key was used for another start.
    #[response(status = 422)]
    KeyReused(ErrorDocument),
    /// The hub has no room now.
    #[response(status = 503)]
    NoRoom(ErrorDocument),
}

/// Why nothing is done to an orchestration.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes")]
pub(in crate::http) enum OrderRefused {
    /// The id is wrong.
    #[response(status = 400)]
    Wrong(ErrorDocument),
    /// There is none of this id.
    #[response(status = 404)]
    Nobody(ErrorDocument),
    /// It has ended.
    #[response(status = 410)]
    Ended(ErrorDocument),
}
