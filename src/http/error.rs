//! Errors as clients hear them.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// The body of every error: `{"error": {"code", "message"}}`.
pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
