//! Well-behaved clients, and a client that does not read.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stage::{LARGE, Raw, config, serve, serve_at_a_pace};

/// A request for `/`.
const HERE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Pipelined requests are answered in order.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (server, pace) = serve_at_a_pace(config()).await;
    let mut raw = Raw::connect(server.address()).await;
    raw.send(
        "GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )
    .await;
    pace.begins().await;
    pace.end();
    let both = raw.rest().await;
    let (first, second) = both.rsplit_once("HTTP/1.1 200 OK").unwrap();
    assert!(first.ends_with("slow") && second.ends_with("here"), "{both}");
}

/// A client that has closed its side still receives its response.
#[tokio::test]
async fn a_client_that_has_closed_its_side_gets_its_answer() {
    let (server, pace) = serve_at_a_pace(config()).await;
    let mut raw = Raw::connect(server.address()).await;
    raw.send("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    raw.0.shutdown().await.unwrap();
    pace.begins().await;
    pace.end();
    assert!(raw.rest().await.ends_with("slow"));
}

/// A client that waits for permission to send its body receives it.
#[tokio::test]
async fn a_client_may_ask_before_it_sends_its_body() {
    let server = serve(config()).await;
    let mut raw = Raw::connect(server.address()).await;
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n";
    raw.send(format!("{head}content-length: 5\r\n\r\n")).await;
    let mut leave = [0; 25];
    raw.0.read_exact(&mut leave).await.unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    raw.send("hello").await;
    assert!(raw.answer().await.ends_with("hello"));
}

/// The connection of a client that does not read its response is closed and makes room for the next one. A client that
/// reads slowly at the same time receives the whole response.
#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let patience = Duration::from_secs(1);
    let server = serve(config().client_timeout(patience).max_connections(2)).await;
    let request = "GET /large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut slow = Raw::connect(server.address()).await;
    slow.send(request).await;
    let mut stuck = Raw::connect(server.address()).await;
    stuck.send(request).await;
    let mut next = Raw::connect(server.address()).await;
    next.send(HERE).await;
    let mut read = 0;
    let mut piece = vec![0; 256 << 10];
    let reads_slowly = async {
        loop {
            read += slow.0.read(&mut piece).await.unwrap();
            tokio::time::sleep(patience / 100).await;
        }
    };
    tokio::select! {
        () = reads_slowly => {}
        answer = next.answer() => assert!(answer.ends_with("here")),
    }
    read += slow.rest().await.len();
    assert!(read > LARGE, "{read}");

    let mut rest = Vec::new();
    // The connection ends before the response does, with or without an error.
    let _ = stuck.0.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE, "{}", rest.len());
}

/// Connections beyond the limit wait for another one to close.
#[tokio::test]
async fn more_connections_than_may_be_wait() {
    let server = serve(config().max_connections(2)).await;
    let mut first = Raw::connect(server.address()).await;
    let mut second = Raw::connect(server.address()).await;
    let mut third = Raw::connect(server.address()).await;
    third.send(HERE).await;
    // Enough time for a third connection, if there were room for it.
    for _ in 0..20 {
        for raw in [&mut first, &mut second] {
            raw.send(HERE).await;
            raw.answer().await;
        }
    }
    let early = third.0.try_read(&mut [0]);
    assert!(early.is_err(), "a third connection was served");
    drop(first);
    assert!(third.answer().await.ends_with("here"));
}

/// A connection stays open while it is used, and is closed after it was idle for a while, also after a response. An
/// unused second connection shows when that time is over.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let a_while = Duration::from_secs(2);
    let (server, pace) = serve_at_a_pace(config().idle_timeout(a_while).client_timeout(a_while)).await;
    let mut used = Raw::connect(server.address()).await;
    used.send(HERE).await;
    used.answer().await;
    let mut unused = Raw::connect(server.address()).await;
    let uses = async {
        loop {
            used.send(HERE).await;
            used.answer().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = uses => {}
        rest = unused.rest() => assert_eq!(rest, ""),
    }

    // A connection that waits for a response is not idle, and its client is not slow.
    let mut used = Raw::connect(server.address()).await;
    used.send("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    pace.begins().await;
    let mut unused = Raw::connect(server.address()).await;
    assert_eq!(unused.rest().await, "");
    pace.end();
    assert!(used.answer().await.ends_with("slow"));
    used.send(HERE).await;
    assert!(used.answer().await.ends_with("here"));
    assert_eq!(used.rest().await, "");

    let mut posted = Raw::connect(server.address()).await;
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n";
    posted.send(format!("{head}content-length: 2\r\n\r\n")).await;
    posted.0.read_exact(&mut [0; 25]).await.unwrap();
    posted.send("hi").await;
    assert!(posted.answer().await.ends_with("hi"));
    assert_eq!(posted.rest().await, "");
}
