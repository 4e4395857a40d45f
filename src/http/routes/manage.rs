//! What is done to one orchestration.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::error::ErrorKind;
use crate::http::documents::{CheckStatus, ErrorDocument, OrderRefused, ReasonArguments, WaitArguments};
use crate::http::error::Problem;
use crate::http::extract::{IdempotencyKey, Path};
use crate::http::links::ManagementUrls;
use crate::http::payload::Payload;
use crate::http::query::Query;
use crate::http::routes::wait::{self, Wait};
use crate::http::state::Api;
use crate::store::records::instance::OrchestrationStatus;

/// Raises an event
///
/// The payload is JSON; an empty body is `null`. The answer means that the event is durable, not that it was read.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/raiseEvent/{eventName}",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ("eventName" = String, Path, description = "The name of the event, whose case does not matter."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry mean the same event.")
    ),
    request_body(content = Option<serde_json::Value>, description = "What the event carries."),
    responses(
        (status = 202, description = "It was raised."),
        (status = 400, description = "The payload is no JSON, or an argument is wrong.", body = ErrorDocument),
        (status = 404, description = "There is no orchestration of this id.", body = ErrorDocument),
        (status = 410, description = "The orchestration has ended.", body = ErrorDocument),
        (status = 413, description = "The payload is too large.", body = ErrorDocument),
        (status = 422, description = "The idempotency key was used for another event.", body = ErrorDocument),
        (status = 503, description = "The hub has no room now.", body = ErrorDocument)
    )
)]
pub(super) async fn raise_event(
    State(api): State<Arc<Api>>,
    Path((id, event)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    payload: Payload,
) -> Result<StatusCode, Problem> {
    let run = api.client.untyped_orchestration(id);
    let mut raise = run.raise_event_with_json(event, payload.event()?).refuse_when_full();
    if let Some(key) = key {
        raise = raise.request_id(key);
    }
    raise.await?;
    Ok(StatusCode::ACCEPTED)
}

/// Ends an orchestration at once
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/terminate",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ReasonArguments
    ),
    responses(
        (status = 202, description = "It ends."),
        OrderRefused
    )
)]
pub(super) async fn terminate(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Problem> {
    api.client.untyped_orchestration(id).terminate(reason(&query)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Lets an orchestration rest
///
/// Activities that run finish, and everything that comes waits until it is resumed.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/suspend",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ReasonArguments
    ),
    responses(
        (status = 202, description = "It rests."),
        OrderRefused
    )
)]
pub(super) async fn suspend(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Problem> {
    api.client.untyped_orchestration(id).suspend(reason(&query)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Lets an orchestration go on
///
/// One that was suspended, or that is stopped.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/resume",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ReasonArguments
    ),
    responses(
        (status = 202, description = "It goes on."),
        OrderRefused
    )
)]
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Problem> {
    api.client.untyped_orchestration(id).resume(reason(&query)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Begins a failed orchestration again from before its failure
///
/// The results of what was done are kept.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/rewind",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ReasonArguments
    ),
    responses(
        (status = 202, description = "It goes on."),
        (status = 400, description = "The id is wrong.", body = ErrorDocument),
        (status = 404, description = "There is none of this id.", body = ErrorDocument),
        (status = 409, description = "It has not ended, or nothing of it failed.", body = ErrorDocument),
        (status = 410, description = "It has ended otherwise than by a failure.", body = ErrorDocument)
    )
)]
pub(super) async fn rewind(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Problem> {
    let run = api.client.untyped_orchestration(id);
    let Err(error) = run.rewind(reason(&query)).await else {
        return Ok(StatusCode::ACCEPTED);
    };
    if error.kind() == ErrorKind::WrongState
        && let Some(info) = run.status().without_input().await?
        && info.status.is_terminal()
        && info.status != OrchestrationStatus::Failed
    {
        return Err(Problem::from(error).with_status(StatusCode::GONE));
    }
    Err(error.into())
}

/// Starts an orchestration once more with its input
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/restart",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ("restartWithNewInstanceId" = Option<bool>, Query, description = "Whether the new one gets an id of its own; it does if nothing is said."),
        WaitArguments
    ),
    responses(
        (status = 202, description = "It was started.", body = CheckStatus, headers(
            ("Location" = String, description = "Where to ask how it stands."),
            ("Retry-After" = u32, description = "When to ask, in seconds.")
        )),
        (status = 200, description = "With `timeout`: its output, or how it stands if it failed or was terminated.", body = serde_json::Value),
        (status = 400, description = "An argument is wrong, or its type is not registered any more.", body = ErrorDocument),
        (status = 404, description = "There is none of this id.", body = ErrorDocument),
        (status = 409, description = "It keeps its id and has not ended.", body = ErrorDocument),
        (status = 500, description = "With `returnInternalServerErrorOnFailure`: it failed.", body = serde_json::Value)
    )
)]
pub(super) async fn restart(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    urls: ManagementUrls,
    query: Query,
) -> Result<Response, Problem> {
    let wait = Wait::of(&query, &api)?;
    let mut run = api.client.untyped_orchestration(id);
    if query.flag("restartWithNewInstanceId", true)? {
        run = run.restart_as_new().await?;
    } else {
        run.restart().await?;
    }
    wait::answer(&api, &urls, wait, &run).await
}

fn reason(query: &Query) -> &str {
    query.text("reason").unwrap_or_default()
}
