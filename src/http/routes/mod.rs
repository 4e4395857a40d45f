//! The routes, and the router that they make.

mod entities;
mod health;
mod instances;
mod manage;
mod start;
mod wait;

use std::sync::{Arc, LazyLock};

use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::client::Client;
use crate::error::Result;
use crate::http::BASE_PATH;
use crate::http::config::HttpConfig;
use crate::http::error::{Problem, problem};
use crate::http::normalise::WithoutTrailingSlash;
use crate::http::state::Api;

/// The document that describes the routes, but for where they are served.
static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| routes().into_openapi());

/// The router of the management API of the hub that `client` belongs to, for a program's own server: every route lies under
/// `/runtime/webhooks/durabletask`, and nothing outside of that is touched, so it can be merged and nested.
///
/// # Errors
/// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the configuration cannot work.
pub fn router(client: Client, config: &HttpConfig) -> Result<axum::Router> {
    let api = Arc::new(Api::new(client, config));
    let (router, _) = routes().split_for_parts();
    let router = router
        .fallback(unmatched)
        .layer(map_response(explain))
        .layer(DefaultBodyLimit::max(config.body_limit))
        .with_state(api);
    Ok(axum::Router::new().nest_service(BASE_PATH, WithoutTrailingSlash(router)))
}

/// Every route with its description.
pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    let info = InfoBuilder::new()
        .title("Abide management API")
        .description(Some(
            "The management API of Azure Durable Functions, served by an Abide hub, and what that API lacks.",
        ))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .routes(routes!(start::start))
        .routes(routes!(start::start_with_id))
        .routes(routes!(instances::list_instances, instances::purge_instances))
        .routes(routes!(instances::get_instance, instances::purge_instance))
        .routes(routes!(manage::raise_event))
        .routes(routes!(manage::terminate))
        .routes(routes!(manage::suspend))
        .routes(routes!(manage::resume))
        .routes(routes!(manage::rewind))
        .routes(routes!(manage::restart))
        .routes(routes!(entities::list_entities))
        .routes(routes!(entities::list_entities_of))
        .routes(routes!(health::openapi))
}

async fn unmatched(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(128).collect();
    Problem::not_found(format!(
        "there is no route `{method} {path}`; `{BASE_PATH}/openapi.json` lists what there is"
    ))
}

/// Gives the refusals of the router itself the body that all others have.
async fn explain(response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let (mut refusal, _) = response.into_parts();
    let (head, body) = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "this route does not take this verb; the header `Allow` names those that it takes",
    )
    .into_parts();
    // The length of the body that it had.
    refusal.headers.remove(axum::http::header::CONTENT_LENGTH);
    refusal.headers.extend(head.headers);
    (refusal, body).into_response()
}
