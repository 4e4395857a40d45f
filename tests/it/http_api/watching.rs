//! Streams of changes, batches and the description of the hub.

use abide::http::{HttpConfig, Token};
use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::fixture::{Api, BASE, HOST};

/// A stream of server-sent events.
struct Stream(Body);

impl Stream {
    async fn open(api: &Api, query: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("{BASE}/events?{query}")).header("host", HOST);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = api
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self(response.into_body())
    }

    /// Returns the next events, each with its id, name and data. `None` at the end of the stream.
    async fn next(&mut self) -> Option<Vec<(Option<String>, String, Value)>> {
        let frame = self.0.frame().await?.unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&frame).unwrap();
        assert!(text.ends_with("\n\n"), "{text:?}");
        let event = |block: &str| {
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::to_owned)
            };
            let data = serde_json::from_str(&field("data: ").unwrap()).unwrap();
            (field("id: "), field("event: ").unwrap(), data)
        };
        Some(
            text.split("\n\n")
                .filter(|block| !block.is_empty())
                .map(event)
                .collect(),
        )
    }
}

/// A stream begins with its position, sends what its filters select, and continues after the last event that a client
/// has seen. It ends with the hub.
#[tokio::test]
async fn a_stream_continues_where_the_client_was() {
    let api = Api::open().await;
    let mut stream = Stream::open(&api, "prefix=e&kinds=ended,started", None).await;
    let hello = stream.next().await.unwrap();
    assert_eq!((hello[0].1.as_str(), &hello[0].2), ("hello", &json!({})));
    api.run("echoes", "other", "1").await.is(200);
    api.run("echoes", "e1%20event:%20x", "1").await.is(200);
    let events = stream.next().await.unwrap();
    let kinds: Vec<_> = events
        .iter()
        .map(|(_, kind, data)| (kind.as_str(), data["id"].as_str().unwrap()))
        .collect();
    assert_eq!(kinds, [("started", "e1 event: x"), ("ended", "e1 event: x")]);
    assert_eq!(events[1].2["status"], "Completed");
    assert_eq!(events[1].2["name"], "echoes");
    let position = events[1].0.clone().expect("the last event has a position");
    drop(stream);

    api.run("echoes", "e2", "1").await.is(200);
    let mut again = Stream::open(&api, "kinds=ended", Some(&position)).await;
    again.next().await.unwrap();
    let events = again.next().await.unwrap();
    assert_eq!((events.len(), &events[0].2["id"]), (1, &json!("e2")));

    // A position that no life of this hub has: something is missing.
    let mut lost = Stream::open(&api, "", Some("0000000000000001-7")).await;
    lost.next().await.unwrap();
    assert_eq!(lost.next().await.unwrap()[0].1, "missed");
    let wrong = api.send(Method::GET, "/events", &[("last-event-id", "x")], "").await;
    wrong.is_error(400, "InvalidId");
    api.get("/events?kinds=ended,none").await.is_error(400, "InvalidQuery");

    api.hub.shutdown().await.unwrap();
    while again.next().await.is_some() {}
}

/// A server that stops ends the streams of its clients at once, although the hub stays open.
#[tokio::test]
async fn streams_end_with_the_server() {
    let api = Api::open().await;
    let config = HttpConfig::new().bind(([127, 0, 0, 1], 0));
    let server = api.hub.serve_http(config).await.unwrap();
    let mut socket = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET {BASE}/events HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes())
        .await
        .unwrap();
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains("event: hello") {
        let mut some = [0; 1_024];
        let count = tokio::io::AsyncReadExt::read(&mut socket, &mut some).await.unwrap();
        assert!(count > 0, "the stream has begun");
        received.extend_from_slice(&some[..count]);
    }
    let begun = std::time::Instant::now();
    server.shutdown().await.unwrap();
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    api.hub.shutdown().await.unwrap();
}

/// A batch runs in the background, by ids or by a filter, and reports what it did.
#[tokio::test]
async fn a_batch_reports_what_it_did() {
    let api = Api::open().await;
    for id in ["w1", "w2", "w3"] {
        api.post(&format!("/orchestrators/waits/{id}"), "1").await.is(202);
        api.until_custom_status(id, "waiting").await;
    }
    api.run("echoes", "e", "1").await.is(200);
    let done = async |request: Value| {
        let begun = api.post("/batches", &request.to_string()).await;
        begun.is(202);
        let id = begun.json()["id"].as_str().unwrap().to_owned();
        loop {
            let shown = api.get(&format!("/batches/{id}")).await.json();
            if shown["state"] != "running" {
                assert!(shown["endedAt"].is_string(), "{shown}");
                return shown;
            }
            tokio::task::yield_now().await;
        }
    };
    let shown = done(json!({"action": "terminate", "reason": "enough", "ids": ["w1", "e", "none"]})).await;
    assert_eq!(shown["state"], "completed");
    let counts = ["matched", "succeeded", "skipped", "failed"].map(|name| shown[name].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 2, 0]);
    api.until("w1", "Terminated").await;

    let filter = json!({"instanceIdPrefix": "w", "runtimeStatus": ["running"]});
    let shown = done(json!({"action": "raiseEvent", "event": "go", "payload": [7], "filter": filter})).await;
    assert_eq!(
        (&shown["succeeded"], &shown["action"]),
        (&json!(2), &json!("raiseEvent"))
    );
    assert_eq!(api.until("w2", "Completed").await["output"], json!([7]));
    assert_eq!(api.get("/batches").await.json()[0]["id"], shown["id"]);

    for wrong in [
        json!({"action": "explode", "ids": []}),
        json!({"action": "purge"}),
        json!({"action": "purge", "ids": [], "filter": {}}),
        json!({"action": "raiseEvent", "ids": ["w1"]}),
        json!({"action": "purge", "filter": {"runtimeStatus": ["Odd"]}}),
        json!({"action": "purge", "filter": {"createdTimeFrom": "soon"}}),
        json!({"action": "purge", "filter": {"prefix": "w"}}),
    ] {
        api.post("/batches", &wrong.to_string())
            .await
            .is_error(400, "InvalidBatch");
    }
    let invalid = json!({"action": "purge", "ids": ["w1", "@a@b"]});
    api.post("/batches", &invalid.to_string())
        .await
        .is_error(400, "InvalidId");
    api.delete("/batches/none").await.is_error(404, "NotFound");
    api.hub.shutdown().await.unwrap();
}

/// The description of the hub tells a client what its token allows and what it can start.
#[tokio::test]
async fn the_hub_describes_itself() {
    let (look, operate) = ("look-look-look-look", "operate-operate-operate");
    let config = HttpConfig::new()
        .token(Token::read(look))
        .token(Token::operate(operate));
    let api = Api::with(config).await;
    for (token, scope) in [(look, "read"), (operate, "operate")] {
        let shown = api
            .send(Method::GET, "/hub", &[("x-functions-key", token)], "")
            .await
            .json();
        assert_eq!((&shown["scope"], &shown["readOnly"]), (&json!(scope), &json!(false)));
        assert!(shown["openedAt"].is_string() && shown["now"].is_string());
        let counter = shown["entities"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entity| entity["name"] == "counter");
        let add = &counter.unwrap()["operations"][0];
        assert_eq!((&add["name"], &add["parameters"]), (&json!("add"), &json!(["n"])));
        let adds = shown["orchestrations"]
            .as_array()
            .unwrap()
            .iter()
            .find(|known| known["name"] == "adds");
        assert_eq!(adds.unwrap()["versions"], json!(["1", "2"]));
        assert!(shown["activities"].as_array().unwrap().contains(&json!("greet")));
    }
    api.hub.shutdown().await.unwrap();
}

/// An orchestration is restarted with another input, under its id or a new one.
#[tokio::test]
async fn a_restart_may_change_the_input() {
    let api = Api::open().await;
    api.run("echoes", "e", "1").await.is(200);
    let new = api
        .post("/instances/e/restart?timeout=30", r#"{"input": {"n": 2}}"#)
        .await;
    assert_eq!(new.is(200).json(), json!({"n": 2}));
    let same = "/instances/e/restart?timeout=30&restartWithNewInstanceId=false";
    assert_eq!(api.post(same, r#"{"input": 3}"#).await.is(200).json(), json!(3));
    assert_eq!(api.get("/instances/e").await.json()["input"], json!(3));
    assert_eq!(api.post(same, r#"{"input": null}"#).await.is(200).json(), json!(null));
    api.post(same, r#"{"input": 3}"#).await.is(200);
    // Without an input, the last one counts.
    assert_eq!(api.post(same, "{}").await.is(200).json(), json!(3));
    for wrong in ["[1]", r#"{"inputs": 1}"#, "7"] {
        api.post(same, wrong).await.is_error(400, "InvalidRestart");
    }
    api.hub.shutdown().await.unwrap();
}

/// A list is filtered by tags, and a history is read turn by turn.
#[tokio::test]
async fn lists_are_filtered_by_tags_and_histories_by_turns() {
    let api = Api::open().await;
    let client = api.hub.client();
    for n in 0..3 {
        let start = client
            .start_by_name("greets", json!(["Ada", "Bob"]))
            .instance_id(format!("g{n}"));
        let run = start.tag("n", n.to_string()).tag("all", "yes=no").await.unwrap();
        run.result().await.unwrap();
    }
    let ids = async |query: &str| {
        let shown = api.get(&format!("/instances?{query}")).await.json();
        let ids = shown
            .as_array()
            .unwrap()
            .iter()
            .map(|shown| shown["instanceId"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids("tag=n=1").await, ["g1"]);
    assert_eq!(ids("tag=n=1&tag=all=yes%3Dno").await, ["g1"]);
    assert_eq!(ids("tag=all=yes=no").await.len(), 3);
    assert!(ids("tag=n=9").await.is_empty());
    api.get("/instances?tag=n").await.is_error(400, "InvalidQuery");

    let whole = api.get("/instances/g0/history").await;
    let turns: u32 = whole.header("x-abide-turns").parse().unwrap();
    let mut parts = Vec::new();
    for turn in 0..turns {
        let part = api.get(&format!("/instances/g0/history?fromTurn={turn}&turns=1")).await;
        assert_eq!(part.header("x-abide-turns"), turns.to_string());
        parts.extend(part.json().as_array().unwrap().clone());
    }
    assert_eq!(Value::from(parts), whole.json());
    api.hub.shutdown().await.unwrap();
}
