//! One entity.

use std::future::IntoFuture;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::entity::CallError;
use crate::error::{Error, ErrorKind};
use crate::http::documents::{EntityArguments, ErrorDocument, OperationArguments, OperationHeaders, OperationRefused};
use crate::http::error::Problem;
use crate::http::extract::{EntityPath, IdempotencyKey, Path};
use crate::http::names;
use crate::http::payload::Payload;
use crate::http::query::Query;
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
        (status = 200, description = "Its state.", body = serde_json::Value),
        (status = 400, description = "The name or the key is wrong.", body = ErrorDocument),
        (status = 404, description = "It has none.", body = ErrorDocument),
        (status = 503, description = "There is no room for the answer now.", body = ErrorDocument)
    )
)]
pub(super) async fn get_entity(State(api): State<Arc<Api>>, EntityPath(id): EntityPath) -> Result<Response, Problem> {
    match api.client.untyped_entity(&id).state().await? {
        Some(state) => api.room.answer_text(StatusCode::OK, state.into_bytes()),
        None => Err(Problem::not_found(format!(
            "the entity `{id}` has no state; it never had one, or it was deleted"
        ))),
    }
}

/// Signals or calls an entity
///
/// A signal is one-way; its answer means that it is durable. With `wait=true` the operation is called, and its result is
/// the answer. The input is JSON if the content type says so, or says nothing and it is; any other text is taken as a JSON
/// string; an empty body is no input. An operation with one parameter takes the input itself, one with several an object by
/// their names.
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
        (status = 200, description = "With `wait`: what the operation answered.", body = serde_json::Value),
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
/// As with a key.
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
        (status = 200, description = "With `wait`: what the operation answered.", body = serde_json::Value),
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
            "the argument `op` is missing: say which operation is meant",
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
            Ok(Some(answer)) => return api.room.answer_text(StatusCode::OK, answer.into_bytes()),
            Ok(None) => return Ok(StatusCode::ACCEPTED.into_response()),
            // Nothing was stored. If the input can be understood in another way, that may fit.
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
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry take effect once.")
    ),
    responses(
        (status = 202, description = "The signal will be processed."),
        (status = 400, description = "The type is unknown, or the key is wrong.", body = ErrorDocument),
        (status = 422, description = "The idempotency key was used for something else.", body = ErrorDocument),
        (status = 503, description = "The hub has no room now.", body = ErrorDocument)
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
            "`{id}` has not answered in time; the operation takes effect all the same, and a retry with the same \
             `Idempotency-Key` asks for its answer again"
        ),
    )
}
