//! Routes for dead letters: messages that could not be processed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::http::documents::{DeadLetterDocument, ErrorDocument, PageArguments, PageHeaders, PageRefused};
use crate::http::error::Problem;
use crate::http::extract::Path;
use crate::http::page::{self, List};
use crate::http::query::Query;
use crate::http::state::Api;

/// Lists dead letters
///
/// Dead letters are messages that could not be processed.
#[utoipa::path(
    get,
    path = "/dead-letters",
    tag = "repair",
    params(
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [DeadLetterDocument], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_dead_letters(
    State(api): State<Arc<Api>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = api.client.admin().dead_letters();
    page::respond::<_, DeadLetterDocument>(&api, List::DeadLetters, list, &query, &headers).await
}

/// Redelivers a dead letter
///
/// Sends it as a new message to the end of its entity's queue.
#[utoipa::path(
    post,
    path = "/dead-letters/{id}/redeliver",
    tag = "repair",
    params(("id" = String, Path, description = "The id of the dead letter.")),
    responses(
        (status = 202, description = "The message is sent."),
        (status = 400, description = "The id is not a valid id of a dead letter.", body = ErrorDocument),
        (status = 404, description = "The dead letter does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn redeliver(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    if api.client.admin().redeliver(&id).await? {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(missing(&id))
    }
}

/// Deletes a dead letter
#[utoipa::path(
    delete,
    path = "/dead-letters/{id}",
    tag = "repair",
    params(("id" = String, Path, description = "The id of the dead letter.")),
    responses(
        (status = 204, description = "The dead letter is deleted."),
        (status = 400, description = "The id is not a valid id of a dead letter.", body = ErrorDocument),
        (status = 404, description = "The dead letter does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn drop_dead_letter(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if api.client.admin().drop_dead_letter(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing(&id))
    }
}

fn missing(id: &str) -> Problem {
    Problem::not_found(format!(
        "there is no dead letter `{id}`; it was redelivered or dropped, or it has expired"
    ))
}
