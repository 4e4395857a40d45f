//! Routes for the hub as a whole.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::Server;

use crate::error::ErrorKind;
use crate::http::documents::{
    CountsDocument, EntityCountDocument, ErrorDocument, Health, HubDocument, OrchestrationCountDocument, StatsDocument,
    json,
};
use crate::http::error::Problem;
use crate::http::links::ManagementUrls;
use crate::http::routes::DOCUMENT;
use crate::http::security::Scope;
use crate::http::state::Api;

/// The content type of metrics. Source: the Prometheus text exposition format.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Shows the health of the hub
///
/// Needs no token.
#[utoipa::path(
    get,
    path = "/health",
    tag = "hub",
    responses(
        (status = 200, description = "The hub is healthy.", body = Health),
        (status = 503, description = "The hub is closed, or a write has failed and it must be reopened.", body = ErrorDocument)
    )
)]
pub(super) async fn health(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    match api.client.health() {
        Ok(()) => Ok(json(StatusCode::OK, &Health { status: "ok" })),
        Err(error) => Err(Problem::from(error).with_status(StatusCode::SERVICE_UNAVAILABLE)),
    }
}

/// Counts orchestrations by name and status, and entities by name
///
/// Reads the record of every orchestration and the state of every entity, which takes seconds for millions of them.
/// Only one count runs at a time. Includes only entities whose types are registered.
#[utoipa::path(
    get,
    path = "/counts",
    tag = "hub",
    responses((status = 200, description = "The counts.", body = CountsDocument))
)]
pub(super) async fn counts(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let counting = Arc::clone(&api);
    let counts = api.counted(async move { count(&counting).await }).await?;
    Ok(json(StatusCode::OK, &counts))
}

async fn count(api: &Api) -> Result<CountsDocument, Problem> {
    let orchestrations = api.client.orchestrations().counts().await?;
    let mut entities = Vec::new();
    for registered in api.client.admin().registered()?.entities {
        let count = api.client.entities().name(&registered.name).count().await?;
        if count > 0 {
            let name = registered.name;
            entities.push(EntityCountDocument { name, count });
        }
    }
    Ok(CountsDocument {
        orchestrations: orchestrations
            .into_iter()
            .map(OrchestrationCountDocument::from)
            .collect(),
        entities,
    })
}

/// Describes the hub and what its program has registered
///
/// Shows whether the token of the request allows changes, and the types that can be started, called and signaled.
#[utoipa::path(
    get,
    path = "/hub",
    tag = "hub",
    responses((status = 200, description = "The description.", body = HubDocument))
)]
pub(super) async fn describe_hub(
    State(api): State<Arc<Api>>,
    Extension(scope): Extension<Scope>,
) -> Result<Response, Problem> {
    let mut document = HubDocument::new(api.client.admin().registered()?, scope, api.now());
    match api.client.runtime() {
        Ok(runtime) => {
            document = document.of_open_hub(!runtime.is_standby, runtime.opened.into(), runtime.registry.missing())
        }
        Err(error) if error.kind() == ErrorKind::ReadOnly => document = document.of_stopped_hub(),
        Err(error) => return Err(error.into()),
    }
    api.budget.answer(&document)
}

/// Shows the hub in its database, and its nodes
///
/// For a hub whose log is in PostgreSQL.
#[cfg(feature = "cluster")]
#[utoipa::path(
    get,
    path = "/cluster",
    tag = "hub",
    responses(
        (status = 200, description = "The state of the hub, and of each node.", body = crate::cluster::ClusterStatus),
        (status = 404, description = "The hub is in a directory or in memory.", body = ErrorDocument)
    )
)]
pub(super) async fn cluster(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &api.client.admin().cluster().await?))
}

/// Shows the statistics of the hub
#[utoipa::path(
    get,
    path = "/stats",
    tag = "hub",
    responses((status = 200, description = "The numbers.", body = StatsDocument))
)]
pub(super) async fn stats(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &StatsDocument::from(api.client.admin().stats()?)))
}

/// Shows metrics for Prometheus
///
/// The statistics of the hub, followed by the metrics that the program adds.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "hub",
    responses((status = 200, description = "Metrics in the text format of Prometheus.", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let mut text = StatsDocument::from(api.client.admin().stats()?).prometheus();
    if let Some(more) = &api.metrics {
        text.push_str(&more());
    }
    Ok(([(header::CONTENT_TYPE, METRICS)], text).into_response())
}

/// Describes this API
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "hub",
    responses((status = 200, description = "The OpenAPI 3.1 description.", body = serde_json::Value))
)]
pub(super) async fn openapi(urls: ManagementUrls) -> Response {
    let mut document = DOCUMENT.clone();
    document.servers = Some(vec![Server::new(urls.base())]);
    json(StatusCode::OK, &document)
}
