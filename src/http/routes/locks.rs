//! Routes for entity locks.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::http::documents::{EntityArguments, ErrorDocument, LockDocument, PageArguments, PageHeaders, PageRefused};
use crate::http::error::Problem;
use crate::http::extract::EntityPath;
use crate::http::page::{self, List};
use crate::http::query::Query;
use crate::http::state::Api;

/// Lists locked entities
#[utoipa::path(
    get,
    path = "/locks",
    tag = "repair",
    params(
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [LockDocument], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_locks(
    State(api): State<Arc<Api>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = api.client.admin().locks();
    page::respond::<_, LockDocument>(&api, List::Locks, list, &query, &headers).await
}

/// Releases the lock of an entity by force
///
/// A remedy for an owner that will never continue. If it does, its next call of the entity fails with `LockLost`.
#[utoipa::path(
    delete,
    path = "/locks/{name}/{key}",
    tag = "repair",
    params(
        EntityArguments
    ),
    responses(
        (status = 204, description = "The entity is no longer locked."),
        (status = 400, description = "The name or the key is invalid.", body = ErrorDocument),
        (status = 404, description = "The entity was not locked.", body = ErrorDocument)
    )
)]
pub(super) async fn release_lock(
    State(api): State<Arc<Api>>,
    EntityPath(id): EntityPath,
) -> Result<StatusCode, Problem> {
    if api.client.admin().release_lock(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(format!("the entity `{id}` is not locked")))
    }
}
