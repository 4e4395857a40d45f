//! Stub.
use crate::client::Client;
use crate::error::Result;
use crate::http::config::HttpConfig;
use crate::http::security::{Guard, protect, protect_open};
use std::sync::Arc;
/// Stub.
pub fn router(_client: Client, config: &HttpConfig) -> Result<axum::Router> {
    let guard = Arc::new(Guard::new(config)?);
    let open = protect_open(
        axum::Router::new().route("/health", axum::routing::get(|| async { "{}" })),
        Arc::clone(&guard),
    );
    let closed = protect(axum::Router::new(), guard);
    Ok(axum::Router::new().nest_service(crate::http::BASE_PATH, open.merge(closed)))
}
