//! The status and the history of an orchestration.

use axum::http::Method;
use serde_json::{Value, json};

use super::fixture::{Api, BASE, HOST, redacted};

/// The status code is 202 with `Location` and `Retry-After` until the orchestration has ended, and then 200.
#[tokio::test]
async fn the_status_code_shows_whether_it_has_ended() {
    let api = Api::open().await;
    api.post("/orchestrators/waits/a", "1").await.is(202);
    api.until_custom_status("a", "waiting").await;
    for (action, status) in [("", "Running"), ("suspend", "Suspended"), ("resume", "Running")] {
        if !action.is_empty() {
            api.post(&format!("/instances/a/{action}?reason=because"), "")
                .await
                .is(202);
            api.until("a", status).await;
        }
        let shown = api.get("/instances/a?showInput=True&code=x").await;
        shown.is(202);
        assert_eq!(shown.json()["runtimeStatus"], status);
        let again = format!("http://{HOST}{BASE}/instances/a?showInput=True&code=x");
        assert_eq!(
            (shown.header("location"), shown.header("retry-after")),
            (again.as_str(), "5")
        );
    }
    api.post("/instances/a/raiseEvent/go", "true").await.is(202);
    api.until("a", "Completed").await;
    let shown = api.get("/instances/a").await;
    shown.is(200);
    assert_eq!((shown.header("location"), shown.header("retry-after")), ("", ""));
    let head = api.send(Method::HEAD, "/instances/a", &[], "").await;
    head.is(200);
    assert!(head.body.is_empty());

    api.run("greets", "b", r#"[""]"#).await;
    api.get("/instances/b").await.is(200);
    api.get("/instances/b?returnInternalServerErrorOnFailure=false")
        .await
        .is(200);
    let failed = api.get("/instances/b?returnInternalServerErrorOnFailure=true").await;
    failed.is(500);
    assert_eq!(failed.json()["runtimeStatus"], "Failed");
    api.get("/instances/a?returnInternalServerErrorOnFailure=true")
        .await
        .is(200);

    api.get("/instances/missing").await.is_error(404, "NotFound");
    api.get("/instances/a%2Fb").await.is_error(400, "InvalidId");
    api.get("/instances/@a@b").await.is_error(400, "InvalidId");
    api.get("/instances/a?showInput=perhaps")
        .await
        .is_error(400, "InvalidQuery");
}

/// The status documents of orchestrations in every state.
#[tokio::test]
async fn documents_are_pinned() {
    let api = Api::open().await;
    api.run("greets", "completed", r#"["Tokyo", "Seattle"]"#).await;
    api.run("greets", "failed", r#"["Tokyo", ""]"#).await;
    for id in ["running", "terminated", "suspended"] {
        api.post(&format!("/orchestrators/waits/{id}"), r#"{"id": 1}"#).await;
        api.until_custom_status(id, "waiting").await;
    }
    api.post("/instances/terminated/terminate?reason=not+needed", "")
        .await
        .is(202);
    api.post("/instances/suspended/suspend?reason=later", "").await.is(202);
    api.post("/orchestrators/breaks/stopped", "0").await.is(202);
    while api.get("/instances/stopped").await.json().get("stopped").is_none() {}
    for (id, status) in [("terminated", "Terminated"), ("suspended", "Suspended")] {
        api.until(id, status).await;
    }
    let mut documents = serde_json::Map::new();
    for id in ["completed", "failed", "running", "terminated", "suspended", "stopped"] {
        let shown = redacted(api.get(&format!("/instances/{id}")).await.json());
        documents.insert(id.to_owned(), shown);
    }
    documents["stopped"]["stopped"]["message"] = "[message]".into();
    insta::assert_json_snapshot!(documents);
    let without = api.get("/instances/completed?showInput=false").await.json();
    assert_eq!(without["input"], Value::Null);
    assert_eq!(without["output"], json!(["Hello Tokyo!", "Hello Seattle!"]));
}

/// The history events of each kind of completed step.
#[tokio::test]
async fn histories_are_pinned() {
    let api = Api::open().await;
    api.post("/entities/counter/all?op=add&wait=true", "1").await.is(200);
    api.run("does_all", "a", r#""Ada""#).await.is(200);
    api.run("greets", "failed", r#"["Tokyo", ""]"#).await;
    api.post("/orchestrators/waits/b", "1").await;
    api.until_custom_status("b", "waiting").await;
    for (action, status) in [("suspend", "Suspended"), ("resume", "Running")] {
        api.post(&format!("/instances/b/{action}?reason=why"), "").await.is(202);
        api.until("b", status).await;
    }
    api.post("/instances/b/raiseEvent/go", "[1]").await.is(202);
    api.until("b", "Completed").await;
    api.post("/orchestrators/waits/c", "1").await;
    api.until_custom_status("c", "waiting").await;
    api.post("/instances/c/terminate?reason=enough", "").await.is(202);
    api.until("c", "Terminated").await;
    let mut histories = serde_json::Map::new();
    for id in ["a", "failed", "b", "c"] {
        let shown = api
            .get(&format!("/instances/{id}?showHistory=true&showHistoryOutput=true"))
            .await;
        histories.insert(id.to_owned(), redacted(shown.json()["historyEvents"].clone()));
    }
    insta::assert_json_snapshot!(histories);

    let bare = api.get("/instances/a?showHistory=true&showInput=false").await;
    let events = bare.json()["historyEvents"].clone();
    for event in events.as_array().unwrap() {
        assert!(event.get("Result").is_none() && event.get("Input").is_none(), "{event}");
    }
    assert_eq!(api.get("/instances/a").await.json().get("historyEvents"), None);
    assert_eq!(
        api.get("/instances/a?showHistory=false")
            .await
            .json()
            .get("historyEvents"),
        None
    );
}

/// The complete history is available to tools that need all of it.
#[tokio::test]
async fn the_complete_history_is_available() {
    let api = Api::open().await;
    api.run("greets", "a", r#"["Tokyo"]"#).await;
    let history = api.get("/instances/a/history").await;
    history.is(200);
    let kinds = history.json();
    let kinds: Vec<&str> = kinds
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "ExecutionStarted",
            "StepScheduled",
            "StepCompleted",
            "ExecutionCompleted"
        ]
    );
    api.get("/instances/missing/history").await.is_error(404, "NotFound");
}

/// The reasons why an orchestration does not continue are a document. An orchestration that has ended has none.
#[tokio::test]
async fn the_reasons_of_a_wait_are_a_document() {
    let api = Api::open().await;
    api.run("greets", "a", r#"["Tokyo"]"#).await;
    let ended = api.get("/instances/a/waiting").await;
    ended.is(200);
    let ended = ended.json();
    assert_eq!(
        (&ended["status"], &ended["steps"]),
        (&"Completed".into(), &serde_json::json!([]))
    );
    api.get("/instances/missing/waiting").await.is_error(404, "NotFound");
}

/// A step that has not completed is shown as its request.
#[tokio::test]
async fn a_history_shows_open_steps() {
    let api = Api::open().await;
    api.post("/orchestrators/locks/a", r#""k""#).await;
    api.until_custom_status("a", "locked").await;
    api.post("/orchestrators/locks/b", r#""k""#).await;
    let open = loop {
        let shown = api.get("/instances/b?showHistory=true").await.json();
        let events = shown["historyEvents"].as_array().unwrap().clone();
        if events.len() > 1 {
            break events;
        }
    };
    assert_eq!(open[1]["EventType"], "EntityLockRequested");
    assert_eq!(open[1]["Entities"], json!(["@counter@k"]));
    api.post("/instances/a/raiseEvent/go", "").await.is(202);
    let done = api.until("a", "Completed").await;
    assert_eq!(done["output"], Value::Null);
    let shown = api.get("/instances/a?showHistory=true").await.json();
    let events = shown["historyEvents"].as_array().unwrap();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["EventType"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "ExecutionStarted",
            "EntityLockGranted",
            "EventRaised",
            "EntityLockReleased",
            "ExecutionCompleted"
        ]
    );
}
