//! Schedules.

use std::time::{Duration, SystemTime};

use abide::schedule::{CatchUpPolicy, Recurrence};
use axum::http::Method;
use serde_json::json;

use super::fixture::Api;

/// Schedules are listed page by page in the order of their IDs. Each is shown with its orchestration and its times.
#[tokio::test]
async fn schedules_are_listed_and_shown() {
    let api = Api::open().await;
    assert_eq!(api.get("/schedules").await.json(), json!([]));
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let schedules = api.hub.client().schedules();
    let hourly = Recurrence::Every(Duration::from_millis(3_600_500));
    schedules
        .create::<super::fixture::greets>("hourly", hourly, vec!["Ada".to_owned()])
        .from(end - Duration::from_secs(86_400))
        .until(end)
        .catch_up(CatchUpPolicy::RunAll { at_most: 7 })
        .tag("team", "a")
        .await
        .unwrap();
    let nightly = schedules.create_by_name("nightly", Recurrence::cron("0 3 * * *"), "echoes", json!({"n": 1}));
    nightly.paused().await.unwrap();

    let shown = api.get("/schedules/hourly").await;
    shown.is(200);
    let mut shown = shown.json();
    assert!(shown["createdTime"].as_str().unwrap().ends_with('Z'));
    shown["createdTime"] = "[time]".into();
    let expected = json!({
        "id": "hourly", "orchestration": "greets", "input": ["Ada"], "tags": {"team": "a"},
        "everySeconds": 3600.5, "from": "2096-10-01T07:06:40Z", "until": "2096-10-02T07:06:40Z",
        "catchUp": "RunAll", "catchUpAtMost": 7, "paused": false, "createdTime": "[time]",
        "nextRun": "2096-10-01T07:06:40Z", "lastRun": null, "lastInstanceId": null, "runs": 0
    });
    assert_eq!(shown, expected);
    let shown = api.get("/schedules/nightly").await.json();
    assert_eq!(
        (&shown["cron"], &shown["paused"], &shown["nextRun"]),
        (&json!("0 3 * * *"), &json!(true), &json!(null))
    );
    api.get("/schedules/none").await.is_error(404, "NotFound");

    let first = api.get("/schedules?top=1").await;
    assert_eq!(first.json()[0]["id"], "hourly");
    let token = ("x-ms-continuation-token", first.header("x-ms-continuation-token"));
    let second = api.send(Method::GET, "/schedules?top=1", &[token], "").await;
    assert_eq!(second.json()[0]["id"], "nightly");
    assert_eq!(second.header("x-ms-continuation-token"), "");
    api.send(Method::GET, "/locks", &[token], "")
        .await
        .is_error(400, "InvalidContinuationToken");
}

/// A schedule is paused, resumed and deleted like from code.
#[tokio::test]
async fn a_schedule_is_paused_resumed_and_deleted() {
    let api = Api::open().await;
    let schedules = api.hub.client().schedules();
    let nightly = schedules.create_by_name("nightly", Recurrence::cron("0 3 * * *"), "echoes", json!(1));
    nightly.await.unwrap();
    for (order, paused) in [("pause", true), ("pause", true), ("resume", false)] {
        api.post(&format!("/schedules/nightly/{order}"), "").await.is(202);
        assert_eq!(api.get("/schedules/nightly").await.json()["paused"], paused, "{order}");
    }
    api.delete("/schedules/nightly").await.is(204);
    api.get("/schedules/nightly").await.is_error(404, "NotFound");
    for order in ["pause", "resume"] {
        let path = format!("/schedules/nightly/{order}");
        api.post(&path, "").await.is_error(404, "NotFound");
    }
    api.delete("/schedules/nightly").await.is_error(404, "NotFound");
}

/// A schedule is created and changed by its plan, which keeps all digits of its input. A wrong plan changes nothing.
#[tokio::test]
async fn a_schedule_is_set_by_its_plan() {
    let api = Api::open().await;
    let json = [("content-type", "application/json")];
    let put = async |plan: &str| api.send(Method::PUT, "/schedules/hourly", &json, plan.to_owned()).await;
    let plan = r#"{"orchestration": "echoes", "everySeconds": 3600.5, "input": 12345678901234567890123, "paused": true,
        "tags": {"team": "a"}, "from": "2096-10-01T07:06:40Z", "until": "2096-10-02T07:06:40Z",
        "catchUp": "RunAll", "catchUpAtMost": 7}"#;
    let answer = put(plan).await;
    answer.is(200);
    assert!(
        answer.text().contains("\"input\":12345678901234567890123"),
        "{}",
        answer.text()
    );
    let shown = answer.json();
    for (name, value) in [
        ("everySeconds", json!(3600.5)),
        ("paused", json!(true)),
        ("catchUpAtMost", json!(7)),
        ("from", json!("2096-10-01T07:06:40Z")),
        ("tags", json!({"team": "a"})),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let changed = put(r#"{"orchestration": "echoes", "cron": "0 3 * * *"}"#).await.json();
    assert_eq!(
        (&changed["cron"], &changed["paused"]),
        (&json!("0 3 * * *"), &json!(true))
    );
    for (plan, text) in [
        ("", "plan of a schedule"),
        ("[]", "plan of a schedule"),
        (r#"{"orchestration": "echoes"}"#, "either `cron` or `everySeconds`"),
        (
            r#"{"orchestration": "echoes", "cron": "0 3 * * *", "everySeconds": 1}"#,
            "either",
        ),
        (r#"{"orchestration": "echoes", "everySeconds": -1}"#, "not a period"),
        (r#"{"orchestration": "echoes", "cron": "never"}"#, "never"),
        (
            r#"{"orchestration": "echoes", "cron": "0 3 * * *", "catchUp": "RunAll"}"#,
            "`catchUpAtMost`",
        ),
        (
            r#"{"orchestration": "echoes", "cron": "0 3 * * *", "from": "soon"}"#,
            "`from`",
        ),
        (
            r#"{"orchestration": "echoes", "cron": "0 3 * * *", "form": "2096-10-01"}"#,
            "`form`",
        ),
    ] {
        let answer = put(plan).await;
        answer.is(400);
        assert!(answer.text().contains(text), "{plan}: {}", answer.text());
    }
    assert_eq!(api.get("/schedules/hourly").await.json(), changed);
}
