//! Entities: states, signals and calls.

use axum::http::Method;
use serde_json::json;

use super::fixture::Api;

/// The state is returned as it is stored. `$` is the empty key.
#[tokio::test]
async fn a_state_is_shown() {
    let api = Api::open().await;
    api.get("/entities/counter/a").await.is_error(404, "NotFound");
    api.get("/entities/missing/a").await.is_error(404, "NotFound");
    for key in ["a", "$", "x%20%C3%84@b%25"] {
        let path = format!("/entities/Counter/{key}");
        api.post(&format!("{path}/?op=add&wait=true"), "2").await.is(200);
        let shown = api.get(&path).await;
        shown.is(200);
        assert_eq!(shown.json(), json!({ "value": 2, "note": "" }));
    }
    let listed = api.get("/entities").await.json();
    let keys: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["entityId"]["key"].clone())
        .collect();
    assert_eq!(keys, ["", "a", "x Ä@b%"]);
    for id in ["counter/a%2Fb", "counter/a%5Cb", "counter/%3F", "counter/%00", "a@b/c"] {
        api.get(&format!("/entities/{id}")).await.is_error(400, "InvalidId");
        api.post(&format!("/entities/{id}?op=add"), "1")
            .await
            .is_error(400, "InvalidId");
        api.delete(&format!("/entities/{id}")).await.is_error(400, "InvalidId");
    }
    api.get("/entities/counter/%FF").await.is_error(400, "InvalidPath");
}

/// A signal accepts JSON, plain text or nothing, depending on its content type.
#[tokio::test]
async fn an_operation_takes_json_or_text() {
    let api = Api::open().await;
    let signal = async |op: &str, content_type: Option<&str>, body: &'static str| {
        let headers: Vec<_> = content_type.iter().map(|value| ("content-type", *value)).collect();
        let path = format!("/entities/counter/a?op={op}");
        api.send(Method::POST, &path, &headers, body).await
    };
    signal("add", Some("application/json"), "5").await.is(202);
    signal("ad", None, "5").await.is_error(400, "UnknownOperation");
    signal("add", None, "5").await.is(202);
    signal("add", Some("application/x-www-form-urlencoded"), "5")
        .await
        .is(202);
    signal("add", Some("text/plain"), "5")
        .await
        .is_error(400, "InvalidArguments");
    signal("add", Some("application/json"), "5 5")
        .await
        .is_error(400, "InvalidJson");
    for (content_type, body, note) in [
        (Some("application/json"), "\"json\"", "json"),
        (Some("text/plain; charset=utf-8"), "5", "5"),
        (Some("text/plain"), "say \"yes\"\n", "say \"yes\"\n"),
        (None, "plain text", "plain text"),
    ] {
        let signaled = signal("note", content_type, body).await;
        signaled.is(202);
        assert!(signaled.body.is_empty());
        api.post("/entities/counter/a?op=get&wait=true", "").await.is(200);
        assert_eq!(api.get("/entities/counter/a").await.json()["note"], note);
    }
    signal("set", None, r#"{"value": 1, "note": "both"}"#).await.is(202);
    signal("set", None, "1").await.is_error(400, "InvalidArguments");
    signal("get", None, "").await.is(202);
    signal("get", None, "null").await.is(202);
    let state = api.post("/entities/counter/a?op=get&wait=true", "").await;
    assert_eq!(state.json(), 1);
    let broken: &[u8] = b"\xff";
    api.send(Method::POST, "/entities/counter/a?op=note", &[], broken)
        .await
        .is_error(400, "InvalidBody");
}

/// A signal that cannot succeed is rejected before anything is stored.
#[tokio::test]
async fn a_signal_that_cannot_succeed_is_refused() {
    let api = Api::open().await;
    for wait in ["", "&wait=true"] {
        api.post(&format!("/entities/counter/a?op={wait}"), "1")
            .await
            .is_error(400, "InvalidQuery");
        api.post(&format!("/entities/counter/a?x=1{wait}"), "1")
            .await
            .is_error(400, "InvalidQuery");
        api.post(&format!("/entities/counter/a?op=fly{wait}"), "1")
            .await
            .is_error(400, "UnknownOperation");
        api.post(&format!("/entities/missing/a?op=add{wait}"), "1")
            .await
            .is_error(400, "Unregistered");
        let large = format!("\"{}\"", "x".repeat(3 << 20));
        api.post(&format!("/entities/counter/a?op=note{wait}"), &large)
            .await
            .is_error(413, "TooLarge");
    }
    api.post("/entities/counter/a?op=add&wait=perhaps", "1")
        .await
        .is_error(400, "InvalidQuery");
    api.delete("/entities/missing/a").await.is_error(400, "Unregistered");
    api.get("/entities/counter/a").await.is_error(404, "NotFound");
}

/// A call returns the result of the operation, or its error with the complete failure record.
#[tokio::test]
async fn a_call_answers_with_the_result() {
    let api = Api::open().await;
    let path = "/entities/counter/a?wait=true&op=";
    let called = api.post(&format!("{path}add"), "5").await;
    called.is(200);
    assert_eq!(called.json(), 5);
    assert_eq!(
        api.post(&format!("{path}note"), "\"x\"").await.json(),
        serde_json::Value::Null
    );

    let refused = api.post(&format!("{path}take"), "9").await;
    refused.is_error(422, "OperationFailed");
    insta::assert_json_snapshot!(refused.json());
    api.post(&format!("{path}crash"), "").await.is_error(500, "Panicked");
    assert_eq!(api.post(&format!("{path}get"), "").await.json(), 5);
}

/// Retries with the same idempotency key take effect once, and a call returns the same result.
#[tokio::test]
async fn a_retry_takes_effect_once() {
    let api = Api::open().await;
    let ask = async |query: &str, key: &str, body: &'static str| {
        let path = format!("/entities/counter/a?op=add{query}");
        api.send(Method::POST, &path, &[("idempotency-key", key)], body).await
    };
    for _ in 0..2 {
        assert_eq!(ask("&wait=true", "call", "5").await.json(), 5);
        ask("", "signal", "5").await.is(202);
    }
    ask("&wait=true", "call", "6").await.is_error(422, "RequestIdReused");
    ask("&wait=true", "signal", "5").await.is_error(422, "RequestIdReused");
    assert_eq!(api.post("/entities/counter/a?op=get&wait=true", "").await.json(), 10);
}

/// A retry whose body is formatted differently is the same request. A body with another value is not.
#[tokio::test]
async fn a_retry_may_write_its_body_another_way() {
    let api = Api::open().await;
    let start = async |body: &'static str| {
        let headers = [("idempotency-key", "key")];
        api.send(Method::POST, "/orchestrators/waits/w", &headers, body).await
    };
    start(r#"{"name":"lamp","sizes":[1,2]}"#).await.is(202);
    start("{ \"sizes\": [1, 2],\n \"name\": \"l\\u0061mp\" }").await.is(202);
    start(r#"{"name":"lamp","sizes":[2,1]}"#)
        .await
        .is_error(422, "RequestIdReused");
}

/// A delete is a signal.
#[tokio::test]
async fn an_entity_is_deleted() {
    let api = Api::open().await;
    api.post("/entities/counter/a?op=add&wait=true", "5").await.is(200);
    let deleted = api.delete("/entities/counter/a/").await;
    deleted.is(202);
    assert!(deleted.body.is_empty());
    assert_eq!(api.post("/entities/counter/a?op=get&wait=true", "").await.json(), 0);
}
