//! Routes that manage one orchestration.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::error::ErrorKind;
use crate::http::documents::{
    CheckStatus, ErrorDocument, OrderRefused, ReasonArguments, RestartRequest, WaitArguments,
};
use crate::http::error::Problem;
use crate::http::extract::{IdempotencyKey, Path};
use crate::http::links::ManagementUrls;
use crate::http::payload::Payload;
use crate::http::query::Query;
use crate::http::routes::wait::{self, Wait};
use crate::http::state::Api;
use crate::model::orchestration::OrchestrationStatus;

/// Raises an event
///
/// The payload is JSON; an empty body is `null`. The response means that the event is durable, not that it was
/// processed.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/raiseEvent/{eventName}",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ("eventName" = String, Path, description = "The name of the event (case-insensitive)."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes retries idempotent: requests with the same key raise the event once.")
    ),
    request_body(content = Option<serde_json::Value>, description = "The payload of the event."),
    responses(
        (status = 202, description = "The event was raised."),
        (status = 400, description = "The payload is invalid JSON, or a parameter is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 410, description = "The orchestration has ended.", body = ErrorDocument),
        (status = 413, description = "The payload is too large.", body = ErrorDocument),
        (status = 422, description = "The idempotency key was used for another event.", body = ErrorDocument),
        (status = 503, description = "The hub is overloaded.", body = ErrorDocument)
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

/// Terminates an orchestration immediately
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/terminate",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ReasonArguments
    ),
    responses(
        (status = 202, description = "The orchestration ends."),
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

/// Suspends an orchestration
///
/// Running activities finish, and new messages wait until the orchestration is resumed.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/suspend",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ReasonArguments
    ),
    responses(
        (status = 202, description = "The orchestration is suspended."),
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

/// Resumes a suspended or stopped orchestration
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/resume",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ReasonArguments
    ),
    responses(
        (status = 202, description = "The orchestration is resumed."),
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

/// Rewinds a failed orchestration to before its failure
///
/// The results of completed steps are kept.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/rewind",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ReasonArguments
    ),
    responses(
        (status = 202, description = "The orchestration is rewound."),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 409, description = "The orchestration has not ended, or nothing in it has failed.", body = ErrorDocument),
        (status = 410, description = "The orchestration has ended with a status other than `Failed`.", body = ErrorDocument)
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

/// Restarts an orchestration, with its input or another one
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/restart",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ("restartWithNewInstanceId" = Option<bool>, Query, description = "Gives the new orchestration its own id (default: `true`)."),
        WaitArguments
    ),
    request_body(content = Option<RestartRequest>, description = "Another input. Without a body, the input is that of the last execution."),
    responses(
        (status = 202, description = "The orchestration was started.", body = CheckStatus, headers(
            ("Location" = String, description = "URL to query the status."),
            ("Retry-After" = u32, description = "Seconds to wait before the first query.")
        )),
        (status = 200, description = "With `timeout`: the output, or the status document if the orchestration failed or was terminated.", body = serde_json::Value),
        (status = 400, description = "A parameter is invalid, or the type is no longer registered.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 409, description = "The orchestration would keep its id and has not ended.", body = ErrorDocument),
        (status = 500, description = "With `returnInternalServerErrorOnFailure`: the orchestration failed.", body = serde_json::Value)
    )
)]
pub(super) async fn restart(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    urls: ManagementUrls,
    query: Query,
    payload: Payload,
) -> Result<Response, Problem> {
    let wait = Wait::of(&query, &api)?;
    let is_new = query.flag("restartWithNewInstanceId", true)?;
    // Clients of Azure declare any content type for an empty body.
    let request = RestartRequest::parse(&payload.inputs()?.swap_remove(0))?;
    let mut run = api.client.untyped_orchestration(&id);
    match request.into_input() {
        Some(input) => {
            let start = run.again_with(input).await?;
            run = if is_new {
                start.await?
            } else {
                start.instance_id(id).await?
            };
        }
        None if is_new => run = run.restart_as_new().await?,
        None => run.restart().await?,
    }
    wait::answer(&api, &urls, wait, &run).await
}

fn reason(query: &Query) -> &str {
    query.text("reason").unwrap_or_default()
}
