//! Routes for schedules.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::http::documents::{
    CheckStatus, ErrorDocument, OperationHeaders, PageArguments, PageHeaders, PageRefused, PlanDocument,
    ScheduleDocument, json,
};
use crate::http::error::Problem;
use crate::http::extract::{IdempotencyKey, Path};
use crate::http::links::ManagementUrls;
use crate::http::page::{self, List};
use crate::http::payload::Payload;
use crate::http::query::Query;
use crate::http::state::Api;

/// Lists schedules
#[utoipa::path(
    get,
    path = "/schedules",
    tag = "schedules",
    params(
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [ScheduleDocument], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_schedules(
    State(api): State<Arc<Api>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = api.client.schedules().list();
    page::respond::<_, ScheduleDocument>(&api, List::Schedules, list, &query, &headers).await
}

/// Shows a schedule
#[utoipa::path(
    get,
    path = "/schedules/{id}",
    tag = "schedules",
    params(("id" = String, Path, description = "The id of the schedule.")),
    responses(
        (status = 200, description = "The schedule.", body = ScheduleDocument),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The schedule does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn get_schedule(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    match api.client.schedules().get(&id).await? {
        Some(schedule) => Ok(json(StatusCode::OK, &ScheduleDocument::from(schedule))),
        None => Err(Problem::not_found(format!(
            "there is no schedule `{}`; it was never created, or it was deleted",
            id.escape_debug()
        ))),
    }
}

/// Creates a schedule, or changes its plan
///
/// A schedule that has this plan already is left alone. A paused schedule stays paused, and a schedule that is changed
/// keeps its counts. Runs that are already due begin under the former plan.
#[utoipa::path(
    put,
    path = "/schedules/{id}",
    tag = "schedules",
    params(("id" = String, Path, description = "The id of the schedule.")),
    request_body(content = PlanDocument, description = "The plan."),
    responses(
        (status = 200, description = "The schedule.", body = ScheduleDocument),
        (status = 400, description = "The id or the plan is invalid.", body = ErrorDocument)
    )
)]
pub(super) async fn put_schedule(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    payload: Payload,
) -> Result<Response, Problem> {
    let schedules = api.client.schedules();
    let plan = PlanDocument::parse(&payload.event()?)?;
    plan.ensure(&schedules, &id)?.await?;
    get_schedule(State(api), Path(id)).await
}

/// Pauses a schedule
///
/// Runs that are already due begin. Runs that become due during the pause are skipped.
#[utoipa::path(
    post,
    path = "/schedules/{id}/pause",
    tag = "schedules",
    params(("id" = String, Path, description = "The id of the schedule.")),
    responses(
        (status = 202, description = "The schedule is paused."),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The schedule does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn pause_schedule(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    api.client.schedules().pause(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Resumes a paused schedule
///
/// Its next run is the first one from now on.
#[utoipa::path(
    post,
    path = "/schedules/{id}/resume",
    tag = "schedules",
    params(("id" = String, Path, description = "The id of the schedule.")),
    responses(
        (status = 202, description = "The schedule is resumed."),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The schedule does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn resume_schedule(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.client.schedules().resume(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Deletes a schedule
///
/// The orchestrations that it started continue.
#[utoipa::path(
    delete,
    path = "/schedules/{id}",
    tag = "schedules",
    params(("id" = String, Path, description = "The id of the schedule.")),
    responses(
        (status = 204, description = "The schedule is deleted."),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The schedule does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn delete_schedule(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.client.schedules().delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a run of a schedule now
///
/// The runs of the plan are not affected. A schedule that is paused or over can be triggered as well.
#[utoipa::path(
    post,
    path = "/schedules/{id}/trigger",
    tag = "schedules",
    params(("id" = String, Path, description = "The id of the schedule."), OperationHeaders),
    responses(
        (status = 202, description = "The run was started.", body = CheckStatus, headers(
            ("Location" = String, description = "URL to query the status."),
            ("Retry-After" = u32, description = "Seconds to wait before the first query.")
        )),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The schedule does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn trigger_schedule(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    urls: ManagementUrls,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Response, Problem> {
    let run = api.client.schedules().trigger_once(&id, key).await?;
    Ok(urls.check_status(run.id()))
}
