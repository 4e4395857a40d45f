//! Routes for quarantined entities.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::http::documents::{
    EntityArguments, ErrorDocument, PageArguments, PageHeaders, PageRefused, QuarantineDocument,
};
use crate::http::error::Problem;
use crate::http::extract::EntityPath;
use crate::http::page::{self, List};
use crate::http::query::Query;
use crate::http::state::Api;

/// Lists quarantined entities
///
/// Their messages wait because this build cannot use their states.
#[utoipa::path(
    get,
    path = "/quarantine",
    tag = "repair",
    params(
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [QuarantineDocument], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_quarantine(
    State(api): State<Arc<Api>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = api.client.admin().quarantined();
    page::respond::<_, QuarantineDocument>(&api, List::Quarantine, list, &query, &headers).await
}

/// Releases a quarantined or held entity
#[utoipa::path(
    post,
    path = "/quarantine/{name}/{key}/release",
    tag = "repair",
    params(
        EntityArguments
    ),
    responses(
        (status = 202, description = "The entity is resumed."),
        (status = 400, description = "The name or the key is invalid.", body = ErrorDocument),
        (status = 404, description = "The entity is neither quarantined nor held.", body = ErrorDocument)
    )
)]
pub(super) async fn resume_entity(
    State(api): State<Arc<Api>>,
    EntityPath(id): EntityPath,
) -> Result<StatusCode, Problem> {
    if api.client.admin().release_quarantine(&id).await? {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(Problem::not_found(format!(
            "the entity `{id}` is neither quarantined nor held"
        )))
    }
}
