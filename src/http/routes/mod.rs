//! The routes of the API and their router.

mod activities;
mod batches;
mod dead_letters;
mod description;
mod entities;
mod entity;
mod events;
mod hub;
mod inspect;
mod instances;
mod locks;
mod manage;
mod overview;
mod quarantine;
mod schedules;
mod start;
mod wait;

use std::sync::{Arc, LazyLock};

use axum::http::{Method, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::client::Client;
use crate::error::Result;
use crate::http::BASE_PATH;
use crate::http::config::HttpConfig;
#[cfg(feature = "dashboard")]
use crate::http::dashboard;
use crate::http::error::{Problem, problem};
use crate::http::normalize::WithoutTrailingSlash;
use crate::http::routes::description::complete;
use crate::http::security::{Guard, protect, protect_open};
use crate::http::state::Api;

/// The description of the routes, except for the URL under which they are served.
static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| complete(routes().into_openapi(), open_routes().into_openapi()));

/// Creates the router of the management API of the hub that `client` belongs to, for a program's own server.
///
/// Every route lies under `/runtime/webhooks/durabletask`. The router affects no other path, so it can be merged and
/// nested.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the configuration is
/// invalid, or if it has neither a token nor [`without_token`](HttpConfig::without_token).
pub fn router(client: Client, config: &HttpConfig) -> Result<axum::Router> {
    let api = Arc::new(Api::new(client, config)?);
    let guard = Arc::new(Guard::new(config)?);
    let (routes, _) = routes().split_for_parts();
    let (open, _) = open_routes().split_for_parts();
    let routes = routes.fallback(unmatched).with_state(Arc::clone(&api));
    #[cfg(feature = "dashboard")]
    let open = open.merge(dashboard::routes());
    let router = protect(routes, Arc::clone(&guard)).merge(protect_open(open.with_state(api), guard));
    let router = router.layer(map_response(explain));
    Ok(axum::Router::new().nest_service(BASE_PATH, WithoutTrailingSlash(router)))
}

/// Returns the routes that need a token if the configuration has any, with their descriptions.
fn routes() -> OpenApiRouter<Arc<Api>> {
    let router = OpenApiRouter::new();
    #[cfg(feature = "cluster")]
    let router = router.routes(routes!(hub::cluster));
    router
        .routes(routes!(start::start))
        .routes(routes!(start::start_with_id))
        .routes(routes!(instances::list_instances, instances::purge_instances))
        .routes(routes!(instances::get_instance, instances::purge_instance))
        .routes(routes!(instances::get_history))
        .routes(routes!(instances::get_recorded))
        .routes(routes!(inspect::get_waiting))
        .routes(routes!(inspect::get_tree))
        .routes(routes!(inspect::get_turn))
        .routes(routes!(inspect::check_replay))
        .routes(routes!(instances::list_stopped))
        .routes(routes!(overview::failures))
        .routes(routes!(batches::begin_batch, batches::list_batches))
        .routes(routes!(batches::get_batch, batches::cancel_batch))
        .routes(routes!(manage::raise_event))
        .routes(routes!(manage::terminate))
        .routes(routes!(manage::suspend))
        .routes(routes!(manage::resume))
        .routes(routes!(manage::rewind))
        .routes(routes!(manage::restart))
        .routes(routes!(entities::list_entities))
        .routes(routes!(entities::list_entities_of, entity::ask_entity_without_key))
        .routes(routes!(entity::get_entity, entity::ask_entity, entity::delete_entity))
        .routes(routes!(entity::get_entity_details))
        .routes(routes!(entity::delete_entity_changes))
        .routes(routes!(activities::count_activities))
        .routes(routes!(activities::list_activities))
        .routes(routes!(locks::list_locks))
        .routes(routes!(locks::release_lock))
        .routes(routes!(dead_letters::list_dead_letters))
        .routes(routes!(dead_letters::redeliver))
        .routes(routes!(dead_letters::drop_dead_letter))
        .routes(routes!(quarantine::list_quarantine))
        .routes(routes!(quarantine::resume_entity))
        .routes(routes!(schedules::list_schedules))
        .routes(routes!(
            schedules::get_schedule,
            schedules::put_schedule,
            schedules::delete_schedule
        ))
        .routes(routes!(schedules::pause_schedule))
        .routes(routes!(schedules::resume_schedule))
        .routes(routes!(schedules::trigger_schedule))
        .routes(routes!(hub::describe_hub))
        .routes(routes!(overview::timeline))
        .routes(routes!(events::events))
        .routes(routes!(hub::counts))
        .routes(routes!(hub::stats))
        .routes(routes!(hub::metrics))
        .routes(routes!(hub::openapi))
}

/// Returns the routes that need no token.
fn open_routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(hub::health))
}

async fn unmatched(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(128).collect();
    Problem::not_found(format!(
        "there is no route `{method} {path}`; `{BASE_PATH}/openapi.json` lists all routes"
    ))
}

/// Adds the common error body to the errors of the router itself.
async fn explain(response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let (mut refusal, _) = response.into_parts();
    let (head, body) = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "this route does not support this method; the header `Allow` lists the supported methods",
    )
    .into_parts();
    // The length of the previous body.
    refusal.headers.remove(axum::http::header::CONTENT_LENGTH);
    refusal.headers.extend(head.headers);
    (refusal, body).into_response()
}
