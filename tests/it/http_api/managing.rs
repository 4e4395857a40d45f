//! Managing one orchestration, and purging many.

use axum::http::Method;
use serde_json::{Value, json};

use super::fixture::Api;

/// Opens a hub with a waiting orchestration and one for each way to end.
async fn standing() -> Api {
    let api = Api::open().await;
    api.post("/orchestrators/waits/running", "").await.is(202);
    api.until_custom_status("running", "waiting").await;
    api.run("echoes", "completed", "1").await.is(200);
    api.run("greets", "failed", r#"[""]"#).await.is(200);
    api.post("/orchestrators/waits/terminated", "").await.is(202);
    api.post("/instances/terminated/terminate", "").await.is(202);
    api.until("terminated", "Terminated").await;
    api
}

/// An event reaches an orchestration that has not ended, with every content type that means JSON.
#[tokio::test]
async fn an_event_is_raised() {
    let api = standing().await;
    for (content_type, body, output) in [
        ("application/json", r#"{"ok": true}"#, json!({"ok": true})),
        ("application/json; charset=utf-8", "1", json!(1)),
        ("APPLICATION/JSON", "\"x\"", json!("x")),
        ("application/cloudevents+json", "[]", json!([])),
        ("application/x-www-form-urlencoded", "true", json!(true)),
        ("", "2", json!(2)),
        ("application/json", "", Value::Null),
    ] {
        let started = api.post("/orchestrators/waits", "").await.json();
        let id = started["id"].as_str().unwrap();
        let headers = [("content-type", content_type)];
        let headers = if content_type.is_empty() { &[][..] } else { &headers };
        let path = format!("/instances/{id}/raiseEvent/GO");
        let raised = api.send(Method::POST, &path, headers, body).await;
        raised.is(202);
        assert!(raised.body.is_empty());
        assert_eq!(api.until(id, "Completed").await["output"], output);
    }
    let path = "/instances/running/raiseEvent/go";
    for content_type in ["text/plain", "application/xml", "multipart/form-data"] {
        api.send(Method::POST, path, &[("content-type", content_type)], "1")
            .await
            .is_error(400, "UnsupportedContentType");
    }
    api.post(path, "{").await.is_error(400, "InvalidJson");
    api.post("/instances/running/raiseEvent/%0A", "1")
        .await
        .is_error(400, "InvalidId");
    api.post("/instances/missing/raiseEvent/go", "1")
        .await
        .is_error(404, "NotFound");
    for id in ["completed", "failed", "terminated"] {
        api.post(&format!("/instances/{id}/raiseEvent/go"), "1")
            .await
            .is_error(410, "Ended");
    }
    let large = format!("\"{}\"", "x".repeat(3 << 20));
    api.post(path, &large).await.is_error(413, "TooLarge");
}

/// Retries of an event with the same idempotency key raise one event.
#[tokio::test]
async fn an_event_is_raised_once() {
    let api = standing().await;
    let raise = async |body: &'static str| {
        let headers = [("idempotency-key", "once")];
        api.send(Method::POST, "/instances/running/raiseEvent/other", &headers, body)
            .await
    };
    raise("1").await.is(202);
    raise("1").await.is(202);
    raise("2").await.is_error(422, "RequestIdReused");
    api.post("/instances/running/raiseEvent/go", "").await.is(202);
    api.until("running", "Completed").await;
    let shown = api.get("/instances/running?showHistory=true").await.json();
    let events = shown["historyEvents"].as_array().unwrap();
    assert_eq!(events.iter().filter(|event| event["Name"] == "other").count(), 1);
}

/// An orchestration accepts `terminate`, `suspend` and `resume` until it has ended. Afterwards they return 410.
#[tokio::test]
async fn commands_are_accepted_until_the_end() {
    let api = standing().await;
    for order in ["suspend", "resume", "terminate"] {
        api.post(&format!("/instances/missing/{order}"), "")
            .await
            .is_error(404, "NotFound");
        api.post(&format!("/instances/a%5Cb/{order}"), "")
            .await
            .is_error(400, "InvalidId");
        for id in ["completed", "failed", "terminated"] {
            api.post(&format!("/instances/{id}/{order}?reason=x"), "")
                .await
                .is_error(410, "Ended");
        }
        let taken = api
            .post(&format!("/instances/running/{order}?reason=why+not%3F"), "null")
            .await;
        taken.is(202);
        assert!(taken.body.is_empty());
    }
    assert_eq!(api.until("running", "Terminated").await["output"], "why not?");
}

/// Only a failed orchestration can be rewound.
#[tokio::test]
async fn a_failed_orchestration_is_rewound() {
    let api = standing().await;
    api.post("/instances/missing/rewind", "")
        .await
        .is_error(404, "NotFound");
    api.post("/instances/running/rewind", "")
        .await
        .is_error(409, "WrongState");
    for id in ["completed", "terminated"] {
        api.post(&format!("/instances/{id}/rewind?reason=x"), "")
            .await
            .is_error(410, "WrongState");
    }
    let execution = api.get("/instances/failed").await.json()["executionId"].clone();
    api.post("/instances/failed/rewind?reason=fixed", "").await.is(202);
    assert_ne!(api.until("failed", "Failed").await["executionId"], execution);
}

/// An orchestration is restarted, with a new ID or its own.
#[tokio::test]
async fn an_orchestration_is_restarted() {
    let api = standing().await;
    let new = api.post("/instances/completed/restart", "").await;
    new.is(202);
    let id = new.json()["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "completed");
    assert!(new.header("location").ends_with(&format!("/instances/{id}")));
    assert_eq!(new.header("retry-after"), "10");
    assert_eq!(api.until(&id, "Completed").await["output"], 1);

    let same = api
        .post("/instances/completed/restart?restartWithNewInstanceId=false", "")
        .await;
    same.is(202);
    assert_eq!(same.json()["id"], "completed");
    let waited = api
        .post("/instances/completed/restart?timeout=30&pollingInterval=1", "")
        .await;
    waited.is(200);
    assert_eq!(waited.json(), 1);
    api.post("/instances/running/restart?restartWithNewInstanceId=false", "")
        .await
        .is_error(409, "WrongState");
    api.post("/instances/running/restart", "").await.is(202);
    api.post("/instances/missing/restart", "")
        .await
        .is_error(404, "NotFound");
    api.post("/instances/missing/restart?restartWithNewInstanceId=false", "")
        .await
        .is_error(404, "NotFound");
}

/// A single orchestration that has ended is purged.
#[tokio::test]
async fn an_orchestration_is_purged() {
    let api = standing().await;
    let purged = api.delete("/instances/completed").await;
    purged.is(200);
    assert_eq!(purged.json(), json!({ "instancesDeleted": 1 }));
    api.get("/instances/completed").await.is_error(404, "NotFound");
    api.delete("/instances/completed").await.is_error(404, "NotFound");
    api.delete("/instances/running").await.is_error(409, "WrongState");
}

/// Orchestrations are purged by creation time and status. The creation time is required.
#[tokio::test]
async fn orchestrations_are_purged() {
    let api = standing().await;
    api.delete("/instances").await.is_error(400, "InvalidQuery");
    api.delete("/instances?runtimeStatus=Completed")
        .await
        .is_error(400, "InvalidQuery");
    api.delete("/instances/?createdTimeFrom=2999-01-01T00:00:00Z")
        .await
        .is_error(404, "NotFound");
    api.delete("/instances?createdTimeFrom=2000-01-01&createdTimeTo=2001-01-01")
        .await
        .is_error(404, "NotFound");
    api.delete("/instances?createdTimeFrom=2000-01-01&runtimeStatus=Running")
        .await
        .is_error(404, "NotFound");
    let some = api
        .delete("/instances?createdTimeFrom=2000-01-01&runtimeStatus=Failed,Terminated")
        .await;
    some.is(200);
    assert_eq!(some.json(), json!({ "instancesDeleted": 2 }));
    let rest = api.delete("/instances?createdTimeFrom=2000-01-01").await;
    assert_eq!(rest.json(), json!({ "instancesDeleted": 1 }));
    api.get("/instances/running").await.is(202);
}
