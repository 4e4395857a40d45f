//! Routes that query and purge orchestrations.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use crate::client::OrchestrationQuery;
use crate::error::Error;
use crate::history::RecordedHistory;
use crate::http::documents::{
    CreatedArguments, ErrorDocument, InstancesDeleted, PageArguments, PageHeaders, PageRefused, Shown, StatusDocument,
    history, json,
};
use crate::http::error::Problem;
use crate::http::extract::Path;
use crate::http::links::ManagementUrls;
use crate::http::page::List;
use crate::http::query::Query;
use crate::http::routes::wait;
use crate::http::state::Api;
use crate::http::{names, response_budget};
use crate::model::orchestration::OrchestrationStatus;

/// Header with the number of turns of a whole history.
const TURNS: HeaderName = HeaderName::from_static("x-abide-turns");

/// Approximate ratio of the size of a history as a document to its stored size.
const HISTORY_GROWTH: usize = 3;

/// Shows the status of an orchestration
#[utoipa::path(
    get,
    path = "/instances/{instanceId}",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ("showHistory" = Option<bool>, Query, description = "Includes the history (default: `false`)."),
        ("showHistoryOutput" = Option<bool>, Query, description = "Includes the results of steps in the history (default: `false`)."),
        ("showInput" = Option<bool>, Query, description = "Includes inputs (default: `true`)."),
        ("returnInternalServerErrorOnFailure" = Option<bool>, Query, description = "Responds with 500 if the orchestration failed (default: `false`).")
    ),
    responses(
        (status = 200, description = "The orchestration has ended.", body = StatusDocument),
        (status = 202, description = "The orchestration has not ended.", body = StatusDocument, headers(
            ("Location" = String, description = "URL of the next query."),
            ("Retry-After" = u32, description = "Seconds to wait before the next query.")
        )),
        (status = 400, description = "The id or a parameter is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 500, description = "With `returnInternalServerErrorOnFailure`: the orchestration failed.", body = StatusDocument),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn get_instance(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    urls: ManagementUrls,
    query: Query,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let shown = Shown {
        inputs: query.flag("showInput", true)?,
        outputs: query.flag("showHistoryOutput", false)?,
    };
    let show_history = query.flag("showHistory", false)?;
    let failure = wait::failure_code(&query)?;
    let run = api.client.untyped_orchestration(&id);
    let status = run.status();
    let status = if shown.inputs { status } else { status.without_input() };
    let info = status.await?.ok_or_else(|| missing(&id))?;
    let standing = info.status;
    let mut response = if show_history {
        let share = api.budget.take(history_memory(info.history_bytes)).await?;
        let events = history(run.history().await?, shown);
        share.answer(&StatusDocument::from(info).with_history(events))?
    } else {
        api.budget.answer(&StatusDocument::from(info))?
    };
    if standing == OrchestrationStatus::Failed {
        *response.status_mut() = failure;
    }
    if !standing.is_terminal() {
        *response.status_mut() = StatusCode::ACCEPTED;
        urls.look_again(&id, raw.as_deref(), &mut response);
    }
    Ok(response)
}

/// Lists orchestrations
///
/// A page may contain fewer items than requested although more follow. More follow as long as there is a continuation
/// token.
#[utoipa::path(
    get,
    path = "/instances",
    tag = "orchestrations",
    params(
        CreatedArguments,
        ("runtimeStatus" = Option<String>, Query, description = "Lists only orchestrations with one of these statuses, separated by commas."),
        ("instanceIdPrefix" = Option<String>, Query, description = "Lists only orchestrations whose id has this prefix."),
        ("name" = Option<String>, Query, description = "Lists only orchestrations of the type with this stored name."),
        ("tag" = Option<String>, Query, description = "Lists only orchestrations with this tag, as `name=value`. An orchestration must have all of several tags."),
        ("stopped" = Option<bool>, Query, description = "Lists only orchestrations that cannot proceed although they have not ended."),
        ("unregistered" = Option<bool>, Query, description = "Lists only orchestrations that wait for something that is not registered with the hub."),
        ("showInput" = Option<bool>, Query, description = "Includes inputs (default: `true`)."),
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [StatusDocument], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_instances(
    State(api): State<Arc<Api>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut wanted = matching(&api, &query)?;
    if let Some(prefix) = query.text("instanceIdPrefix") {
        wanted = wanted.prefix(prefix);
    }
    if let Some(name) = query.text("name") {
        wanted = wanted.name(names::orchestration(&api, name)?);
    }
    for (name, value) in query.tags("tag")? {
        wanted = wanted.tag(name, value);
    }
    if query.flag("stopped", false)? {
        wanted = wanted.stopped();
    }
    if query.flag("unregistered", false)? {
        wanted = wanted.unregistered();
    }
    page(&api, &query, &headers, List::Instances, wanted).await
}

/// Lists stopped orchestrations
///
/// They have not ended but cannot proceed. `stopped` contains the reason: their code panicked, has changed, or is
/// missing. They proceed when they are resumed.
#[utoipa::path(
    get,
    path = "/stopped",
    tag = "orchestrations",
    params(
        CreatedArguments,
        ("showInput" = Option<bool>, Query, description = "Includes inputs (default: `true`)."),
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [StatusDocument], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_stopped(
    State(api): State<Arc<Api>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = matching(&api, &query)?.stopped();
    page(&api, &query, &headers, List::Stopped, wanted).await
}

/// Shows the history of an orchestration
///
/// Lists the stored events with all payloads, turn by turn: the messages that arrived and the steps that the code
/// scheduled.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/history",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ("fromTurn" = Option<u32>, Query, description = "The first turn to show (default: 0)."),
        ("turns" = Option<u32>, Query, description = "Maximum number of turns to show (default: all).")
    ),
    responses(
        (status = 200, description = "The events of the newest execution, oldest first.", body = [serde_json::Value], headers(
            ("x-abide-turns" = u32, description = "Number of turns of the whole history.")
        )),
        (status = 400, description = "The id or a parameter is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn get_history(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    let first: u32 = query.number("fromTurn")?.unwrap_or(0);
    let end = first.saturating_add(query.number("turns")?.unwrap_or(u32::MAX));
    let run = api.client.untyped_orchestration(&id);
    let info = run.status().without_input().await?.ok_or_else(|| missing(&id))?;
    // A part of a history may contain most of it.
    let share = api.budget.take(history_memory(info.history_bytes)).await?;
    let part = run.history_turns(first..end).await?;
    let mut response = share.answer(&part.events)?;
    response.headers_mut().insert(TURNS, HeaderValue::from(part.turns));
    Ok(response)
}

/// Shows the history in a form that other builds can replay
///
/// A document to keep outside of the hub. `abide::testing::assert_replays` checks a build against it.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/recorded",
    tag = "orchestrations",
    params(("instanceId" = String, Path, description = "The id of the orchestration.")),
    responses(
        (status = 200, description = "The recorded history of the newest execution.", body = RecordedHistory),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn get_recorded(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let run = api.client.untyped_orchestration(&id);
    let info = run.status().without_input().await?.ok_or_else(|| missing(&id))?;
    let share = api.budget.take(history_memory(info.history_bytes)).await?;
    share.answer(&run.recorded_history().await?)
}

/// Returns the memory that a history needs as a document.
fn history_memory(bytes: u64) -> usize {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    bytes.saturating_mul(HISTORY_GROWTH).max(response_budget::PAGE)
}

/// Returns a page of orchestrations.
async fn page(
    api: &Api,
    query: &Query,
    headers: &HeaderMap,
    list: List,
    mut wanted: OrchestrationQuery,
) -> Result<Response, Problem> {
    wanted = wanted.fetch_output();
    if query.flag("showInput", true)? {
        wanted = wanted.fetch_input();
    }
    if let Some(top) = query.top()? {
        wanted = wanted.page_size(top);
    }
    wanted = wanted.cursor(list.after(headers)?);
    let share = api.budget.take(response_budget::PAGE).await?;
    let page = wanted.page().await?;
    let documents: Vec<_> = page.items.into_iter().map(StatusDocument::from).collect();
    let response = share.answer(&documents)?;
    Ok(list.answer(page.next.as_deref(), &page.unreadable, response))
}

/// Purges an orchestration that has ended
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}",
    tag = "orchestrations",
    params(("instanceId" = String, Path, description = "The id of the orchestration.")),
    responses(
        (status = 200, description = "The orchestration is purged.", body = InstancesDeleted),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 409, description = "The orchestration has not ended.", body = ErrorDocument)
    )
)]
pub(super) async fn purge_instance(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    api.client.untyped_orchestration(&id).purge().await?;
    Ok(json(StatusCode::OK, &InstancesDeleted { instances_deleted: 1 }))
}

/// Purges orchestrations that have ended
#[utoipa::path(
    delete,
    path = "/instances",
    tag = "orchestrations",
    params(
        ("createdTimeFrom" = String, Query, description = "Purges only orchestrations started at or after this time."),
        ("createdTimeTo" = Option<String>, Query, description = "Purges only orchestrations started at or before this time."),
        ("runtimeStatus" = Option<String>, Query, description = "Purges only orchestrations with one of these statuses, separated by commas. Orchestrations that have not ended remain.")
    ),
    responses(
        (status = 200, description = "The orchestrations are purged.", body = InstancesDeleted),
        (status = 400, description = "`createdTimeFrom` is missing, or a parameter is invalid.", body = ErrorDocument),
        (status = 404, description = "No orchestration matches.", body = ErrorDocument)
    )
)]
pub(super) async fn purge_instances(State(api): State<Arc<Api>>, query: Query) -> Result<Response, Problem> {
    if query.text("createdTimeFrom").is_none() {
        return Err(Problem::bad_request(
            "InvalidQuery",
            "the parameter `createdTimeFrom` is missing; set it to the earliest start time of the orchestrations to purge",
        ));
    }
    match matching(&api, &query)?.purge().await? {
        0 => Err(Problem::not_found("no ended orchestration matches")),
        purged => Ok(json(
            StatusCode::OK,
            &InstancesDeleted {
                instances_deleted: purged,
            },
        )),
    }
}

/// Returns the query for the statuses and start times that the request selects.
pub(super) fn matching(api: &Api, query: &Query) -> Result<OrchestrationQuery, Problem> {
    let mut wanted = api.client.orchestrations();
    if let Some(time) = query.time("createdTimeFrom")? {
        wanted = wanted.created_from(time);
    }
    if let Some(time) = query.time_to("createdTimeTo")? {
        wanted = wanted.created_to(time);
    }
    for status in query.statuses("runtimeStatus")? {
        wanted = wanted.status(status);
    }
    Ok(wanted)
}

/// Creates the error for an orchestration that does not exist.
pub(super) fn missing(id: &str) -> Problem {
    Problem::not_found(Error::no_orchestration(&id.escape_debug().to_string()).message())
}
