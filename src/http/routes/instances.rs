//! Looking at orchestrations, and forgetting them.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::client::OrchestrationQuery;
use crate::http::documents::{
    CreatedArguments, ErrorDocument, InstancesDeleted, PageArguments, PageHeaders, PageRefused, Shown, StatusDocument,
    history, json,
};
use crate::http::error::Problem;
use crate::http::extract::Path;
use crate::http::links::ManagementUrls;
use crate::http::names;
use crate::http::page::List;
use crate::http::query::Query;
use crate::http::room;
use crate::http::routes::wait;
use crate::http::state::Api;
use crate::store::records::instance::OrchestrationStatus;

/// How many bytes a history has as a document for each that is stored, about.
const HISTORY_GROWTH: usize = 3;

/// Shows how an orchestration stands
#[utoipa::path(
    get,
    path = "/instances/{instanceId}",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ("showHistory" = Option<bool>, Query, description = "Whether to show what happened to it."),
        ("showHistoryOutput" = Option<bool>, Query, description = "Whether the history shows what its steps answered."),
        ("showInput" = Option<bool>, Query, description = "Whether to show inputs; they are if nothing is said."),
        ("returnInternalServerErrorOnFailure" = Option<bool>, Query, description = "500 if it failed.")
    ),
    responses(
        (status = 200, description = "It has ended.", body = StatusDocument),
        (status = 202, description = "It has not ended.", body = StatusDocument, headers(
            ("Location" = String, description = "Where to ask again."),
            ("Retry-After" = u32, description = "When to ask again, in seconds.")
        )),
        (status = 400, description = "The id or an argument is wrong.", body = ErrorDocument),
        (status = 404, description = "There is none of this id.", body = ErrorDocument),
        (status = 500, description = "With `returnInternalServerErrorOnFailure`: it failed.", body = StatusDocument),
        (status = 503, description = "There is no room for the answer now.", body = ErrorDocument)
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
    let info = status.await?.ok_or_else(|| nobody(&id))?;
    let standing = info.status;
    let mut response = if show_history {
        let share = api.room.take(history_room(info.history_bytes)).await?;
        let events = history(run.history().await?, shown);
        share.answer(&StatusDocument::from(info).with_history(events))?
    } else {
        api.room.answer(&StatusDocument::from(info))?
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
/// A page may hold fewer than were asked for although more follow: as long as there is a continuation token, they do.
#[utoipa::path(
    get,
    path = "/instances",
    tag = "orchestrations",
    params(
        CreatedArguments,
        ("runtimeStatus" = Option<String>, Query, description = "Only those with one of these statuses, separated by commas."),
        ("instanceIdPrefix" = Option<String>, Query, description = "Only those whose ids begin with this."),
        ("name" = Option<String>, Query, description = "Only those of the type with this stored name."),
        ("unregistered" = Option<bool>, Query, description = "Only those that wait for something that is not registered with the hub."),
        ("showInput" = Option<bool>, Query, description = "Whether to show inputs; they are if nothing is said."),
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [StatusDocument], headers(
            ("x-ms-continuation-token" = String, description = "Leads to the next page, if there is one.")
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
    if query.flag("unregistered", false)? {
        wanted = wanted.unregistered();
    }
    page(&api, &query, &headers, List::Instances, wanted).await
}

/// Lists orchestrations that cannot go on
///
/// They have not ended, and `stopped` says why: their code panicked, is another one now, or is not there. They go on when
/// they are resumed.
#[utoipa::path(
    get,
    path = "/stopped",
    tag = "orchestrations",
    params(
        CreatedArguments,
        ("showInput" = Option<bool>, Query, description = "Whether to show inputs; they are if nothing is said."),
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [StatusDocument], headers(
            ("x-ms-continuation-token" = String, description = "Leads to the next page, if there is one.")
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

/// Shows what happened to an orchestration
///
/// Event by event as the hub keeps them, with all payloads: what came in and what its code asked for, turn by turn.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/history",
    tag = "orchestrations",
    params(("instanceId" = String, Path, description = "The id of the orchestration.")),
    responses(
        (status = 200, description = "The events of its newest execution, oldest first.", body = [serde_json::Value]),
        (status = 400, description = "The id is wrong.", body = ErrorDocument),
        (status = 404, description = "There is none of this id.", body = ErrorDocument),
        (status = 503, description = "There is no room for the answer now.", body = ErrorDocument)
    )
)]
pub(super) async fn get_history(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let run = api.client.untyped_orchestration(&id);
    let info = run.status().without_input().await?.ok_or_else(|| nobody(&id))?;
    let share = api.room.take(history_room(info.history_bytes)).await?;
    share.answer(&run.history().await?)
}

/// The room that a history takes as a document.
fn history_room(bytes: u64) -> usize {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    bytes.saturating_mul(HISTORY_GROWTH).max(room::PAGE)
}

/// One page of orchestrations.
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
    let share = api.room.take(room::PAGE).await?;
    let page = wanted.list().await?;
    let documents: Vec<_> = page.items.into_iter().map(StatusDocument::from).collect();
    let response = share.answer(&documents)?;
    Ok(list.answer(page.next.as_deref(), &page.unreadable, response))
}

/// Forgets an orchestration that has ended
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}",
    tag = "orchestrations",
    params(("instanceId" = String, Path, description = "The id of the orchestration.")),
    responses(
        (status = 200, description = "It is forgotten.", body = InstancesDeleted),
        (status = 400, description = "The id is wrong.", body = ErrorDocument),
        (status = 404, description = "There is none of this id.", body = ErrorDocument),
        (status = 409, description = "It has not ended.", body = ErrorDocument)
    )
)]
pub(super) async fn purge_instance(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    api.client.untyped_orchestration(&id).purge().await?;
    Ok(json(StatusCode::OK, &InstancesDeleted { instances_deleted: 1 }))
}

/// Forgets orchestrations that have ended
#[utoipa::path(
    delete,
    path = "/instances",
    tag = "orchestrations",
    params(
        ("createdTimeFrom" = String, Query, description = "Only those that were started at this time or later."),
        ("createdTimeTo" = Option<String>, Query, description = "Only those that were started at this time or before."),
        ("runtimeStatus" = Option<String>, Query, description = "Only those with one of these statuses, separated by commas; those that have not ended stay.")
    ),
    responses(
        (status = 200, description = "They are forgotten.", body = InstancesDeleted),
        (status = 400, description = "There is no `createdTimeFrom`, or an argument is wrong.", body = ErrorDocument),
        (status = 404, description = "None matches.", body = ErrorDocument)
    )
)]
pub(super) async fn purge_instances(State(api): State<Arc<Api>>, query: Query) -> Result<Response, Problem> {
    if query.text("createdTimeFrom").is_none() {
        return Err(Problem::bad_request(
            "InvalidQuery",
            "the argument `createdTimeFrom` is missing: say from which time on orchestrations are to be forgotten",
        ));
    }
    match matching(&api, &query)?.purge().await? {
        0 => Err(Problem::not_found("no orchestration that has ended matches")),
        purged => Ok(json(
            StatusCode::OK,
            &InstancesDeleted {
                instances_deleted: purged,
            },
        )),
    }
}

/// The orchestrations with the statuses and times of creation that the query asks for.
fn matching(api: &Api, query: &Query) -> Result<OrchestrationQuery, Problem> {
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

/// There is no orchestration of this id.
pub(super) fn nobody(id: &str) -> Problem {
    Problem::not_found(format!(
        "there is no orchestration `{}`; it was never started, or it was purged",
        id.escape_debug()
    ))
}
