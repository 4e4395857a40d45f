//! Routes for the activities that have not ended.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::admin::{ActivitySummary, OpenActivity};
use crate::http::documents::{ErrorDocument, PageArguments, PageHeaders, PageRefused};
use crate::http::error::Problem;
use crate::http::extract::Path;
use crate::http::page::{self, List};
use crate::http::query::Query;
use crate::http::response_budget;
use crate::http::state::Api;

/// Counts the activities that have not ended
///
/// For each name: how many run, how many wait, and how many may run at once. Counts at most 100,000 activities.
#[utoipa::path(
    get,
    path = "/activities",
    tag = "activities",
    responses(
        (status = 200, description = "The counts.", body = ActivitySummary),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn count_activities(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let admin = api.client.admin();
    let summary = api.counted(async move { Ok(admin.activity_summary().await?) }).await?;
    api.budget.answer(&summary)
}

/// Lists the activities with one name that have not ended
///
/// Shows which of them run and so hold the slots, and the place in line of the others. A page may contain fewer items
/// than requested although more follow.
#[utoipa::path(
    get,
    path = "/activities/{name}",
    tag = "activities",
    params(
        ("name" = String, Path, description = "The stored name of the activity."),
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [OpenActivity], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_activities(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = List::Activities;
    let wanted = api.client.admin().activities().name(name);
    let wanted = wanted.page_size(query.top()?.unwrap_or(page::DEFAULT));
    let share = api.budget.take(response_budget::PAGE).await?;
    let wanted = wanted.cursor(list.after(&headers)?);
    let page = api.counted(async move { Ok(wanted.page().await?) }).await?;
    let response = share.answer(&page.items)?;
    Ok(list.answer(page.next.as_deref(), &page.unreadable, response))
}
