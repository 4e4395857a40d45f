//! The OpenAPI description, compared with the responses of the API.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::time::Duration;

use abide::http::{HttpConfig, Token};
use abide::prelude::*;
use axum::http::Method;
use serde_json::{Value, json};

use super::fixture::{Answer, Api, Counter};

/// Every route: first the routes of Azure, then the additional ones.
const ROUTES: &[&str] = &[
    "POST /orchestrators/{name}",
    "POST /orchestrators/{name}/{instanceId}",
    "GET /instances/{instanceId}",
    "GET /instances",
    "DELETE /instances/{instanceId}",
    "DELETE /instances",
    "POST /instances/{instanceId}/raiseEvent/{eventName}",
    "POST /instances/{instanceId}/terminate",
    "POST /instances/{instanceId}/suspend",
    "POST /instances/{instanceId}/resume",
    "POST /instances/{instanceId}/rewind",
    "POST /instances/{instanceId}/restart",
    "GET /entities/{name}/{key}",
    "POST /entities/{name}/{key}",
    "DELETE /entities/{name}/{key}",
    "GET /entities",
    "GET /entities/{name}",
    "POST /entities/{name}",
    "GET /instances/{instanceId}/history",
    "GET /instances/{instanceId}/recorded",
    "GET /instances/{instanceId}/waiting",
    "GET /instances/{instanceId}/tree",
    "GET /instances/{instanceId}/turns/{turn}",
    "GET /instances/{instanceId}/replay",
    "GET /failures",
    "POST /batches",
    "GET /batches",
    "GET /batches/{id}",
    "DELETE /batches/{id}",
    "GET /entities/{name}/{key}/details",
    "DELETE /entities/{name}/{key}/changes",
    "GET /activities",
    "GET /activities/{name}",
    #[cfg(feature = "cluster")]
    "GET /cluster",
    "GET /hub",
    "GET /timeline",
    "GET /events",
    "GET /stopped",
    "GET /counts",
    "GET /locks",
    "DELETE /locks/{name}/{key}",
    "GET /dead-letters",
    "POST /dead-letters/{id}/redeliver",
    "DELETE /dead-letters/{id}",
    "GET /quarantine",
    "POST /quarantine/{name}/{key}/release",
    "GET /schedules",
    "GET /schedules/{id}",
    "PUT /schedules/{id}",
    "POST /schedules/{id}/pause",
    "POST /schedules/{id}/resume",
    "POST /schedules/{id}/trigger",
    "DELETE /schedules/{id}",
    "GET /stats",
    "GET /health",
    "GET /metrics",
    "GET /openapi.json",
];

/// Returns the operations of a description by verb and path.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            operations.insert(format!("{} {path}", verb.to_uppercase()), operation);
        }
    }
    operations
}

/// Every route is described and every described route is served, with exactly the described verbs.
#[tokio::test]
async fn described_and_served_routes_are_equal() {
    let api = Api::open().await;
    let document = api.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    let described: BTreeSet<&str> = operations.keys().map(String::as_str).collect();
    let expected: BTreeSet<&str> = ROUTES.iter().copied().collect();
    assert_eq!(described, expected);

    let ids: BTreeSet<&str> = operations
        .values()
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), operations.len(), "operation IDs are unique");
    for path in document["paths"].as_object().unwrap().keys() {
        let refused = api.send(Method::PATCH, &filled(path), &[], "").await;
        refused.is_error(405, "MethodNotAllowed");
        let mut served: Vec<&str> = refused
            .header("allow")
            .split(',')
            .filter(|verb| *verb != "HEAD")
            .collect();
        served.sort();
        let verbs = described
            .iter()
            .filter_map(|route| route.split_once(' '))
            .filter(|(_, of)| *of == path);
        let verbs: Vec<&str> = verbs.map(|(verb, _)| verb).collect();
        assert_eq!(served, verbs, "{path}");
    }
    for (route, operation) in &operations {
        let named: Vec<&str> = route.split(['{', '}']).skip(1).step_by(2).collect();
        let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let in_path: Vec<&str> = in_path.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(in_path, named, "{route}");
        for parameter in parameters {
            assert!(parameter["description"].is_string(), "{route}: {parameter}");
        }
    }
}

/// Every schema that the description refers to is part of it.
#[tokio::test]
async fn references_lead_to_schemas() {
    let api = Api::open().await;
    let document = api.get("/openapi.json").await.json();
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        if let Some(reference) = value["$ref"].as_str() {
            let found = document.pointer(reference.strip_prefix('#').unwrap());
            assert!(found.is_some(), "there is no {reference}");
        }
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => left.extend(fields.values()),
            _ => {}
        }
    }
}

/// Returns a path with a value for each parameter.
fn filled(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// A request (verb and path template, values of the path parameters, query and body) and the status of its response.
type Example = (&'static str, &'static [&'static str], &'static str, &'static str, u16);

/// The requests, in an order in which some depend on earlier ones.
const EXAMPLES: &[Example] = &[
    ("POST /orchestrators/{name}", &["echoes"], "", "1", 202),
    ("POST /orchestrators/{name}", &["echoes"], "timeout=30", "1", 200),
    (
        "POST /orchestrators/{name}",
        &["greets"],
        "timeout=30&returnInternalServerErrorOnFailure=true",
        r#"[""]"#,
        500,
    ),
    ("POST /orchestrators/{name}", &["missing"], "", "1", 400),
    ("POST /orchestrators/{name}", &["echoes"], "", LARGE, 413),
    ("POST /orchestrators/{name}", &["echoes"], KEY, "1", 202),
    ("POST /orchestrators/{name}", &["echoes"], KEY, "2", 422),
    ("POST /orchestrators/{name}", &["echoes"], CLOSED, "1", 503),
    ("POST /orchestrators/{name}/{instanceId}", &["waits", "w"], "", "1", 202),
    ("POST /orchestrators/{name}/{instanceId}", &["waits", "w"], "", "1", 409),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["greets", "f"],
        "timeout=30",
        r#"[""]"#,
        200,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["echoes", "e"],
        "timeout=30",
        "1",
        200,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["greets", "g"],
        "timeout=30&returnInternalServerErrorOnFailure=true",
        r#"[""]"#,
        500,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["echoes", "a/b"],
        "",
        "1",
        400,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["echoes", "x"],
        "",
        LARGE,
        413,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["echoes", "k"],
        "timeout=30",
        "1",
        200,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["echoes", "l"],
        KEY,
        "1",
        202,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["echoes", "l"],
        KEY,
        "2",
        422,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["echoes", "x"],
        CLOSED,
        "1",
        503,
    ),
    (
        "GET /instances/{instanceId}",
        &["w"],
        "showHistory=true&showHistoryOutput=true",
        "",
        202,
    ),
    (
        "GET /instances/{instanceId}",
        &["f"],
        "showHistory=true&showHistoryOutput=true",
        "",
        200,
    ),
    (
        "GET /instances/{instanceId}",
        &["f"],
        "returnInternalServerErrorOnFailure=true",
        "",
        500,
    ),
    ("GET /instances/{instanceId}", &["a/b"], "", "", 400),
    ("GET /instances/{instanceId}", &["missing"], "", "", 404),
    ("GET /instances/{instanceId}", &["w"], CLOSED, "", 503),
    ("GET /instances/{instanceId}/history", &["f"], "", "", 200),
    ("GET /instances/{instanceId}/history", &["a/b"], "", "", 400),
    ("GET /instances/{instanceId}/history", &["missing"], "", "", 404),
    ("GET /instances/{instanceId}/history", &["w"], CLOSED, "", 503),
    ("GET /instances/{instanceId}/recorded", &["f"], "", "", 200),
    ("GET /instances/{instanceId}/recorded", &["a/b"], "", "", 400),
    ("GET /instances/{instanceId}/recorded", &["missing"], "", "", 404),
    ("GET /instances/{instanceId}/recorded", &["w"], CLOSED, "", 503),
    ("GET /instances/{instanceId}/waiting", &["f"], "", "", 200),
    ("GET /instances/{instanceId}/waiting", &["w"], "", "", 200),
    ("GET /instances/{instanceId}/waiting", &["a/b"], "", "", 400),
    ("GET /instances/{instanceId}/waiting", &["missing"], "", "", 404),
    ("GET /instances/{instanceId}/waiting", &["w"], CLOSED, "", 503),
    ("GET /instances/{instanceId}/tree", &["f"], "", "", 200),
    ("GET /instances/{instanceId}/tree", &["a/b"], "", "", 400),
    ("GET /instances/{instanceId}/tree", &["missing"], "", "", 404),
    ("GET /instances/{instanceId}/tree", &["w"], CLOSED, "", 503),
    ("GET /instances/{instanceId}/turns/{turn}", &["w", "0"], "", "", 200),
    ("GET /instances/{instanceId}/turns/{turn}", &["w", "x"], "", "", 400),
    ("GET /instances/{instanceId}/turns/{turn}", &["w", "99"], "", "", 404),
    ("GET /instances/{instanceId}/turns/{turn}", &["w", "0"], CLOSED, "", 503),
    ("GET /instances/{instanceId}/replay", &["w"], "", "", 200),
    ("GET /instances/{instanceId}/replay", &["a/b"], "", "", 400),
    ("GET /instances/{instanceId}/replay", &["missing"], "", "", 404),
    ("GET /instances/{instanceId}/replay", &["w"], CLOSED, "", 503),
    ("GET /failures", &[], "name=greets", "", 200),
    ("GET /failures", &[], "top=0", "", 400),
    ("GET /failures", &[], CLOSED, "", 503),
    ("GET /timeline", &[], "buckets=3", "", 200),
    ("GET /timeline", &[], "buckets=0", "", 400),
    ("GET /timeline", &[], CLOSED, "", 503),
    (
        "POST /batches",
        &[],
        "",
        r#"{"action": "suspend", "filter": {"instanceIdPrefix": "none"}}"#,
        202,
    ),
    ("POST /batches", &[], "", r#"{"action": "suspend"}"#, 400),
    (
        "POST /batches",
        &[],
        CLOSED,
        r#"{"action": "suspend", "ids": ["w"]}"#,
        503,
    ),
    ("GET /batches", &[], "", "", 200),
    ("GET /batches", &[], CLOSED, "", 503),
    ("GET /batches/{id}", &[BATCH], "", "", 200),
    ("GET /batches/{id}", &["none"], "", "", 404),
    ("GET /batches/{id}", &["none"], CLOSED, "", 503),
    ("DELETE /batches/{id}", &[BATCH], "", "", 202),
    ("DELETE /batches/{id}", &["none"], "", "", 404),
    ("DELETE /batches/{id}", &["none"], CLOSED, "", 503),
    ("GET /events", &[], "", "", 200),
    ("GET /events", &[], "kinds=none", "", 400),
    ("GET /events", &[], CLOSED, "", 503),
    #[cfg(feature = "cluster")]
    ("GET /cluster", &[], "", "", 404),
    #[cfg(feature = "cluster")]
    ("GET /cluster", &[], CLOSED, "", 503),
    ("GET /hub", &[], "", "", 200),
    ("GET /hub", &[], CLOSED, "", 503),
    ("GET /activities", &[], "", "", 200),
    ("GET /activities", &[], CLOSED, "", 503),
    ("GET /activities/{name}", &["greet"], "", "", 200),
    ("GET /activities/{name}", &["greet"], "top=0", "", 400),
    ("GET /activities/{name}", &["greet"], CLOSED, "", 503),
    ("GET /instances", &[], "", "", 200),
    ("GET /instances", &[], "top=0", "", 400),
    ("GET /instances", &[], CLOSED, "", 503),
    ("GET /stopped", &[], "", "", 200),
    ("GET /stopped", &[], "top=0", "", 400),
    ("GET /stopped", &[], CLOSED, "", 503),
    ("GET /counts", &[], "", "", 200),
    ("GET /counts", &[], CLOSED, "", 503),
    (
        "POST /instances/{instanceId}/raiseEvent/{eventName}",
        &["w", "other"],
        KEY,
        "1",
        202,
    ),
    (
        "POST /instances/{instanceId}/raiseEvent/{eventName}",
        &["w", "other"],
        KEY,
        "2",
        422,
    ),
    (
        "POST /instances/{instanceId}/raiseEvent/{eventName}",
        &["w", "other"],
        "",
        "{",
        400,
    ),
    (
        "POST /instances/{instanceId}/raiseEvent/{eventName}",
        &["missing", "x"],
        "",
        "",
        404,
    ),
    (
        "POST /instances/{instanceId}/raiseEvent/{eventName}",
        &["e", "x"],
        "",
        "",
        410,
    ),
    (
        "POST /instances/{instanceId}/raiseEvent/{eventName}",
        &["w", "x"],
        "",
        LARGE,
        413,
    ),
    (
        "POST /instances/{instanceId}/raiseEvent/{eventName}",
        &["w", "x"],
        CLOSED,
        "",
        503,
    ),
    ("POST /instances/{instanceId}/suspend", &["w"], "reason=x", "", 202),
    ("POST /instances/{instanceId}/suspend", &["a/b"], "", "", 400),
    ("POST /instances/{instanceId}/suspend", &["missing"], "", "", 404),
    ("POST /instances/{instanceId}/suspend", &["e"], "", "", 410),
    ("POST /instances/{instanceId}/suspend", &["e"], CLOSED, "", 503),
    ("POST /instances/{instanceId}/resume", &["w"], "reason=x", "", 202),
    ("POST /instances/{instanceId}/resume", &["a/b"], "", "", 400),
    ("POST /instances/{instanceId}/resume", &["missing"], "", "", 404),
    ("POST /instances/{instanceId}/resume", &["e"], "", "", 410),
    ("POST /instances/{instanceId}/resume", &["e"], CLOSED, "", 503),
    ("POST /instances/{instanceId}/rewind", &["f"], "reason=x", "", 202),
    ("POST /instances/{instanceId}/rewind", &["a/b"], "", "", 400),
    ("POST /instances/{instanceId}/rewind", &["missing"], "", "", 404),
    ("POST /instances/{instanceId}/rewind", &["w"], "", "", 409),
    ("POST /instances/{instanceId}/rewind", &["e"], "", "", 410),
    ("POST /instances/{instanceId}/rewind", &["e"], CLOSED, "", 503),
    ("POST /instances/{instanceId}/restart", &["e"], "", "", 202),
    ("POST /instances/{instanceId}/restart", &["e"], "timeout=30", "", 200),
    (
        "POST /instances/{instanceId}/restart",
        &["g"],
        "timeout=30&returnInternalServerErrorOnFailure=true",
        "",
        500,
    ),
    ("POST /instances/{instanceId}/restart", &["a/b"], "", "", 400),
    ("POST /instances/{instanceId}/restart", &["missing"], "", "", 404),
    (
        "POST /instances/{instanceId}/restart",
        &["w"],
        "restartWithNewInstanceId=false",
        "",
        409,
    ),
    ("POST /instances/{instanceId}/restart", &["e"], CLOSED, "", 503),
    ("DELETE /instances/{instanceId}", &["w"], "", "", 409),
    ("POST /instances/{instanceId}/terminate", &["w"], "reason=x", "", 202),
    ("POST /instances/{instanceId}/terminate", &["a/b"], "", "", 400),
    ("POST /instances/{instanceId}/terminate", &["missing"], "", "", 404),
    ("POST /instances/{instanceId}/terminate", &["e"], "", "", 410),
    ("POST /instances/{instanceId}/terminate", &["e"], CLOSED, "", 503),
    ("DELETE /instances/{instanceId}", &["e"], "", "", 200),
    ("DELETE /instances/{instanceId}", &["a/b"], "", "", 400),
    ("DELETE /instances/{instanceId}", &["missing"], "", "", 404),
    ("DELETE /instances/{instanceId}", &["e"], CLOSED, "", 503),
    ("DELETE /instances", &[], "createdTimeFrom=2000-01-01", "", 200),
    ("DELETE /instances", &[], "", "", 400),
    ("DELETE /instances", &[], "createdTimeFrom=2999-01-01", "", 404),
    ("DELETE /instances", &[], "createdTimeFrom=2000-01-01&closed", "", 503),
    (
        "POST /entities/{name}/{key}",
        &["counter", "a"],
        "op=add&wait=true",
        "1",
        200,
    ),
    ("POST /entities/{name}/{key}", &["counter", "a"], "op=add", "1", 202),
    ("POST /entities/{name}/{key}", &["counter", "a"], "", "1", 400),
    (
        "POST /entities/{name}/{key}",
        &["counter", "held"],
        "op=get&wait=true",
        "",
        409,
    ),
    ("POST /entities/{name}/{key}", &["counter", "a"], "op=note", LARGE, 413),
    (
        "POST /entities/{name}/{key}",
        &["counter", "a"],
        "op=take&wait=true",
        "99",
        422,
    ),
    (
        "POST /entities/{name}/{key}",
        &["counter", "a"],
        "op=crash&wait=true",
        "",
        500,
    ),
    (
        "POST /entities/{name}/{key}",
        &["counter", "a"],
        "op=add&closed",
        "1",
        503,
    ),
    ("POST /entities/{name}", &["counter"], "op=add&wait=true", "1", 200),
    ("POST /entities/{name}", &["counter"], "op=add", "1", 202),
    ("POST /entities/{name}", &["counter"], "", "1", 400),
    ("POST /entities/{name}", &["single"], "op=get&wait=true", "", 409),
    ("POST /entities/{name}", &["counter"], "op=note", LARGE, 413),
    ("POST /entities/{name}", &["counter"], "op=take&wait=true", "99", 422),
    ("POST /entities/{name}", &["counter"], "op=crash&wait=true", "", 500),
    ("POST /entities/{name}", &["counter"], "op=add&closed", "1", 503),
    ("GET /entities/{name}/{key}", &["counter", "a"], "", "", 200),
    ("GET /entities/{name}/{key}", &["counter", "a/b"], "", "", 400),
    ("GET /entities/{name}/{key}", &["counter", "none"], "", "", 404),
    ("GET /entities/{name}/{key}", &["counter", "a"], CLOSED, "", 503),
    ("GET /entities/{name}/{key}/details", &["counter", "a"], "", "", 200),
    ("GET /entities/{name}/{key}/details", &["counter", "a/b"], "", "", 400),
    ("GET /entities/{name}/{key}/details", &["counter", "a"], CLOSED, "", 503),
    ("DELETE /entities/{name}/{key}/changes", &["counter", "a"], "", "", 204),
    ("DELETE /entities/{name}/{key}/changes", &["counter", "a"], "", "", 404),
    (
        "DELETE /entities/{name}/{key}/changes",
        &["counter", "a/b"],
        "",
        "",
        400,
    ),
    (
        "DELETE /entities/{name}/{key}/changes",
        &["counter", "a"],
        CLOSED,
        "",
        503,
    ),
    ("GET /entities", &[], "fetchState=true", "", 200),
    ("GET /entities", &[], "", "", 200),
    ("GET /entities", &[], "top=0", "", 400),
    ("GET /entities", &[], CLOSED, "", 503),
    ("GET /entities/{name}", &["counter"], "fetchState=true", "", 200),
    ("GET /entities/{name}", &["counter"], "top=0", "", 400),
    ("GET /entities/{name}", &["counter"], CLOSED, "", 503),
    ("DELETE /entities/{name}/{key}", &["counter", "a"], "", "", 202),
    ("POST /entities/{name}/{key}", &["counter", "a"], "op=add&key", "1", 202),
    ("DELETE /entities/{name}/{key}", &["counter", "a"], KEY, "", 422),
    ("DELETE /entities/{name}/{key}", &["counter", "a/b"], "", "", 400),
    ("DELETE /entities/{name}/{key}", &["counter", "a"], CLOSED, "", 503),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["locks", "owner"],
        "",
        r#""k""#,
        202,
    ),
    ("GET /locks", &[], "", "", 200),
    ("GET /locks", &[], "top=0", "", 400),
    // The lock delays the call beyond its wait limit.
    (
        "POST /entities/{name}/{key}",
        &["counter", "k"],
        "op=add&wait=true&hasty",
        "1",
        504,
    ),
    (
        "POST /orchestrators/{name}/{instanceId}",
        &["locks", "owner-of-the-empty-key"],
        "",
        r#""""#,
        202,
    ),
    (
        "POST /entities/{name}",
        &["counter"],
        "op=add&wait=true&hasty",
        "1",
        504,
    ),
    ("GET /locks", &[], CLOSED, "", 503),
    ("DELETE /locks/{name}/{key}", &["counter", "k"], "", "", 204),
    ("DELETE /locks/{name}/{key}", &["counter", "k"], "", "", 404),
    ("DELETE /locks/{name}/{key}", &["counter", "a/b"], "", "", 400),
    ("DELETE /locks/{name}/{key}", &["counter", "k"], CLOSED, "", 503),
    ("POST /orchestrators/{name}", &["misdirects"], "timeout=30", "1", 200),
    ("GET /dead-letters", &[], "", "", 200),
    ("GET /dead-letters", &[], "top=0", "", 400),
    ("GET /dead-letters", &[], CLOSED, "", 503),
    ("POST /dead-letters/{id}/redeliver", &[LETTER], "", "", 202),
    ("POST /dead-letters/{id}/redeliver", &["x"], "", "", 400),
    ("POST /dead-letters/{id}/redeliver", &["0-0-0"], "", "", 404),
    ("POST /dead-letters/{id}/redeliver", &["0-0-0"], CLOSED, "", 503),
    ("DELETE /dead-letters/{id}", &[LETTER], "", "", 204),
    ("DELETE /dead-letters/{id}", &["x"], "", "", 400),
    ("DELETE /dead-letters/{id}", &["0-0-0"], "", "", 404),
    ("DELETE /dead-letters/{id}", &["0-0-0"], CLOSED, "", 503),
    ("GET /schedules", &[], "", "", 200),
    ("GET /schedules", &[], "top=0", "", 400),
    ("GET /schedules", &[], CLOSED, "", 503),
    ("GET /schedules/{id}", &["hourly"], "", "", 200),
    ("GET /schedules/{id}", &["a/b"], "", "", 400),
    ("GET /schedules/{id}", &["none"], "", "", 404),
    ("GET /schedules/{id}", &["hourly"], CLOSED, "", 503),
    (
        "PUT /schedules/{id}",
        &["hourly"],
        "",
        r#"{"orchestration": "echoes", "cron": "0 * * * *"}"#,
        200,
    ),
    ("PUT /schedules/{id}", &["hourly"], "", "{}", 400),
    (
        "PUT /schedules/{id}",
        &["hourly"],
        CLOSED,
        r#"{"orchestration": "echoes", "cron": "0 * * * *"}"#,
        503,
    ),
    ("POST /schedules/{id}/pause", &["hourly"], "", "", 202),
    ("POST /schedules/{id}/pause", &["a/b"], "", "", 400),
    ("POST /schedules/{id}/pause", &["none"], "", "", 404),
    ("POST /schedules/{id}/pause", &["hourly"], CLOSED, "", 503),
    ("POST /schedules/{id}/resume", &["hourly"], "", "", 202),
    ("POST /schedules/{id}/resume", &["a/b"], "", "", 400),
    ("POST /schedules/{id}/resume", &["none"], "", "", 404),
    ("POST /schedules/{id}/resume", &["hourly"], CLOSED, "", 503),
    ("POST /schedules/{id}/trigger", &["hourly"], "", "", 202),
    ("POST /schedules/{id}/trigger", &["a/b"], "", "", 400),
    ("POST /schedules/{id}/trigger", &["none"], "", "", 404),
    ("POST /schedules/{id}/trigger", &["hourly"], CLOSED, "", 503),
    ("DELETE /schedules/{id}", &["hourly"], "", "", 204),
    ("DELETE /schedules/{id}", &["a/b"], "", "", 400),
    ("DELETE /schedules/{id}", &["none"], "", "", 404),
    ("DELETE /schedules/{id}", &["hourly"], CLOSED, "", 503),
    ("GET /quarantine", &[], "", "", 200),
    ("GET /quarantine", &[], "top=0", "", 400),
    ("GET /quarantine", &[], CLOSED, "", 503),
    (
        "POST /quarantine/{name}/{key}/release",
        &["counter", "held"],
        "",
        "",
        202,
    ),
    (
        "POST /quarantine/{name}/{key}/release",
        &["counter", "held"],
        "",
        "",
        404,
    ),
    (
        "POST /quarantine/{name}/{key}/release",
        &["counter", "a/b"],
        "",
        "",
        400,
    ),
    (
        "POST /quarantine/{name}/{key}/release",
        &["counter", "held"],
        CLOSED,
        "",
        503,
    ),
    ("GET /stats", &[], "", "", 200),
    ("GET /stats", &[], CLOSED, "", 503),
    ("GET /health", &[], "", "", 200),
    ("GET /health", &[], CLOSED, "", 503),
    ("GET /metrics", &[], "", "", 200),
    ("GET /metrics", &[], CLOSED, "", 503),
    ("GET /openapi.json", &[], "", "", 200),
];

/// A body over the payload limit.
const LARGE: &str = "large";
/// A marker in the query: send an idempotency key.
const KEY: &str = "key";
/// A marker in the query: send the request to a closed hub.
const CLOSED: &str = "closed";
/// A marker for the ID of the newest batch.
const BATCH: &str = "batch";
/// A marker for the ID of the newest dead letter.
const LETTER: &str = "letter";

/// Responses match the description, including the fields of every document, and every described status occurs.
#[tokio::test]
async fn answers_are_as_described() {
    let api = Api::open().await;
    let config = || HttpConfig::new().without_token();
    let hasty = abide::http::router(api.hub.client(), &config().wait_limit(Duration::ZERO)).unwrap();
    let closed = Api::open().await;
    let schedules = api.hub.client().schedules();
    let hourly = schedules.create_by_name("hourly", Recurrence::cron("0 * * * *"), "echoes", Value::Null);
    hourly.paused().await.unwrap();
    let document = api.get("/openapi.json").await.json();
    let operations = operations(&document);
    closed.hub.shutdown().await.unwrap();

    let mut met: BTreeSet<(String, String)> = BTreeSet::new();
    for (route, arguments, query, body, status) in EXAMPLES {
        let (verb, template) = route.split_once(' ').unwrap();
        let mut path = template.to_owned();
        for argument in *arguments {
            let argument = match *argument {
                LETTER => newest_letter(&api).await,
                BATCH => api.get("/batches").await.json()[0]["id"].as_str().unwrap().to_owned(),
                argument => argument.replace('/', "%2F"),
            };
            let (before, rest) = path.split_once('{').unwrap();
            path = format!("{before}{argument}{}", rest.split_once('}').unwrap().1);
        }
        let router = if query.ends_with(CLOSED) {
            &closed.router
        } else if query.ends_with("hasty") {
            &hasty
        } else {
            &api.router
        };
        let body = if *body == LARGE {
            format!("\"{}\"", "x".repeat(3 << 20))
        } else {
            (*body).to_owned()
        };
        let headers = [("content-type", "application/json"), ("idempotency-key", "one")];
        let headers = if query.ends_with(KEY) {
            &headers[..]
        } else {
            &headers[..1]
        };
        let path = format!("{}{path}?{query}", super::fixture::BASE);
        let answer = super::fixture::send(router, verb.parse().unwrap(), &path, headers, body).await;
        let about = format!("{route} {arguments:?} {query}");
        assert_eq!(answer.status, *status, "{about}: {answer:?}");
        let described = &operations[*route]["responses"][status.to_string()];
        assert!(described.is_object(), "{about}: {status} is not described");
        is_as_described(&document, described, &answer, &about);
        met.insert(((*route).to_owned(), status.to_string()));
    }
    for (route, operation) in operations {
        for status in operation["responses"].as_object().unwrap().keys() {
            // Another test covers the status codes of tokens, and the description does not depend on the hub.
            if ["401", "403", "default"].contains(&status.as_str()) || route == "GET /openapi.json" {
                continue;
            }
            // `tests/cluster` has a hub in a database.
            if (route.as_str(), status.as_str()) == ("GET /cluster", "200") {
                continue;
            }
            assert!(
                met.contains(&(route.clone(), status.clone())),
                "{route} never returned {status}"
            );
        }
    }
}

/// Never ends.
#[activity]
async fn hangs() -> Result<(), Failure> {
    std::future::pending().await
}

/// Calls a counter that another orchestration has locked.
#[orchestration]
async fn calls_locked(ctx: OrchestrationContext) -> Result<i64, Failure> {
    Ok(ctx.entity::<Counter>("locked").add(1).await?)
}

/// Opens a step of each kind but a call, which its child opens.
#[orchestration]
async fn opens_all(ctx: OrchestrationContext) {
    let locked = ctx.entity::<Counter>("locked");
    let _ = futures::join!(
        ctx.call_activity::<hangs>(()).label("hang").into_future(),
        ctx.create_timer(Duration::from_secs(3_600)),
        ctx.wait_for_external_event::<Value>("go").into_future(),
        ctx.call_sub_orchestration::<calls_locked>(()).into_future(),
        ctx.lock_entities(&locked).into_future(),
    );
}

/// The reports about an orchestration with open steps of each kind match the description.
#[tokio::test]
async fn reports_are_as_described() {
    let builder = Hub::in_memory().activity::<hangs>().orchestration::<calls_locked>();
    let builder = builder.orchestration::<opens_all>();
    let api = Api::build(builder, HttpConfig::new().without_token()).await;
    let document = api.get("/openapi.json").await.json();
    api.post("/orchestrators/locks/owner", r#""locked""#).await.is(202);
    api.until_custom_status("owner", "locked").await;
    api.post("/orchestrators/opens_all/all", "null").await.is(202);
    let parts = [
        "activity",
        "entityCall",
        "event",
        "lock",
        "running",
        "subOrchestration",
        "timer",
    ];
    let is_complete = |report: &Value| {
        let report = report.to_string();
        parts.iter().all(|part| report.contains(&format!("\"{part}\"")))
    };
    while !is_complete(&api.get("/instances/all/waiting").await.json()) {}
    for (route, path) in [
        ("/instances/{instanceId}/waiting", "/instances/all/waiting"),
        ("/instances/{instanceId}/tree", "/instances/all/tree"),
        ("/instances/{instanceId}/turns/{turn}", "/instances/all/turns/0"),
        ("/instances/{instanceId}/replay", "/instances/all/replay"),
        ("/activities", "/activities"),
        ("/activities/{name}", "/activities/hangs"),
        ("/timeline", "/timeline"),
    ] {
        let described = &document["paths"][route]["get"]["responses"]["200"];
        assert!(
            described["content"]["application/json"]["schema"].is_object(),
            "{route}"
        );
        is_as_described(&document, described, &api.get(path).await, path);
    }
}

/// If tokens are configured, every route except `/health` requires one that permits its verb, as described.
#[tokio::test]
async fn routes_ask_for_tokens_as_described() {
    let (look, operate) = ("look-look-look-look", "operate-operate-operate");
    let config = HttpConfig::new()
        .token(Token::read(look))
        .token(Token::operate(operate));
    let api = Api::with(config).await;
    let key = [("x-functions-key", look)];
    let document = api.send(Method::GET, "/openapi.json", &key, "").await.json();
    for (route, operation) in operations(&document) {
        let (verb, path) = route.split_once(' ').unwrap();
        let verb: Method = verb.parse().unwrap();
        let bare = api.send(verb.clone(), &filled(path), &[], "").await;
        if path == "/health" {
            bare.is(200);
            assert!(operation.get("security").is_none(), "{route}");
            continue;
        }
        bare.is_error(401, "Unauthorized");
        is_as_described(&document, &operation["responses"]["401"], &bare, &route);
        let looked = api.send(verb.clone(), &filled(path), &key, "").await;
        if verb != Method::GET {
            looked.is_error(403, "Forbidden");
            is_as_described(&document, &operation["responses"]["403"], &looked, &route);
        }
        assert_eq!(operation["security"].as_array().unwrap().len(), 3, "{route}");
    }
}

async fn newest_letter(api: &Api) -> String {
    loop {
        if let Some(letter) = api.get("/dead-letters").await.json().get(0) {
            return letter["id"].as_str().unwrap().to_owned();
        }
    }
}

fn is_as_described(document: &Value, described: &Value, answer: &Answer, about: &str) {
    for header in described["headers"]
        .as_object()
        .into_iter()
        .flat_map(|headers| headers.keys())
    {
        // This header is present only if another page follows.
        if header != "x-ms-continuation-token" {
            assert!(
                !answer.header(&header.to_lowercase()).is_empty(),
                "{about}: no header {header}"
            );
        }
    }
    let Some(content) = described["content"].as_object() else {
        assert!(answer.body.is_empty(), "{about}: {answer:?}");
        return;
    };
    let (content_type, content) = content.iter().next().unwrap();
    assert!(
        answer.header("content-type").starts_with(content_type.as_str()),
        "{about}: {answer:?}"
    );
    if content_type == "application/json" {
        fits(document, &content["schema"], &answer.json(), about);
    }
}

/// Asserts that a value matches a schema and has no undescribed field.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Err(problem) = (Checker { document }).check(schema, value, at) {
        panic!("{problem}");
    }
}

/// The part of JSON Schema that the description uses.
struct Checker<'a> {
    document: &'a Value,
}

impl Checker<'_> {
    /// Returns why a value does not match a schema, or has an undescribed field.
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let mut described = BTreeSet::new();
        self.check_part(schema, value, at, &mut described)?;
        let fields = value.as_object().into_iter().flatten().map(|(name, _)| name);
        // A schema without fields describes any object.
        match fields
            .filter(|_| !described.is_empty())
            .find(|name| !described.contains(*name))
        {
            Some(name) => Err(format!("{at}: `{name}` is not described")),
            None => Ok(()),
        }
    }

    /// Like [`check`](Self::check), for a schema that may describe only some fields. Adds their names to `described`.
    fn check_part(
        &self,
        schema: &Value,
        value: &Value,
        at: &str,
        described: &mut BTreeSet<String>,
    ) -> Result<(), String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let found = self.document.pointer(reference.strip_prefix('#').unwrap());
            let found = found.unwrap_or_else(|| panic!("{at}: there is no {reference}"));
            return self.check_part(found, value, at, described);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check_part(part, value, at, described)?;
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let mut problems = Vec::new();
            for choice in choices {
                let mut fields = described.clone();
                match self.check_part(choice, value, at, &mut fields) {
                    Ok(()) => {
                        *described = fields;
                        return Ok(());
                    }
                    Err(problem) => problems.push(problem),
                }
            }
            return Err(problems.join("\n"));
        }
        self.check_value(schema, value, at)?;
        for required in schema["required"].as_array().into_iter().flatten() {
            if value.get(required.as_str().unwrap()).is_none() {
                return Err(format!("{at}: no {required} in {value}"));
            }
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            described.insert(name.clone());
            if let Some(field) = value.get(name) {
                self.check(schema, field, &format!("{at}.{name}"))?;
            }
        }
        Ok(())
    }

    /// Checks the type of a value, and the items of an array.
    fn check_value(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_meant = match &schema["type"] {
            Value::String(meant) => meant == kind,
            Value::Array(meant) => meant.iter().any(|meant| meant == kind),
            _ => true,
        };
        let values = schema["enum"].as_array();
        if !is_meant || values.is_some_and(|values| !values.contains(value)) {
            return Err(format!("{at}: {value} is not {schema}"));
        }
        for item in value.as_array().into_iter().flatten() {
            self.check(&schema["items"], item, &format!("{at}[]"))?;
        }
        Ok(())
    }
}

/// The checker refuses wrong types, unknown values, and fields that are missing or not described.
#[test]
fn the_checker_finds_differences() {
    let document = json!({"schemas": {"Cat": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "lives": {"type": ["integer", "null"]}},
    }}});
    let cat = json!({"$ref": "#/schemas/Cat"});
    let tagged = |name: &str, field: &str| {
        json!({"type": "object", "required": ["kind", field], "properties": {
            "kind": {"type": "string", "enum": [name]},
            field: cat,
        }})
    };
    let either = json!({"allOf": [
        {"type": "object", "properties": {"since": {"type": "string"}}},
        {"oneOf": [tagged("one", "cat"), tagged("two", "dog")]},
    ]});
    let checker = Checker { document: &document };
    let fits = |schema: &Value, value: Value| checker.check(schema, &value, "it").is_ok();
    assert!(fits(&cat, json!({"name": "Tom", "lives": null})));
    assert!(fits(&json!({"type": "array", "items": cat}), json!([{"name": "Tom"}])));
    assert!(fits(&json!({"oneOf": [{"type": "null"}, cat]}), Value::Null));
    assert!(fits(
        &either,
        json!({"kind": "two", "dog": {"name": "Rex"}, "since": "now"})
    ));
    assert!(fits(&Value::Null, json!({"anything": 1})));
    assert!(!fits(&cat, json!({"name": 1})));
    assert!(!fits(&cat, json!({"lives": 7})));
    assert!(!fits(&cat, json!({"name": "Tom", "age": 7})));
    assert!(!fits(&json!({"type": "array", "items": cat}), json!([{}])));
    assert!(!fits(&json!({"oneOf": [{"type": "null"}, cat]}), json!(1)));
    assert!(!fits(&either, json!({"kind": "two", "cat": {"name": "Tom"}})));
    assert!(!fits(
        &either,
        json!({"kind": "one", "cat": {"name": "Tom"}, "dog": {"name": "Rex"}})
    ));
    assert!(!fits(&either, json!({"kind": "three"})));
}
