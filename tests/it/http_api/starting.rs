//! Starting orchestrations: links, inputs, versions and policies.

use std::time::Duration;

use abide::http::{HttpConfig, ManagementUrls, Token};
use axum::http::{HeaderMap, Method};
use serde_json::json;

use super::fixture::{Answer, Api, BASE, HOST};

/// Returns the links of an orchestration. `carried` is the query that all of them contain.
fn links(base: &str, id: &str, carried: &str) -> serde_json::Value {
    let instance = format!("{base}/instances/{id}");
    let (only, also) = match carried {
        "" => (String::new(), String::new()),
        carried => (format!("?{carried}"), format!("&{carried}")),
    };
    json!({
        "id": id,
        "statusQueryGetUri": format!("{instance}{only}"),
        "sendEventPostUri": format!("{instance}/raiseEvent/{{eventName}}{only}"),
        "terminatePostUri": format!("{instance}/terminate?reason={{text}}{also}"),
        "rewindPostUri": format!("{instance}/rewind?reason={{text}}{also}"),
        "purgeHistoryDeleteUri": format!("{instance}{only}"),
        "restartPostUri": format!("{instance}/restart{only}"),
        "suspendPostUri": format!("{instance}/suspend?reason={{text}}{also}"),
        "resumePostUri": format!("{instance}/resume?reason={{text}}{also}"),
    })
}

#[track_caller]
fn is_check_status(answer: &Answer, links: &serde_json::Value) {
    answer.is(202);
    assert_eq!(answer.json(), *links);
    assert_eq!(answer.header("location"), links["statusQueryGetUri"]);
    assert_eq!(answer.header("retry-after"), "10");
}

/// A start returns the management links and `Retry-After`. IDs are percent-encoded into a single path segment.
#[tokio::test]
async fn a_start_answers_with_links() {
    let api = Api::open().await;
    let base = format!("http://{HOST}{BASE}");
    is_check_status(
        &api.post("/orchestrators/waits/order-1", "{}").await,
        &links(&base, "order-1", ""),
    );

    let odd = api.post("/orchestrators/waits/%C3%84%201%26x=y%25/", "{}").await;
    odd.is(202);
    assert_eq!(odd.json()["id"], "Ä 1&x=y%");
    assert_eq!(
        odd.header("location"),
        format!("{base}/instances/%C3%84%201%26x%3Dy%25")
    );
    let path = odd.header("location").strip_prefix(&base).unwrap().to_owned();
    assert_eq!(api.get(&path).await.json()["instanceId"], "Ä 1&x=y%");

    let drawn = api.post("/orchestrators/waits", "").await;
    let id = drawn.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 36, "{id}");
    is_check_status(&drawn, &links(&base, &id, ""));
}

/// Every link contains the hub, the connection and the token of the query, so that clients can follow it.
#[tokio::test]
async fn links_carry_what_the_request_carried() {
    let token = "0123456789abcdef+/%";
    let api = Api::with(HttpConfig::new().token(Token::operate(token))).await;
    let code = "0123456789abcdef%2B%2F%25";
    let started = api
        .post(
            &format!("/orchestrators/waits/a?code={code}&taskHub=My+Hub&connectionName=Storage&version="),
            "1",
        )
        .await;
    let carried = format!("taskHub=My%20Hub&connection=Storage&code={code}");
    is_check_status(&started, &links(&format!("http://{HOST}{BASE}"), "a", &carried));

    let path = started.header("location").split_once(BASE).unwrap().1.to_owned();
    let looked = api.get(&path).await;
    looked.is(202);
    assert_eq!(looked.header("location"), started.header("location"));
    assert_eq!(looked.header("retry-after"), "5");
    api.get("/instances/a").await.is_error(401, "Unauthorized");

    // An unencoded plus sign in a token is a plus sign, and so it is in the links.
    let bare = code.replace("%2B", "+");
    let started = api.post(&format!("/orchestrators/waits/b?code={bare}"), "1").await;
    let carried = format!("code={code}");
    is_check_status(&started, &links(&format!("http://{HOST}{BASE}"), "b", &carried));
}

/// Links begin with the configured public URL, whatever the `Host` header of the request. Without one they begin with
/// the host of the request.
#[tokio::test]
async fn links_lead_back_to_where_the_client_is() {
    let config = HttpConfig::new().without_token().public_url("https://example.com/hub/");
    let api = Api::with(config.clone()).await;
    let base = format!("https://example.com/hub{BASE}");
    is_check_status(&api.post("/orchestrators/waits/a", "").await, &links(&base, "a", ""));

    let urls = ManagementUrls::of(&config, &HeaderMap::new());
    is_check_status(&Answer::of(urls.check_status("b c")).await, &{
        let mut links = links(&base, "b%20c", "");
        links["id"] = "b c".into();
        links
    });
    let mut headers = HeaderMap::new();
    headers.insert("host", HOST.parse().unwrap());
    let urls = ManagementUrls::of(&HttpConfig::new(), &headers).with_code("a secret");
    assert!(!format!("{urls:?}").contains("secret"));
    let expected = links(&format!("http://{HOST}{BASE}"), "a", "code=a%20secret");
    is_check_status(&Answer::of(urls.check_status("a")).await, &expected);
}

/// The input is the JSON of the body, whatever the content type. An empty body means null.
#[tokio::test]
async fn the_input_is_json_or_nothing() {
    let api = Api::open().await;
    for (id, content_type, body, input) in [
        (
            "a",
            "application/json",
            r#" {"n": 12345678901234567890123} "#,
            r#"{"n": 12345678901234567890123}"#,
        ),
        ("b", "application/json; charset=utf-8", "null", "null"),
        ("c", "text/plain", "[1]", "[1]"),
        ("d", "application/x-www-form-urlencoded", "\"x\"", "\"x\""),
        ("e", "application/json", "", "null"),
    ] {
        let path = format!("/orchestrators/waits/{id}");
        api.send(Method::POST, &path, &[("content-type", content_type)], body)
            .await
            .is(202);
        let shown = api.get(&format!("/instances/{id}")).await;
        assert!(shown.text().contains(&format!("\"input\":{input},")), "{shown:?}");
    }
    api.send(Method::POST, "/orchestrators/waits/f", &[], "").await.is(202);
    for broken in ["{", "{} {}", "nul", "\"\u{1}\"", "{\"a\":1,}"] {
        api.post("/orchestrators/waits/broken", broken)
            .await
            .is_error(400, "InvalidJson");
    }
    let broken: &[u8] = b"\"\xff\"";
    api.send(Method::POST, "/orchestrators/waits/broken", &[], broken)
        .await
        .is_error(400, "InvalidJson");
    api.get("/instances/broken").await.is_error(404, "NotFound");
}

/// A start that is rejected stores nothing, and the error names the reason.
#[tokio::test]
async fn a_start_that_cannot_succeed_is_refused() {
    let api = Api::open().await;
    let unknown = api.post("/orchestrators/missing/a", "1").await;
    unknown.is_error(400, "Unregistered");
    assert_eq!(unknown.json()["ExceptionMessage"], unknown.json()["error"]["message"]);
    assert!(
        unknown.json()["ExceptionMessage"]
            .as_str()
            .unwrap()
            .contains("`missing`")
    );
    api.post("/orchestrators/adds/a?version=7", "1")
        .await
        .is_error(400, "Unregistered");
    api.post("/orchestrators/adds/a", "\"one\"")
        .await
        .is_error(400, "InvalidArguments");
    for id in ["%40a%40b", "a%2Fb", "a%23b", "a%0Ab", &"a".repeat(600)] {
        api.post(&format!("/orchestrators/adds/{id}"), "1")
            .await
            .is_error(400, "InvalidId");
    }
    api.post("/orchestrators/adds/%FF", "1")
        .await
        .is_error(400, "InvalidPath");
    for query in [
        "timeout=soon",
        "timeout=-1",
        "timeout=NaN",
        "timeout=1&pollingInterval=x",
    ] {
        api.post(&format!("/orchestrators/adds/a?{query}"), "1")
            .await
            .is_error(400, "InvalidQuery");
    }
    let large = format!("\"{}\"", "x".repeat(3 << 20));
    api.post("/orchestrators/echoes/a", &large)
        .await
        .is_error(413, "TooLarge");
    api.get("/instances/a").await.is_error(404, "NotFound");

    api.post("/orchestrators/waits/used", "").await.is(202);
    api.post("/orchestrators/waits/used", "")
        .await
        .is_error(409, "AlreadyExists");
}

/// A start that waits returns the output of a completed orchestration, or the status document if it ended otherwise.
/// If the wait times out, the start returns the management links.
#[tokio::test]
async fn a_start_can_wait() {
    let api = Api::open().await;
    let done = api
        .post("/orchestrators/greets/a?timeout=30&pollingInterval=0.5", r#"["Tokyo"]"#)
        .await;
    done.is(200);
    assert_eq!(done.json(), json!(["Hello Tokyo!"]));

    let failed = api.post("/orchestrators/greets/b?timeout=30", r#"[""]"#).await;
    failed.is(200);
    assert_eq!(failed.json()["runtimeStatus"], "Failed");
    assert_eq!(failed.json()["output"], "no name to greet");
    let path = "/orchestrators/greets/c?timeout=30&returnInternalServerErrorOnFailure=true";
    api.post(path, r#"[""]"#).await.is(500);

    let waits = api.post("/orchestrators/waits/d?timeout=0.05", "").await;
    is_check_status(&waits, &links(&format!("http://{HOST}{BASE}"), "d", ""));

    let (ended, _) = tokio::join!(api.post("/orchestrators/waits/e?timeout=30", ""), async {
        api.until_custom_status("e", "waiting").await;
        api.post("/instances/e/terminate?reason=enough", "").await.is(202);
    });
    ended.is(200);
    assert_eq!(ended.json()["runtimeStatus"], "Terminated");
    assert_eq!(ended.json()["output"], "enough");

    let limited = Api::with(HttpConfig::new().without_token().wait_limit(Duration::from_millis(20))).await;
    limited.post("/orchestrators/waits/f?timeout=1e300", "").await.is(202);
}

/// A start uses the newest version, or the one that the query names.
#[tokio::test]
async fn a_start_chooses_a_version() {
    let api = Api::open().await;
    assert_eq!(api.run("adds", "newest", "1").await.json(), 3);
    assert_eq!(
        api.post("/orchestrators/adds/old?version=1&timeout=30", "1")
            .await
            .json(),
        2
    );
    assert_eq!(api.get("/instances/old").await.json()["version"], "1");
}

/// A retry with the same idempotency key returns the same orchestration, even from another span of the trace. A
/// different start with that key is rejected.
#[tokio::test]
async fn an_idempotency_key_makes_a_retry_one_start() {
    let api = Api::open().await;
    let start = async |span: &str, body: &'static str| {
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span}-01");
        let headers = [("idempotency-key", "k 1"), ("traceparent", parent.as_str())];
        api.send(Method::POST, "/orchestrators/echoes", &headers, body).await
    };
    let first = start("00f067aa0ba902b7", "1").await;
    let again = start("00f067aa0ba902b8", "1").await;
    first.is(202);
    assert_eq!(again.json(), first.json());
    start("00f067aa0ba902b7", "2").await.is_error(422, "RequestIdReused");
    for key in ["", &"k".repeat(600)] {
        api.send(Method::POST, "/orchestrators/echoes", &[("idempotency-key", key)], "1")
            .await
            .is_error(400, "InvalidId");
    }
    let both = [("idempotency-key", "a"), ("idempotency-key", "b")];
    api.send(Method::POST, "/orchestrators/echoes", &both, "1")
        .await
        .is_error(400, "InvalidHeader");
}

/// The orchestration keeps the trace context of its caller. An invalid header is ignored.
#[tokio::test]
async fn a_start_continues_the_trace_of_its_caller() {
    let api = Api::open().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", parent), ("tracestate", "a=1,b=2")];
    api.send(Method::POST, "/orchestrators/echoes/a", &headers, "1")
        .await
        .is(202);
    let shown = api.get("/instances/a").await.json();
    assert_eq!(shown["traceparent"], parent);
    assert_eq!(shown["tracestate"], "a=1,b=2");

    let headers = [("traceparent", "00-none"), ("tracestate", "a=1")];
    api.send(Method::POST, "/orchestrators/echoes/b", &headers, "1")
        .await
        .is(202);
    assert_eq!(api.get("/instances/b").await.json().get("traceparent"), None);
}

/// Payloads of Azure's Python client, which encodes them twice, are decoded twice. Payloads of other clients are not.
#[tokio::test]
async fn payloads_of_the_python_client_are_decoded_once_more() {
    let api = Api::open().await;
    let python = [
        ("user-agent", "Python/3.12 aiohttp/3.9.1"),
        ("content-type", "application/json"),
    ];
    let twice = |value: serde_json::Value| json!(value.to_string()).to_string();
    let path = "/orchestrators/adds/a?timeout=30";
    assert_eq!(api.send(Method::POST, path, &python, twice(json!(1))).await.json(), 3);
    let path = "/orchestrators/echoes/b?timeout=30";
    assert_eq!(
        api.send(Method::POST, path, &python, twice(json!({"n": 1})))
            .await
            .json(),
        json!({"n": 1})
    );
    let path = "/orchestrators/echoes/c?timeout=30";
    assert_eq!(
        api.send(Method::POST, path, &python, json!("text").to_string())
            .await
            .json(),
        "text"
    );
    assert_eq!(api.run("echoes", "d", r#""5""#).await.json(), "5");

    api.post("/orchestrators/waits/e", "").await.is(202);
    let event = api.send(
        Method::POST,
        "/instances/e/raiseEvent/go",
        &python,
        twice(json!([true])),
    );
    event.await.is(202);
    assert_eq!(api.until("e", "Completed").await["output"], json!([true]));

    let add = "/entities/counter/a?op=add";
    api.send(Method::POST, add, &python, twice(json!(5))).await.is(202);
    api.send(Method::POST, "/entities/counter/a?op=note", &python, twice(json!("5")))
        .await
        .is(202);
    let state = api.post("/entities/counter/a?op=get&wait=true", "").await.json();
    assert_eq!(state, 5);
    assert_eq!(
        api.get("/entities/counter/a").await.json(),
        json!({"value": 5, "note": "5"})
    );
}

/// A start can choose any reuse policy. With `rejectDuplicate` an ID starts only once, even after the instance has
/// ended. An unknown policy is rejected.
#[tokio::test]
async fn an_id_in_use_follows_the_policy_of_the_request() {
    let api = Api::open().await;
    let start = async |reuse: &str| {
        api.post(&format!("/orchestrators/waits/once?reuse={reuse}"), "{}")
            .await
    };
    let execution = async || api.get("/instances/once").await.json()["executionId"].clone();
    start("rejectDuplicate").await.is(202);
    let first = execution().await;
    start("rejectDuplicate").await.is_error(409, "AlreadyExists");
    start("IGNORE").await.is(202);
    assert_eq!(execution().await, first);
    api.post("/instances/once/terminate?reason=x", "").await.is(202);
    start("rejectduplicate").await.is_error(409, "AlreadyExists");
    assert_eq!(execution().await, first);
    start("error").await.is(202);
    let second = execution().await;
    assert_ne!(second, first);
    start("terminate").await.is(202);
    assert_ne!(execution().await, second);
    start("never").await.is_error(400, "InvalidQuery");
}
