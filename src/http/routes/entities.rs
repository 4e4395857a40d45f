//! Routes that list entities.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::client::EntityQuery;
use crate::http::documents::{EntitiesArguments, EntityDocument, PageArguments, PageHeaders, PageRefused};
use crate::http::error::Problem;
use crate::http::extract::Path;
use crate::http::page::List;
use crate::http::query::Query;
use crate::http::response_budget;
use crate::http::state::Api;
use crate::id::EntityId;

/// Lists entities
///
/// A page may contain fewer items than requested although more follow. More follow as long as there is a continuation
/// token.
#[utoipa::path(
    get,
    path = "/entities",
    tag = "entities",
    params(
        EntitiesArguments,
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [EntityDocument], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_entities(
    State(api): State<Arc<Api>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    page(&api, &query, &headers, api.client.entities()).await
}

/// Lists the entities of one type
///
/// Paginated like the list of all entities.
#[utoipa::path(
    get,
    path = "/entities/{name}",
    tag = "entities",
    params(
        ("name" = String, Path, description = "The name of the type."),
        EntitiesArguments,
        PageArguments,
        PageHeaders
    ),
    responses(
        (status = 200, description = "A page.", body = [EntityDocument], headers(
            ("x-ms-continuation-token" = String, description = "Token for the next page, if there is one.")
        )),
        PageRefused
    )
)]
pub(super) async fn list_entities_of(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // An invalid name would match parts of the ids of other entities.
    let name = EntityId::new(&name, "")?.name().to_owned();
    page(&api, &query, &headers, api.client.entities().name(name)).await
}

async fn page(api: &Api, query: &Query, headers: &HeaderMap, mut wanted: EntityQuery) -> Result<Response, Problem> {
    if let Some(time) = query.time("lastOperationTimeFrom")? {
        wanted = wanted.changed_from(time);
    }
    if let Some(time) = query.time_to("lastOperationTimeTo")? {
        wanted = wanted.changed_to(time);
    }
    if query.flag("fetchState", false)? {
        wanted = wanted.fetch_state();
    }
    if let Some(top) = query.top()? {
        wanted = wanted.page_size(top);
    }
    wanted = wanted.cursor(List::Entities.after(headers)?);
    let share = api.budget.take(response_budget::PAGE).await?;
    let page = wanted.page().await?;
    let documents: Vec<_> = page.items.into_iter().map(EntityDocument::from).collect();
    let response = share.answer(&documents)?;
    Ok(List::Entities.answer(page.next.as_deref(), &page.unreadable, response))
}
