//! Repairs by operators: stopped orchestrations, locks, dead letters and quarantined entities.

use serde_json::json;

use super::fixture::{Api, redacted};

/// Polls until a list has `items` items and returns it.
async fn listed(api: &Api, path: &str, items: usize) -> serde_json::Value {
    loop {
        let list = api.get(path).await;
        list.is(200);
        let list = list.json();
        if list.as_array().unwrap().len() == items {
            return list;
        }
    }
}

/// An orchestration whose code panics has not ended. It is listed as stopped, with the reason.
#[tokio::test]
async fn stopped_orchestrations_are_listed() {
    let api = Api::open().await;
    api.post("/orchestrators/breaks/a", "0").await.is(202);
    api.run("breaks", "b", "1").await.is(200);
    let stopped = listed(&api, "/stopped", 1).await;
    assert_eq!(stopped[0]["instanceId"], "a");
    assert_eq!(stopped[0]["runtimeStatus"], "Running");
    assert_eq!(stopped[0]["stopped"]["kind"], "Panicked");
    assert_eq!(stopped[0]["input"], 0);
    api.post("/instances/a/resume", "").await.is(202);
    api.post("/instances/a/terminate", "").await.is(202);
    listed(&api, "/stopped/", 0).await;
    api.get("/stopped?top=x").await.is_error(400, "InvalidQuery");
}

/// A lock is listed with its owner and can be released by an operator.
#[tokio::test]
async fn locks_are_listed_and_released() {
    let api = Api::open().await;
    api.post("/orchestrators/locks/owner", r#""k""#).await.is(202);
    api.until_custom_status("owner", "locked").await;
    let locks = listed(&api, "/locks", 1).await;
    insta::assert_json_snapshot!(redacted(locks));
    api.delete("/locks/counter/other").await.is_error(404, "NotFound");
    api.delete("/locks/counter/a%2Fb").await.is_error(400, "InvalidId");
    let released = api.delete("/locks/counter/k").await;
    released.is(204);
    assert!(released.body.is_empty());
    api.delete("/locks/counter/k").await.is_error(404, "NotFound");
    listed(&api, "/locks?top=1", 0).await;
}

/// A message that cannot be processed is listed, redelivered and dropped.
#[tokio::test]
async fn dead_letters_are_listed_redelivered_and_dropped() {
    let api = Api::open().await;
    api.run("misdirects", "sender", "3").await.is(200);
    let letters = listed(&api, "/dead-letters", 1).await;
    let id = letters[0]["id"].as_str().unwrap().to_owned();
    let mut shown = redacted(letters);
    shown[0]["id"] = "[id]".into();
    insta::assert_json_snapshot!(shown);
    api.post(&format!("/dead-letters/{id}/redeliver"), "").await.is(202);
    api.post(&format!("/dead-letters/{id}/redeliver"), "")
        .await
        .is_error(404, "NotFound");
    let letters = listed(&api, "/dead-letters", 1).await;
    let again = letters[0]["id"].as_str().unwrap().to_owned();
    assert_ne!(again, id);
    api.delete(&format!("/dead-letters/{again}")).await.is(204);
    api.delete(&format!("/dead-letters/{again}"))
        .await
        .is_error(404, "NotFound");
    api.delete("/dead-letters/what").await.is_error(400, "InvalidId");
    listed(&api, "/dead-letters", 0).await;
}

/// A held entity processes its messages when an operator resumes it.
#[tokio::test]
async fn a_held_entity_is_resumed() {
    let api = Api::open().await;
    api.post("/entities/counter/held?op=add", "5").await.is(202);
    api.post("/entities/counter/held?op=get&wait=true", "")
        .await
        .is_error(409, "Quarantined");
    assert_eq!(listed(&api, "/quarantine", 0).await, json!([]));
    api.post("/quarantine/counter/other/release", "")
        .await
        .is_error(404, "NotFound");
    api.post("/quarantine/counter/a%2Fb/release", "")
        .await
        .is_error(400, "InvalidId");
    api.post("/quarantine/counter/held/release", "").await.is(202);
    assert_eq!(api.post("/entities/counter/held?op=get&wait=true", "").await.json(), 5);
    api.post("/quarantine/counter/held/release", "")
        .await
        .is_error(404, "NotFound");
}

/// An entity whose state this build cannot read is listed with the reason, and returns to quarantine after a resume.
#[cfg(feature = "rocksdb")]
#[tokio::test]
async fn quarantined_entities_are_listed() {
    use abide::http::HttpConfig;
    use abide::prelude::*;

    use super::fixture::believed;

    let directory = tempfile::tempdir().unwrap();
    let before = Hub::builder(directory.path())
        .entity::<believed::Counter>()
        .open()
        .await
        .unwrap();
    before
        .client()
        .entity::<believed::Counter>("q")
        .multiply(2)
        .await
        .unwrap();
    before.shutdown().await.unwrap();

    let api = Api::build(Hub::builder(directory.path()), HttpConfig::new().without_token()).await;
    api.post("/entities/counter/q?op=add", "5").await.is(202);
    let mut shown = redacted(listed(&api, "/quarantine", 1).await);
    let reason = shown[0]["reason"].take();
    assert!(reason.as_str().unwrap().contains("expected struct Counter"), "{reason}");
    assert_eq!(
        shown,
        json!([{ "entityId": { "name": "counter", "key": "q" }, "reason": null, "since": "[time]" }])
    );
    api.post("/entities/counter/q?op=get&wait=true", "")
        .await
        .is_error(409, "Quarantined");
    api.post("/quarantine/counter/q/release", "").await.is(202);
    listed(&api, "/quarantine", 1).await;
    api.hub.shutdown().await.unwrap();
}
