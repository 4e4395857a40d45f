//! Malicious and faulty clients over real sockets. Each receives an error, nothing is stored or leaked, and a
//! well-behaved client is served at the same time.
#![cfg(feature = "http")]

#[path = "it/fixtures.rs"]
mod fixtures;
mod wire;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use abide::http::{HttpConfig, HttpServer, Token};
use abide::prelude::*;
use abide::{Client, OrchestrationContext, orchestration};
use fixtures::Counter;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use wire::{BASE, Wire, exchange, request};

const OPERATE: &str = "a-token-that-operates";

/// The token as a header.
const KEY: (&str, &str) = ("x-functions-key", OPERATE);

#[orchestration]
async fn echoes(_ctx: OrchestrationContext, input: Value) -> Value {
    input
}

/// A generous time limit for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves a hub with the client timeout `patience`.
async fn serve(patience: Duration) -> (Hub, HttpServer) {
    let hub = Hub::in_memory()
        .entity::<Counter>()
        .orchestration::<echoes>()
        .open()
        .await
        .unwrap();
    let config = HttpConfig::new()
        .bind(([127, 0, 0, 1], 0))
        .token(Token::operate(OPERATE))
        .body_limit(1 << 20)
        .client_timeout(patience);
    let server = hub.serve_http(config).await.unwrap();
    (hub, server)
}

/// Returns the numbers of commits, instances and entities.
async fn stored(client: &Client) -> (u64, u64, u64) {
    let instances = client.orchestrations().count().await.unwrap();
    let entities = client.entities().page().await.unwrap().items.len() as u64;
    (client.admin().stats().unwrap().commits, instances, entities)
}

/// Returns a request with the token.
fn allowed(verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: Vec<_> = [KEY].into_iter().chain(headers.iter().copied()).collect();
    request(verb, path, &headers, body)
}

/// Routes reject invalid payloads, unknown names and IDs, invalid IDs, and invalid continuation tokens.
#[tokio::test]
async fn invalid_requests_are_refused_and_store_nothing() {
    let (hub, server) = serve(PATIENCE).await;
    let before = stored(&hub.client()).await;
    let json = [("content-type", "application/json")];
    let text = [("content-type", "text/plain")];
    let page = |token: &'static str| [("x-ms-continuation-token", token)];
    let long = "x".repeat(3_000);
    let many: String = (0..2_000).map(|n| format!("a{n}=b&")).collect();
    let deep = "[".repeat(100_000);
    let cases: Vec<(String, u16)> = vec![
        (allowed("POST", "/orchestrators/echoes", &json, "{\"a\":"), 400),
        (allowed("POST", "/orchestrators/echoes", &json, "\u{0}"), 400),
        (allowed("POST", "/orchestrators/echoes", &json, &deep), 400),
        (allowed("POST", "/orchestrators/unknown", &json, "1"), 400),
        (allowed("POST", "/orchestrators/echoes?timeout=soon", &json, "1"), 400),
        (
            allowed("POST", &format!("/orchestrators/echoes/{long}"), &json, "1"),
            400,
        ),
        (allowed("POST", "/orchestrators/echoes/a%00b", &json, "1"), 400),
        (allowed("POST", "/orchestrators/echoes/a%FFb", &json, "1"), 400),
        (allowed("POST", "/entities/Counter/one?op=add", &json, "{"), 400),
        (allowed("POST", "/entities/Counter/one?op=add", &json, "\"text\""), 400),
        (allowed("POST", "/entities/Counter/one?op=unknown", &json, "1"), 400),
        (allowed("POST", "/entities/Counter/one", &json, "1"), 400),
        (allowed("POST", "/entities/Unknown/one?op=add", &json, "1"), 400),
        (
            allowed("POST", &format!("/entities/Counter/{long}?op=add"), &json, "1"),
            400,
        ),
        (allowed("POST", "/instances/one/raiseEvent/go", &text, "hello"), 400),
        (allowed("POST", "/instances/unknown/raiseEvent/go", &json, "1"), 404),
        (allowed("POST", "/instances/unknown/terminate", &[], ""), 404),
        (allowed("POST", "/instances/unknown/rewind", &[], ""), 404),
        (allowed("POST", "/instances/unknown/restart", &[], ""), 404),
        (allowed("DELETE", "/instances/unknown", &[], ""), 404),
        (allowed("DELETE", "/instances", &[], ""), 400),
        (allowed("GET", "/instances/unknown", &[], ""), 404),
        (allowed("GET", "/instances/a%2Fb%2F..%2Fc", &[], ""), 400),
        (
            allowed("GET", "/instances/%2e%2e%2f%2e%2e%2fetc%2fpasswd", &[], ""),
            400,
        ),
        (allowed("GET", "/instances/%FF%FE", &[], ""), 400),
        (allowed("GET", "/entities/Counter/a%2Fb", &[], ""), 400),
        (allowed("GET", "/entities/Counter/%C0%80", &[], ""), 400),
        (allowed("GET", "/instances?top=many", &[], ""), 400),
        (allowed("GET", "/instances?top=-1", &[], ""), 400),
        (allowed("GET", "/instances?runtimeStatus=Asleep", &[], ""), 400),
        (allowed("GET", "/instances?createdTimeFrom=yesterday", &[], ""), 400),
        (allowed("GET", "/instances", &page("no-page"), ""), 400),
        (allowed("GET", "/instances", &page("%%%\u{e9}"), ""), 400),
        (allowed("GET", "/entities", &page("AAAA"), ""), 400),
        (allowed("GET", &format!("/instances?{many}top=no"), &[], ""), 400),
        (allowed("POST", "/dead-letters/unknown/redeliver", &[], ""), 400),
        (allowed("GET", "/nothing/here", &[], ""), 404),
        (allowed("GET", "/instances/a/b/c/d", &[], ""), 404),
        (allowed("PUT", "/instances/one", &[], ""), 405),
        (allowed("BREW", "/instances", &[], ""), 405),
        (allowed("PATCH", "/stats", &json, "1"), 405),
        (
            request(
                "GET",
                "/instances",
                &[("authorization", "Bearer \u{e9}\u{e9}\u{e9}")],
                "",
            ),
            401,
        ),
        (request("GET", "/instances", &[("authorization", "Bearer")], ""), 401),
        (
            request("GET", "/instances?code=%%%&code=x", &[("x-functions-key", "")], ""),
            401,
        ),
        (
            format!("GET /etc/passwd HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {OPERATE}\r\n\r\n"),
            404,
        ),
        (
            format!("GET {BASE}/../../stats HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {OPERATE}\r\n\r\n"),
            404,
        ),
        (
            format!("CONNECT localhost:22 HTTP/1.1\r\nhost: localhost:22\r\nx-functions-key: {OPERATE}\r\n\r\n"),
            404,
        ),
        (
            format!("OPTIONS * HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {OPERATE}\r\n\r\n"),
            404,
        ),
    ];
    let mut wrong = Vec::new();
    for (bytes, status) in &cases {
        let answer = exchange(server.address(), bytes).await;
        if answer.status == *status {
            answer.is_error(*status);
        } else {
            let shown: String = bytes.chars().take(120).collect();
            wrong.push((
                shown,
                *status,
                answer.status,
                String::from_utf8_lossy(&answer.body).into_owned(),
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stored(&hub.client()).await, before, "the hub was changed");
    server.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// The server rejects requests that are too large, badly framed or not HTTP before they reach a route.
#[tokio::test]
async fn malformed_requests_are_refused_and_store_nothing() {
    let (hub, server) = serve(PATIENCE).await;
    let before = stored(&hub.client()).await;
    let address = server.address();
    let start =
        format!("POST {BASE}/orchestrators/echoes HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {OPERATE}\r\n");
    let large = "1".repeat(2 << 20);
    let chunk = format!("8000\r\n{}\r\n", "1".repeat(0x8000));
    let headers: String = (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect();
    for (bytes, status) in [
        (format!("{start}content-length: {}\r\n\r\n{large}", large.len()), 413),
        (format!("{start}content-length: 99999999999999\r\n\r\n1"), 413),
        (
            format!("{start}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(64)),
            413,
        ),
        (format!("{start}{headers}\r\n"), 431),
        (format!("{start}x: {}\r\n\r\n", "y".repeat(100_000)), 431),
        (format!("{start}content-length: 1\r\ncontent-length: 2\r\n\r\n1"), 400),
        (format!("{start}content-length: 1, 2\r\n\r\n1"), 400),
        (format!("{start}content-length: +1\r\n\r\n1"), 400),
        (format!("{start}transfer-encoding: identity\r\n\r\n1"), 400),
        (
            format!("{start}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n1"),
            400,
        ),
        (format!("{start}transfer-encoding: chunked\r\n\r\n1;\n\r\n1\r\n"), 400),
        (format!("{start} folded: yes\r\n\r\n"), 400),
        (format!("{start}a\u{0}b: c\r\n\r\n"), 400),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\r\n\r\n".to_owned(), 400),
        ("GET\r\n\r\n".to_owned(), 400),
        (format!("{} / HTTP/1.1\r\n\r\n", "G".repeat(70_000)), 431),
    ] {
        let answer = exchange(address, &bytes).await;
        let shown: String = bytes.chars().skip(start.len().min(60)).take(160).collect();
        assert_eq!(answer.status, status, "{shown}: {answer:?}");
        answer.is_error(status);
    }
    // A connection that is half-closed in the middle of a body.
    let mut half = Wire::connect(address).await;
    half.send(format!("{start}content-length: 10\r\n\r\n1")).await;
    half.0.shutdown().await.unwrap();
    half.answer().await.expect("a response").is_error(400);
    // A connection that is half-closed in the middle of a head may get no response.
    let mut half = Wire::connect(address).await;
    half.send(&start).await;
    half.0.shutdown().await.unwrap();
    assert!(
        half.answer()
            .await
            .is_none_or(|answer| answer.status == 400 || answer.status == 408)
    );
    assert_eq!(stored(&hub.client()).await, before, "the hub was changed");
    server.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// A client that sends its head, its body or a chunk too slowly is rejected.
#[tokio::test]
async fn slow_requests_are_refused_and_store_nothing() {
    let (hub, server) = serve(Duration::from_millis(500)).await;
    let before = stored(&hub.client()).await;
    let start =
        format!("POST {BASE}/orchestrators/echoes HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {OPERATE}\r\n");
    for bytes in [
        start.clone(),
        format!("{start}content-length: 10\r\n\r\n1"),
        format!("{start}transfer-encoding: chunked\r\n\r\n5\r\n1"),
    ] {
        exchange(server.address(), &bytes).await.is_error(408);
    }
    assert_eq!(stored(&hub.client()).await, before, "the hub was changed");
    server.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// Bytes after a request with two lengths are not interpreted as another request.
#[tokio::test]
async fn no_request_is_smuggled() {
    let (hub, server) = serve(PATIENCE).await;
    let hidden = allowed("POST", "/orchestrators/echoes/smuggled", &[], "1");
    for lengths in [
        "content-length: 400\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 400",
    ] {
        let outer = format!(
            "GET {BASE}/stats HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {OPERATE}\r\n{lengths}\r\n\r\n0\r\n\r\n{hidden}"
        );
        let mut wire = Wire::connect(server.address()).await;
        wire.send(outer).await;
        let answer = wire.answer().await.unwrap();
        assert!(answer.head.contains("\r\nconnection: close"), "{answer:?}");
        assert!(wire.answer().await.is_none());
    }
    for odd in [
        "transfer-encoding: xchunked",
        "transfer-encoding:\u{b}chunked",
        "transfer-encoding : chunked",
    ] {
        let outer = format!(
            "POST {BASE}/orchestrators/echoes HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {OPERATE}\r\n{odd}\r\n\r\n{hidden}"
        );
        exchange(server.address(), outer).await.is_error(400);
    }
    assert_eq!(hub.client().orchestrations().count().await.unwrap(), 0);
}

/// Sends one of several attacks on a new connection, and returns the connection if it stays open.
async fn attack(address: SocketAddr, turn: usize) -> Option<Wire> {
    let mut wire = Wire::connect(address).await;
    let start =
        format!("POST {BASE}/orchestrators/echoes HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {OPERATE}\r\n");
    let bytes = match turn % 8 {
        0 => format!("{start}{}\r\n", "a: b\r\n".repeat(10_000)),
        1 => format!("{start}content-length: 4000000\r\n\r\n{}", "1".repeat(200_000)),
        2 => format!("{start}content-length: 10\r\n\r\n"),
        3 => start[..turn % start.len()].to_owned(),
        4 => "\u{1}garbage\r\n\r\n".repeat(200),
        5 => request("GET", "/instances?code=wrong", &[], ""),
        6 => allowed("POST", "/orchestrators/echoes", &[], &"[".repeat(50_000)),
        _ => String::new(),
    };
    wire.send(bytes).await;
    (turn % 8 != 4).then_some(wire)
}

/// Acts as a well-behaved client on one connection.
async fn behave(address: SocketAddr, requests: usize) {
    let mut wire = Wire::connect(address).await;
    let add = allowed("POST", "/entities/Counter/good?op=add&wait=true", &[], "1");
    for _ in 0..requests {
        wire.send(&add).await;
        assert_eq!(wire.answer().await.expect("a response").status, 200);
    }
}

/// Returns the number of open files of this process and its memory in bytes.
#[cfg(target_os = "linux")]
fn held() -> (usize, usize) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    (files, pages * 4096)
}

/// Attackers on many connections leave nothing behind and do not delay a well-behaved client. The server still waits
/// for a silent attacker when that client has all its responses.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_served_while_some_attack() {
    let (hub, server) = serve(PATIENCE).await;
    let address = server.address();
    behave(address, 200).await;
    let before = stored(&hub.client()).await;
    let mut memory = Vec::new();
    for round in 0..3 {
        let attackers = tokio::spawn(async move {
            let mut open = Vec::new();
            for turn in 0..300 {
                open.extend(attack(address, round + turn).await);
            }
            open
        });
        let silent = attack(address, 2).await.expect("the connection stays open");
        behave(address, 200).await;
        let early = silent.0.try_read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(early, Err(ErrorKind::WouldBlock), "the attacker was disconnected early");
        drop(attackers.await.unwrap());
        memory.push(held().1);
    }
    println!("memory after each round: {memory:?}");
    assert!(memory[2] < memory[1] + (48 << 20), "{memory:?}");
    let (commits, instances, entities) = stored(&hub.client()).await;
    assert_eq!((instances, entities), (before.1, before.2));
    assert!(commits - before.0 <= 600, "attacks caused commits");
    server.shutdown().await.unwrap();
    let files_are_closed = async {
        while held().0 > 60 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let closed = tokio::time::timeout(PATIENCE, files_are_closed).await;
    assert!(closed.is_ok(), "{} files are open", held().0);
    hub.shutdown().await.unwrap();
}
