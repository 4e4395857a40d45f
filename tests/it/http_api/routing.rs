//! Behavior that all routes share, and mounting the router.

use abide::http::HttpConfig;
use abide::prelude::*;
use axum::Router;
use axum::http::Method;
use axum::routing::get;
use tokio::sync::Semaphore;

use super::fixture::{Api, BASE, HOST, send};

/// An unknown route is an error in the common format.
#[tokio::test]
async fn unknown_routes_are_not_found() {
    let api = Api::open().await;
    for path in [
        "",
        "/",
        "//",
        "/nothing",
        "/instances/a/b",
        "/orchestrators",
        "/INSTANCES",
    ] {
        api.get(path).await.is_error(404, "NotFound");
    }
    api.post("/instances/a/raiseEvent/", "1")
        .await
        .is_error(404, "NotFound");
}

/// A verb that a route does not support is rejected with a list of the supported ones.
#[tokio::test]
async fn a_wrong_verb_is_refused() {
    let api = Api::open().await;
    for (verb, path, allowed) in [
        (Method::POST, "/instances", "DELETE GET HEAD"),
        (Method::GET, "/orchestrators/echoes", "POST"),
        (Method::PUT, "/entities/counter/a", "DELETE GET HEAD POST"),
        (Method::PATCH, "/instances/a/", "DELETE GET HEAD"),
        (Method::OPTIONS, "/instances", "DELETE GET HEAD"),
        (Method::DELETE, "/health", "GET HEAD"),
    ] {
        let refused = api.send(verb, path, &[], "").await;
        refused.is_error(405, "MethodNotAllowed");
        let mut named: Vec<&str> = refused.header("allow").split(',').map(str::trim).collect();
        named.sort();
        assert_eq!(named.join(" "), allowed, "{path}");
    }
}

/// Every route rejects a body that is too large or has a content encoding.
#[tokio::test]
async fn a_body_has_bounds() {
    let api = Api::with(HttpConfig::new().without_token().body_limit(1_000)).await;
    let body = "1".repeat(1_001);
    for path in [
        "/orchestrators/echoes",
        "/entities/counter/a?op=add",
        "/instances/a/raiseEvent/go",
        "/instances/a/suspend",
    ] {
        let refused = api.post(path, &body).await;
        refused.is_error(413, "TooLarge");
    }
    for path in [
        "/orchestrators/echoes",
        "/entities/counter/a?op=add",
        "/instances/a/raiseEvent/go",
    ] {
        let headers = [("content-encoding", "gzip"), ("content-type", "application/json")];
        api.send(Method::POST, path, &headers, "1")
            .await
            .is_error(415, "UnsupportedContentEncoding");
    }
}

/// Permits for operations of a turnstile to end.
static MAY_END: Semaphore = Semaphore::const_new(0);

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Turnstile;

#[operations]
impl Turnstile {
    /// Blocks its thread until [`MAY_END`] has a permit.
    pub fn block(&self) {
        futures::executor::block_on(MAY_END.acquire()).unwrap().forget();
    }
}

/// A hub at its in-flight limit rejects requests at once, with `Retry-After`. Reads still work.
#[tokio::test]
async fn a_full_hub_refuses_at_once() {
    let builder = Hub::in_memory().executors(1).in_flight_limit(1).entity::<Turnstile>();
    let api = Api::build(builder, HttpConfig::new().without_token()).await;
    api.post("/orchestrators/locks/owner", r#""k""#).await.is(202);
    api.until_custom_status("owner", "locked").await;
    // The call blocks the only thread and uses the whole limit.
    let waiting = api.post("/entities/turnstile/k?op=block&wait=true", "null");
    let refused = async {
        for path in [
            "/orchestrators/echoes",
            "/entities/counter/a?op=add",
            "/entities/counter/a?op=add&wait=true",
            "/instances/owner/raiseEvent/other",
        ] {
            let refused = api.post(path, "1").await;
            refused.is_error(503, "Overloaded");
            assert_eq!(refused.header("retry-after"), "1");
        }
        api.delete("/entities/counter/a").await.is_error(503, "Overloaded");
        api.get("/instances/owner").await.is(202);
    };
    tokio::select! {
        biased;
        answered = waiting => panic!("the turnstile opened too early: {answered:?}"),
        () = refused => {}
    }
    MAY_END.add_permits(1);
}

/// The router can be merged into or nested in another router, whose fallback it does not replace.
#[tokio::test]
async fn the_router_can_be_mounted() {
    let api = Api::open().await;
    let own = || {
        Router::new()
            .route("/own", get(async || "own"))
            .fallback(async || (axum::http::StatusCode::NOT_FOUND, "own fallback"))
    };
    let merged = own().merge(api.router.clone());
    let nested = own().nest("/ops", api.router.clone());
    for (router, prefix, id) in [(merged, "", "a"), (nested, "/ops", "b")] {
        assert_eq!(send(&router, Method::GET, "/own", &[], "").await.text(), "own");
        assert_eq!(
            send(&router, Method::GET, "/other", &[], "").await.text(),
            "own fallback"
        );
        let base = format!("{prefix}{BASE}");
        send(&router, Method::GET, &format!("{base}/nothing"), &[], "")
            .await
            .is_error(404, "NotFound");
        let path = format!("{base}/orchestrators/waits/{id}/");
        let started = send(&router, Method::POST, &path, &[], "").await;
        started.is(202);
        let location = format!("http://{HOST}{base}/instances/{id}");
        assert_eq!(started.header("location"), location);
        let path = format!("{base}/instances/{id}/");
        let looked = send(&router, Method::GET, &path, &[], "").await;
        assert_eq!(looked.header("location"), location);
        send(&router, Method::GET, &format!("{base}/instances/?top=1"), &[], "")
            .await
            .is(200);
        let document = send(&router, Method::GET, &format!("{base}/openapi.json"), &[], "").await;
        assert_eq!(document.json()["servers"][0]["url"], format!("http://{HOST}{base}"));
    }
}
