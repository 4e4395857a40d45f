//! Routes for actions on many orchestrations.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::documents::{BatchDocument, BatchRequest, ErrorDocument, json};
use crate::http::error::Problem;
use crate::http::extract::Path;
use crate::http::payload::Payload;
use crate::http::state::Api;

/// Applies an action to many orchestrations
///
/// The batch runs in the background. At most four run at the same time. It is not durable: if the process ends, the
/// batch ends, and the orchestrations that it has reached keep what was done to them.
#[utoipa::path(
    post,
    path = "/batches",
    tag = "orchestrations",
    request_body(content = BatchRequest, description = "The action, and the orchestrations by id or by a filter."),
    responses(
        (status = 202, description = "The batch has begun.", body = BatchDocument),
        (status = 400, description = "The request is invalid.", body = ErrorDocument),
        (status = 503, description = "Four batches run already.", body = ErrorDocument)
    )
)]
pub(super) async fn begin_batch(State(api): State<Arc<Api>>, payload: Payload) -> Result<Response, Problem> {
    // A directory that is only inspected refuses before a batch begins.
    api.client.runtime()?;
    let request = BatchRequest::parse(&payload.event()?)?;
    let (action, batch) = request.prepare(&api)?;
    let running = api.batches.begin(action, api.now(), batch, Arc::downgrade(&api))?;
    Ok(json(StatusCode::ACCEPTED, &BatchDocument::from(&*running)))
}

/// Lists the batches that run and the last hundred that have ended
#[utoipa::path(
    get,
    path = "/batches",
    tag = "orchestrations",
    responses((status = 200, description = "The batches, newest first.", body = [BatchDocument]))
)]
pub(super) async fn list_batches(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    api.client.health()?;
    let batches = api.batches.all();
    let documents: Vec<BatchDocument> = batches.iter().map(|batch| BatchDocument::from(&**batch)).collect();
    api.budget.answer(&documents)
}

/// Shows a batch
#[utoipa::path(
    get,
    path = "/batches/{id}",
    tag = "orchestrations",
    params(("id" = String, Path, description = "The id of the batch.")),
    responses(
        (status = 200, description = "The batch.", body = BatchDocument),
        (status = 404, description = "The batch does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn get_batch(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    api.client.health()?;
    let batch = api.batches.get(&id).ok_or_else(|| missing(&id))?;
    Ok(json(StatusCode::OK, &BatchDocument::from(&*batch)))
}

/// Cancels a batch
///
/// Actions that have begun are completed.
#[utoipa::path(
    delete,
    path = "/batches/{id}",
    tag = "orchestrations",
    params(("id" = String, Path, description = "The id of the batch.")),
    responses(
        (status = 202, description = "The batch ends soon, or has ended.", body = BatchDocument),
        (status = 404, description = "The batch does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn cancel_batch(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    api.client.health()?;
    let batch = api.batches.get(&id).ok_or_else(|| missing(&id))?;
    batch.progress.cancel();
    Ok(json(StatusCode::ACCEPTED, &BatchDocument::from(&*batch)))
}

fn missing(id: &str) -> Problem {
    let id: String = id.chars().take(64).collect();
    Problem::not_found(format!(
        "there is no batch `{}`; a batch is known until the program ends or a hundred others have ended after it",
        id.escape_debug()
    ))
}
