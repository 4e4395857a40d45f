//! What is common to all routes, and where the router stands.

use abide::http::HttpConfig;
use axum::Router;
use axum::http::Method;
use axum::routing::get;

use crate::fixture::{Api, BASE, HOST, send};

/// What no route is for is answered like everything else that goes wrong.
#[tokio::test]
async fn what_is_no_route_is_not_found() {
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

/// A verb that a route does not take is refused with those that it takes.
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

/// A body that is too large, or in a coding, is refused whatever route it is for.
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
        refused.is_error(413, "PayloadTooLarge");
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

/// In a program's own router, merged or nested, the routes are where they belong, and the program's fallback stays its own.
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
