//! Access control of the management API: every route requires a token, and `Host`, `Origin` and the tokens are checked.
//!
//! See docs/src/http.md, "Security".
#![cfg(feature = "http")]

#[path = "it/fixtures.rs"]
mod fixtures;
mod wire;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};

use abide::http::{HttpConfig, HttpServer, Scope, Token};
use abide::prelude::*;
use abide::{Client, ErrorKind, OrchestrationContext, admin::HubStats, orchestration};
use fixtures::Counter;
use serde_json::Value;
use wire::{Answer, BASE, exchange, request};

const READ: &str = "5ecretOfThisTestToReadWith";
const OPERATE: &str = "5ecretOfThisTestToOperateWith";
/// The prefix of all secrets. No log and no response may contain it.
const SECRET: &str = "5ecretOfThisTest";

/// Waits for the event `go`.
#[orchestration]
async fn waits(ctx: OrchestrationContext, _input: Value) -> Result<Value, Failure> {
    Ok(ctx.wait_for_external_event::<Value>("go").await?)
}

/// The log of the tests in this file, at the level TRACE.
static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(|| {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
});

struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn hub() -> Hub {
    LazyLock::force(&LOG);
    Hub::in_memory()
        .entity::<Counter>()
        .orchestration::<waits>()
        .open()
        .await
        .unwrap()
}

fn config() -> HttpConfig {
    HttpConfig::new().bind(([127, 0, 0, 1], 0))
}

/// Serves a hub with an entity and a waiting orchestration, both called `one`, and with both tokens.
async fn guarded() -> (Hub, HttpServer) {
    let hub = hub().await;
    let client = hub.client();
    client.entity::<Counter>("one").add(5).await.unwrap();
    client.start::<waits>(Value::Null).instance_id("one").await.unwrap();
    while client
        .untyped_orchestration("one")
        .status()
        .await
        .unwrap()
        .unwrap()
        .status
        != OrchestrationStatus::Running
    {
        tokio::task::yield_now().await;
    }
    let config = config().token(Token::read(READ)).token(Token::operate(OPERATE));
    let server = hub.serve_http(config).await.unwrap();
    (hub, server)
}

/// Returns every verb and path of the OpenAPI description, with the path parameters filled in.
async fn routes(address: SocketAddr) -> BTreeSet<(String, String)> {
    let document = exchange(
        address,
        request("GET", "/openapi.json", &[("x-functions-key", READ)], ""),
    )
    .await;
    assert_eq!(document.status, 200, "{document:?}");
    let document = document.json();
    let mut routes = BTreeSet::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        let filled: Vec<&str> = path
            .split('/')
            .map(|part| match part {
                "{name}" if path.starts_with("/orchestrators/") => "waits",
                "{name}" => "Counter",
                "{eventName}" => "go",
                "{operation}" => "add",
                part if part.starts_with('{') => "one",
                part => part,
            })
            .collect();
        for verb in verbs.as_object().unwrap().keys() {
            if ["get", "put", "post", "delete", "patch", "head"].contains(&verb.as_str()) {
                routes.insert((verb.to_uppercase(), filled.join("/")));
            }
        }
    }
    assert!(routes.len() >= 25, "{routes:?}");
    routes
}

/// Returns the part of the hub that a request could have changed.
async fn holdings(client: &Client) -> (u64, String) {
    let state = client
        .untyped_entity(&EntityId::new("Counter", "one").unwrap())
        .state()
        .await
        .unwrap();
    let instances = client.orchestrations().page().await.unwrap();
    let HubStats { commits, .. } = client.admin().stats().unwrap();
    (commits, format!("{state:?} {instances:?}"))
}

/// Every route requires a valid token, and a read token permits no changes.
#[tokio::test]
async fn every_route_asks_for_its_token() {
    let (hub, server) = guarded().await;
    let address = server.address();
    let client = hub.client();
    let before = holdings(&client).await;
    let body = "1";
    let routes = routes(address).await;
    for (verb, path) in &routes {
        let is_open = path == "/health";
        let is_read = verb == "GET";
        let query = if path.contains('?') { "&" } else { "?" };
        let path = format!("{path}{query}op=add&createdTimeFrom=2020-01-01T00:00:00Z");
        let wrong = format!("{READ}x");
        let small = (!is_read).then_some(403);
        // The place of the token, its value, and the expected error.
        for (place, shown, refused) in [
            ("", String::new(), Some(401)),
            ("authorization", "Bearer wrong-wrong-wrong-wrong".to_owned(), Some(401)),
            ("authorization", format!("Basic {OPERATE}"), Some(401)),
            ("x-functions-key", wrong.clone(), Some(401)),
            ("code", wrong, Some(401)),
            ("authorization", format!("Bearer {READ}"), small),
            ("x-functions-key", READ.to_owned(), small),
            ("code", READ.to_owned(), small),
        ] {
            let (path, headers) = match place {
                "" => (path.clone(), vec![]),
                "code" => (format!("{path}&code={shown}"), vec![]),
                header => (path.clone(), vec![(header, shown.as_str())]),
            };
            let answer = exchange(address, request(verb, &path, &headers, if is_read { "" } else { body })).await;
            match refused.filter(|_| !is_open) {
                Some(status) => {
                    answer.is_error(status);
                    let asks = answer.head.contains("\r\nwww-authenticate: bearer");
                    assert_eq!(asks, status == 401, "{answer:?}");
                }
                None => assert!(
                    ![401, 403].contains(&answer.status),
                    "{verb} {path} by {place}: {answer:?}"
                ),
            }
            assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET), "{answer:?}");
        }
    }
    // Unknown verbs and paths reveal nothing either.
    for (verb, path) in [
        ("PUT", "/instances/one"),
        ("GET", "/nothing"),
        ("POST", ""),
        ("BREW", "/instances"),
    ] {
        exchange(address, request(verb, path, &[], "")).await.is_error(401);
    }
    // The root leads to the dashboard, whose files contain no data.
    let root = exchange(address, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()).await;
    assert_eq!(root.status, if cfg!(feature = "dashboard") { 307 } else { 401 });
    for path in ["/other", "/runtime", "*"] {
        exchange(address, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .await
            .is_error(401);
    }
    assert_eq!(holdings(&client).await, before, "the hub was changed");
    // With the right token, the request succeeds.
    let added = request(
        "POST",
        "/entities/Counter/one?op=add&wait=true",
        &[("x-functions-key", OPERATE)],
        "1",
    );
    let added = exchange(address, added).await;
    assert_eq!((added.status, added.json()), (200, Value::from(6)));
    server.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// The only route without a token accepts no large bodies, because the memory for bodies is shared with other clients.
#[tokio::test]
async fn a_stranger_takes_no_room() {
    let (hub, server) = guarded().await;
    let body = "x".repeat(4_000);
    let health = request("GET", "/health", &[], &body);
    exchange(server.address(), health).await.is_error(413);
    let health = request("GET", "/health", &[], "{}");
    assert_eq!(exchange(server.address(), health).await.status, 200);
    server.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// Every route rejects requests of foreign web pages, including DNS rebinding.
#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let (hub, server) = guarded().await;
    let address = server.address();
    let port = address.port();
    let client = hub.client();
    let before = holdings(&client).await;
    let key = ("x-functions-key", OPERATE);
    let own = format!("localhost:{port}");
    let own_origin = format!("http://localhost:{port}");
    for (verb, path) in routes(address).await {
        let send = async |headers: &[(&str, &str)]| exchange(address, request(&verb, &path, headers, "")).await;
        let rebound = format!("evil.example.com:{port}");
        send(&[("host", &rebound), key]).await.is_error(421);
        send(&[
            ("host", &rebound),
            ("origin", &format!("http://{rebound}")),
            ("sec-fetch-site", "same-origin"),
            key,
        ])
        .await
        .is_error(421);
        send(&[("host", &own), ("origin", "https://evil.example.com"), key])
            .await
            .is_error(403);
        send(&[("host", &own), ("origin", "null"), key]).await.is_error(403);
        send(&[("host", &own), ("sec-fetch-site", "cross-site"), key])
            .await
            .is_error(403);
        send(&[
            ("host", &rebound),
            ("x-forwarded-host", &own),
            ("forwarded", "host=localhost"),
            key,
        ])
        .await
        .is_error(421);
    }
    let get = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\n{host}x-functions-key: {READ}\r\n\r\n");
    let target = format!("{BASE}/stats");
    exchange(address, get(&target, "")).await.is_error(400);
    exchange(address, get(&target, "host: localhost\r\nhost: localhost\r\n"))
        .await
        .is_error(400);
    exchange(
        address,
        get(&format!("http://evil.example.com{target}"), "host: localhost\r\n"),
    )
    .await
    .is_error(421);
    let absolute = exchange(address, get(&format!("http://{own}{target}"), "host: localhost\r\n")).await;
    assert_eq!(absolute.status, 200, "{absolute:?}");
    assert_eq!(holdings(&client).await, before, "the hub was changed");
    // A page of the same origin is allowed, and no response permits other origins.
    let ours = request(
        "GET",
        "/stats",
        &[
            ("host", &own),
            ("origin", &own_origin),
            ("sec-fetch-site", "same-origin"),
            key,
        ],
        "",
    );
    let ours: Answer = exchange(address, ours).await;
    assert_eq!(ours.status, 200, "{ours:?}");
    for header in ["access-control-", "set-cookie"] {
        assert!(!ours.head.contains(header), "{ours:?}");
    }
    let preflight = [
        ("origin", "https://evil.example.com"),
        ("access-control-request-method", "POST"),
    ];
    let preflight = exchange(address, request("OPTIONS", "/instances", &preflight, "")).await;
    preflight.is_error(403);
    assert!(!preflight.head.contains("access-control-"), "{preflight:?}");
}

/// Serving the API to other machines requires a token.
#[tokio::test]
async fn other_machines_need_a_token() {
    let hub = hub().await;
    let refused = |error: Error, words: &str| {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    };
    for open in [([0, 0, 0, 0], 0), ([192, 0, 2, 1], 0)] {
        let config = HttpConfig::new().bind(open).without_token();
        refused(
            hub.serve_http(config).await.unwrap_err(),
            "HttpConfig::token(Token::operate(",
        );
    }
    refused(
        hub.serve_http(HttpConfig::new().bind(([0; 8], 0))).await.unwrap_err(),
        "HttpConfig::token(",
    );
    refused(hub.http_router(&HttpConfig::new()).unwrap_err(), "without_token");
    assert!(hub.http_router(&HttpConfig::new().without_token()).is_ok());
    for (secret, words) in [
        ("", "empty"),
        ("5ecretOfThisTe", "guessed"),
        ("5ecretOfThisTest with spaces", "space"),
        ("5ecretOfThisTest\u{fc}mlaut", "ASCII"),
        (&*"5ecretOfThisTest".repeat(20), "at most 256"),
    ] {
        let config = config().token(Token::read(READ)).token(Token::operate(secret));
        refused(hub.serve_http(config.clone()).await.unwrap_err(), words);
        refused(hub.http_router(&config).unwrap_err(), words);
    }
    refused(
        hub.serve_http(config().public_url("example.com")).await.unwrap_err(),
        "https://",
    );
    refused(
        hub.serve_http(config().allow_host("http://x")).await.unwrap_err(),
        "is not a host",
    );
    let open = HttpConfig::new().bind(([0, 0, 0, 0], 0)).token(Token::operate(OPERATE));
    let server = hub.serve_http(open).await.unwrap();
    assert!(server.url().starts_with("http://127.0.0.1:"), "{}", server.url());
    let here = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
    exchange(here, request("GET", "/stats", &[], "")).await.is_error(401);
    assert_eq!(
        exchange(here, request("GET", "/stats", &[("x-functions-key", OPERATE)], ""))
            .await
            .status,
        200
    );
    let taken = hub.serve_http(HttpConfig::new().bind(here)).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Io);
    server.shutdown().await.unwrap();
}

/// No log at any level, no `Debug` output and no response contains a secret.
#[tokio::test]
async fn tokens_are_never_shown() {
    let (hub, server) = guarded().await;
    let address = server.address();
    let token = Token::operate(OPERATE);
    assert_eq!(token.scope(), Scope::Operate);
    let config = config().token(Token::read(READ)).token(token.clone());
    for shown in [format!("{token:?}"), format!("{config:#?}"), format!("{server:?}")] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
    for (verb, path, body) in [
        ("GET", "/stats", ""),
        ("GET", "/nothing", ""),
        ("GET", "/instances/unknown", ""),
        ("GET", "/instances?top=many", ""),
        ("POST", "/orchestrators/unknown", "1"),
        ("POST", "/orchestrators/waits/one", "{"),
        ("POST", "/entities/Counter/one?op=none", "1"),
        ("PUT", "/stats", ""),
    ] {
        let query = if path.contains('?') { "&" } else { "?" };
        for secret in [READ, OPERATE, "5ecretOfThisTestThatIsWrong"] {
            let bearer = format!("Bearer {secret}");
            for request in [
                request(verb, &format!("{path}{query}code={secret}"), &[], body),
                request(verb, path, &[("x-functions-key", secret)], body),
                request(verb, path, &[("authorization", &bearer)], body),
                // An invalid header after the token.
                request(verb, path, &[("authorization", &bearer), ("no colon", "x")], body).replacen(
                    "no colon:",
                    "none",
                    1,
                ),
            ] {
                let answer = exchange(address, &request).await;
                let shown = format!("{} {}", answer.head, String::from_utf8_lossy(&answer.body));
                // The head is in lower case.
                assert!(
                    !shown.to_lowercase().contains(&SECRET.to_lowercase()),
                    "{request}: {shown}"
                );
            }
        }
    }
    server.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "nothing was logged");
    let leak = log.lines().find(|line| line.contains(SECRET));
    assert!(leak.is_none(), "{leak:?}");
}

/// Shutting down a hub does not wait for its server, whose clients then receive 503.
#[tokio::test]
async fn a_hub_ends_before_its_server() {
    let (hub, server) = guarded().await;
    let address = server.address();
    let mut wire = wire::Wire::connect(address).await;
    wire.send(request("GET", "/stats", &[("x-functions-key", READ)], ""))
        .await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    // This client waits for an orchestration that does not end.
    let mut waiting = wire::Wire::connect(address).await;
    waiting
        .send(request(
            "POST",
            "/orchestrators/waits?timeout=60",
            &[("x-functions-key", OPERATE)],
            "1",
        ))
        .await;
    while hub.client().orchestrations().count().await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let closing = tokio::time::timeout(std::time::Duration::from_secs(60), hub.shutdown());
    closing.await.expect("the hub closes").unwrap();
    for path in ["/stats", "/health", "/instances/one", "/entities/Counter/one"] {
        wire.send(request("GET", path, &[("x-functions-key", READ)], "")).await;
        let answer = wire.answer().await.unwrap();
        answer.is_error(503);
        assert!(answer.head.contains("\r\nretry-after: "), "{answer:?}");
    }
    waiting.answer().await.unwrap().is_error(503);
    server.shutdown().await.unwrap();
}
