//! The hub as a whole.

use axum::http::StatusCode;
use axum::response::Response;
use utoipa::openapi::Server;

use crate::http::documents::json;
use crate::http::links::ManagementUrls;
use crate::http::routes::DOCUMENT;

/// Describes this API
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "hub",
    responses((status = 200, description = "The description in the form of OpenAPI 3.1.", body = serde_json::Value))
)]
pub(super) async fn openapi(urls: ManagementUrls) -> Response {
    let mut document = DOCUMENT.clone();
    document.servers = Some(vec![Server::new(urls.base())]);
    json(StatusCode::OK, &document)
}
