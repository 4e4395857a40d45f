//! Parameters and responses that several routes share, for the description of the API only. The routes parse them on
//! their own.

use utoipa::{IntoParams, IntoResponses};

use crate::http::documents::ErrorDocument;

/// Length of a page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct PageArguments {
    /// Maximum number of items on the page (default: 100, at most 10,000).
    top: Option<u32>,
}

/// Position at which a list continues.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct PageHeaders {
    /// Continuation token that the previous page returned.
    #[param(rename = "x-ms-continuation-token")]
    token: Option<String>,
}

/// Start times of the listed orchestrations.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct CreatedArguments {
    /// Lists only orchestrations started at or after this time.
    created_time_from: Option<String>,
    /// Lists only orchestrations started at or before this time.
    created_time_to: Option<String>,
}

/// Change times of the listed entities, and the details to show.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct EntitiesArguments {
    /// Lists only entities whose state was written at or after this time.
    last_operation_time_from: Option<String>,
    /// Lists only entities whose state was written at or before this time.
    last_operation_time_to: Option<String>,
    /// Includes the states (default: `false`).
    fetch_state: Option<bool>,
}

/// Wait options of a start.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct WaitArguments {
    /// Waits for the end, at most this many seconds (default: no wait).
    timeout: Option<f64>,
    /// Accepted but ignored, because the end is not polled.
    polling_interval: Option<f64>,
    /// With `timeout`: responds with 500 if the orchestration failed.
    return_internal_server_error_on_failure: Option<bool>,
}

/// Idempotency key and trace context of a start.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct StartHeaders {
    /// Makes retries idempotent: requests with the same key start one orchestration.
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
    /// Trace context that the orchestration continues.
    traceparent: Option<String>,
    /// Belongs to `traceparent`.
    tracestate: Option<String>,
}

/// Id of an entity.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct EntityArguments {
    /// The name of the type.
    name: String,
    /// The key, or `$` for the empty key.
    key: String,
}

/// Operation of an entity to signal or call.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct OperationArguments {
    /// The name of the operation. Case-insensitive unless several names differ only in case.
    op: String,
    /// Calls the operation and waits for its result (default: `false`).
    wait: Option<bool>,
}

/// Header that makes retries idempotent.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct OperationHeaders {
    /// Makes retries idempotent: requests with the same key take effect once and receive the same response.
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
}

/// Reason of a management request.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) struct ReasonArguments {
    /// The reason.
    reason: Option<String>,
}

/// Errors of a request for a page.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) enum PageRefused {
    /// A parameter or the continuation token is invalid.
    #[response(status = 400)]
    Wrong(ErrorDocument),
    /// There is currently not enough memory for the response.
    #[response(status = 503)]
    NoRoom(ErrorDocument),
}

/// Errors of a signal or a call.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) enum OperationRefused {
    /// The type or the operation is unknown, or a parameter or the input is invalid.
    #[response(status = 400)]
    Wrong(ErrorDocument),
    /// The entity is quarantined.
    #[response(status = 409)]
    Quarantined(ErrorDocument),
    /// The input is too large.
    #[response(status = 413)]
    TooLarge(ErrorDocument),
    /// The operation returned an error, which `failure` contains, or the idempotency key was used for another request.
    #[response(status = 422)]
    Failed(ErrorDocument),
    /// The operation panicked.
    #[response(status = 500)]
    Panicked(ErrorDocument),
    /// The hub is overloaded.
    #[response(status = 503)]
    NoRoom(ErrorDocument),
    /// The operation did not respond in time.
    #[response(status = 504)]
    NotInTime(ErrorDocument),
}

/// Errors of a start.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) enum StartRefused {
    /// The name is unknown, or a parameter or the input is invalid.
    #[response(status = 400)]
    Wrong(ErrorDocument),
    /// The input is too large.
    #[response(status = 413)]
    TooLarge(ErrorDocument),
    /// The idempotency key was used for another start.
    #[response(status = 422)]
    KeyReused(ErrorDocument),
    /// The hub is overloaded.
    #[response(status = 503)]
    NoRoom(ErrorDocument),
}

/// Errors of a management request.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes the API")]
pub(in crate::http) enum OrderRefused {
    /// The id is invalid.
    #[response(status = 400)]
    Wrong(ErrorDocument),
    /// The orchestration does not exist.
    #[response(status = 404)]
    NotFound(ErrorDocument),
    /// The orchestration has ended.
    #[response(status = 410)]
    Ended(ErrorDocument),
}
