//! Routes for one entity.

use std::future::IntoFuture;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::entity::CallError;
use crate::error::{Error, ErrorKind};
use crate::http::documents::{
    EntityArguments, EntityDetailsDocument, ErrorDocument, OperationArguments, OperationHeaders, OperationRefused,
};
use crate::http::error::Problem;
use crate::http::extract::{EntityPath, IdempotencyKey, Path};
use crate::http::names;
use crate::http::payload::Payload;
use crate::http::query::Query;
use crate::http::response_budget;
use crate::http::state::Api;
use crate::id::EntityId;

/// Shows the state of an entity
#[utoipa::path(
    get,
    path = "/entities/{name}/{key}",
    tag = "entities",
    params(
        EntityArguments
    ),
    responses(
        (status = 200, description = "The state.", body = serde_json::Value),
        (status = 400, description = "The name or the key is invalid.", body = ErrorDocument),
        (status = 404, description = "The entity has no state.", body = ErrorDocument),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn get_entity(State(api): State<Arc<Api>>, EntityPath(id): EntityPath) -> Result<Response, Problem> {
    match api.client.untyped_entity(&id).state().await? {
        Some(state) => api.budget.answer_text(StatusCode::OK, state.into_bytes()),
        None => Err(Problem::not_found(format!(
            "the entity `{id}` has no state; it never had one, or it was deleted"
        ))),
    }
}

/// Signals or calls an entity
///
/// A signal is one-way, and its response means that it is durable. With `wait=true`, the operation is called, and its
/// result is the response.
///
/// The input is JSON if the content type is JSON, or if there is no content type and the body is valid JSON. Any other
/// text becomes a JSON string, and an empty body is no input. An operation with one parameter takes the input itself.
/// An operation with several parameters takes an object with their names.
#[utoipa::path(
    post,
    path = "/entities/{name}/{key}",
    tag = "entities",
    params(
        EntityArguments,
        OperationArguments,
        OperationHeaders
    ),
    request_body(content = Option<serde_json::Value>, description = "The input."),
    responses(
        (status = 200, description = "With `wait`: the result of the operation.", body = serde_json::Value),
        (status = 202, description = "The signal will be processed."),
        OperationRefused
    )
)]
pub(super) async fn ask_entity(
    State(api): State<Arc<Api>>,
    EntityPath(id): EntityPath,
    query: Query,
    IdempotencyKey(key): IdempotencyKey,
    payload: Payload,
) -> Result<Response, Problem> {
    ask(&api, &id, &query, key, &payload).await
}

/// Signals or calls the entity with the empty key
///
/// Works like the route with a key.
#[utoipa::path(
    post,
    path = "/entities/{name}",
    tag = "entities",
    params(
        ("name" = String, Path, description = "The name of the type."),
        OperationArguments,
        OperationHeaders
    ),
    request_body(content = Option<serde_json::Value>, description = "The input."),
    responses(
        (status = 200, description = "With `wait`: the result of the operation.", body = serde_json::Value),
        (status = 202, description = "The signal will be processed."),
        OperationRefused
    )
)]
pub(super) async fn ask_entity_without_key(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    query: Query,
    IdempotencyKey(key): IdempotencyKey,
    payload: Payload,
) -> Result<Response, Problem> {
    ask(&api, &EntityId::new(&name, "")?, &query, key, &payload).await
}

async fn ask(
    api: &Api,
    id: &EntityId,
    query: &Query,
    key: Option<String>,
    payload: &Payload,
) -> Result<Response, Problem> {
    let operation = query.text("op").ok_or_else(|| {
        Problem::bad_request(
            "InvalidQuery",
            "the parameter `op` is missing; set it to the name of the operation",
        )
    })?;
    let operation = names::operation(api, id, operation)?;
    let wait = query.flag("wait", false)?;
    let entity = api.client.untyped_entity(id);
    let mut refused = None;
    for input in payload.operation_inputs()? {
        let answered = if wait {
            let mut call = entity.call(&operation, input).refuse_when_full();
            if let Some(key) = &key {
                call = call.request_id(key);
            }
            match tokio::time::timeout(api.wait_limit, call.into_future()).await {
                Ok(answered) => answered.map(Some),
                Err(_) => return Err(not_in_time(id)),
            }
        } else {
            let mut signal = entity.signal(&operation, input).refuse_when_full();
            if let Some(key) = &key {
                signal = signal.request_id(key);
            }
            signal.await.map(|()| None).map_err(CallError::Runtime)
        };
        match answered {
            Ok(Some(answer)) => return api.budget.answer_text(StatusCode::OK, answer.into_bytes()),
            Ok(None) => return Ok(StatusCode::ACCEPTED.into_response()),
            // Nothing was stored. Another interpretation of the input may fit.
            Err(CallError::Runtime(error)) if error.kind() == ErrorKind::InvalidArguments => refused = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    let none = || Error::new(ErrorKind::InvalidArguments, "there is no input");
    Err(refused.unwrap_or_else(none).into())
}

/// Signals `delete` to an entity
#[utoipa::path(
    delete,
    path = "/entities/{name}/{key}",
    tag = "entities",
    params(
        EntityArguments,
        ("Idempotency-Key" = Option<String>, Header, description = "Makes retries idempotent: requests with the same key take effect once.")
    ),
    responses(
        (status = 202, description = "The signal will be processed."),
        (status = 400, description = "The type is unknown, or the key is invalid.", body = ErrorDocument),
        (status = 422, description = "The idempotency key was used for another request.", body = ErrorDocument),
        (status = 503, description = "The hub is overloaded.", body = ErrorDocument)
    )
)]
pub(super) async fn delete_entity(
    State(api): State<Arc<Api>>,
    EntityPath(id): EntityPath,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<StatusCode, Problem> {
    let mut signal = api.client.untyped_entity(&id).signal("delete", "").refuse_when_full();
    if let Some(key) = key {
        signal = signal.request_id(key);
    }
    signal.await?;
    Ok(StatusCode::ACCEPTED)
}

fn not_in_time(id: &EntityId) -> Problem {
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "TimedOut",
        format!(
            "`{id}` has not responded in time; the operation still takes effect, and a retry with the same \
             `Idempotency-Key` returns its result"
        ),
    )
}

/// Shows everything about an entity
///
/// Its state, its lock, its quarantine, the messages that wait for it, and its scheduled signals. Messages that are
/// processed right after they arrive are never shown.
#[utoipa::path(
    get,
    path = "/entities/{name}/{key}/details",
    tag = "entities",
    params(EntityArguments),
    responses(
        (status = 200, description = "The entity, whether or not it has a state.", body = EntityDetailsDocument),
        (status = 400, description = "The name or the key is invalid.", body = ErrorDocument),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn get_entity_details(
    State(api): State<Arc<Api>>,
    EntityPath(id): EntityPath,
) -> Result<Response, Problem> {
    let share = api.budget.take(response_budget::PAGE).await?;
    let details = api.client.admin().entity_details(&id).await?;
    share.answer(&EntityDetailsDocument::from(details))
}

/// Deletes the kept changes of an entity's state
///
/// The state itself stays as it is. Types with `#[entity(audit = 20)]` keep changes.
#[utoipa::path(
    delete,
    path = "/entities/{name}/{key}/changes",
    tag = "entities",
    params(EntityArguments),
    responses(
        (status = 204, description = "The changes are deleted."),
        (status = 400, description = "The name or the key is invalid.", body = ErrorDocument),
        (status = 404, description = "No changes are kept.", body = ErrorDocument)
    )
)]
pub(super) async fn delete_entity_changes(
    State(api): State<Arc<Api>>,
    EntityPath(id): EntityPath,
) -> Result<StatusCode, Problem> {
    if api.client.admin().delete_entity_changes(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(format!(
            "no changes of the entity `{id}` are kept; only types with `#[entity(audit = 20)]` keep them"
        )))
    }
}
