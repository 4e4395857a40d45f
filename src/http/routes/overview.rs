//! Routes that sum up many orchestrations: starts and ends over time, and failures by their kind.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::response::Response;

use crate::client::{Failures, Timeline};
use crate::http::documents::{CreatedArguments, ErrorDocument};
use crate::http::error::Problem;
use crate::http::names;
use crate::http::query::Query;
use crate::http::response_budget;
use crate::http::routes::instances::matching;
use crate::http::state::Api;

/// Length of a timeline without a start, in seconds.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Number of intervals of a timeline without a number.
const BARS: usize = 60;

/// Counts starts and ends of orchestrations over time
///
/// Covers the last seven days. What happened before the hub was opened is read from the orchestrations that still
/// exist, so the first request may take seconds if there are millions of them.
#[utoipa::path(
    get,
    path = "/timeline",
    tag = "hub",
    params(
        ("from" = Option<String>, Query, description = "The start of the timeline (default: one hour before its end)."),
        ("to" = Option<String>, Query, description = "The end of the timeline (default: now)."),
        ("buckets" = Option<u32>, Query, description = "Number of intervals of equal length (default: 60, at most 500). An interval has at least ten seconds.")
    ),
    responses(
        (status = 200, description = "The timeline.", body = Timeline),
        (status = 400, description = "A parameter is invalid.", body = ErrorDocument)
    )
)]
pub(super) async fn timeline(State(api): State<Arc<Api>>, query: Query) -> Result<Response, Problem> {
    let to = query.time("to")?.unwrap_or_else(|| api.now());
    let from = query
        .time("from")?
        .or(to.checked_sub(HOUR))
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let bars = query.number("buckets")?.unwrap_or(BARS);
    let admin = api.client.admin();
    let read = async move { Ok(admin.timeline(from, to, bars).await?) };
    api.budget.answer(&api.counted(read).await?)
}

/// Groups failed orchestrations by the kind of their error
///
/// Reads up to 100,000 orchestrations that have failed. `POST /batches` rewinds those of one group.
#[utoipa::path(
    get,
    path = "/failures",
    tag = "orchestrations",
    params(
        CreatedArguments,
        ("name" = Option<String>, Query, description = "Includes only orchestrations of the type with this stored name."),
        ("top" = Option<u32>, Query, description = "Maximum number of groups, largest first (default: 100).")
    ),
    responses(
        (status = 200, description = "The groups.", body = Failures),
        (status = 400, description = "A parameter is invalid.", body = ErrorDocument)
    )
)]
pub(super) async fn failures(State(api): State<Arc<Api>>, query: Query) -> Result<Response, Problem> {
    let mut wanted = matching(&api, &query)?;
    if let Some(name) = query.text("name") {
        wanted = wanted.name(names::orchestration(&api, name)?);
    }
    let top = query.top()?.unwrap_or(crate::http::page::DEFAULT);
    let share = api.budget.take(response_budget::PAGE).await?;
    let mut failures = api.counted(async move { Ok(wanted.failures().await?) }).await?;
    failures.is_truncated |= failures.groups.len() > top;
    failures.groups.truncate(top);
    share.answer(&failures)
}
