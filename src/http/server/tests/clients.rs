//! Clients that are in order, and one that does not read.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stage::{LARGE, Raw, config, serve};

/// Requests may follow each other at once, and are answered in their order.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = serve(config()).await;
    let mut raw = Raw::connect(server.address()).await;
    raw.send(
        "GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )
    .await;
    let both = raw.rest().await;
    let (first, second) = both.rsplit_once("HTTP/1.1 200 OK").unwrap();
    assert!(first.ends_with("slow") && second.ends_with("here"), "{both}");
}

/// A client that has closed its side still gets its answer.
#[tokio::test]
async fn a_client_that_has_closed_its_side_gets_its_answer() {
    let server = serve(config()).await;
    let mut raw = Raw::connect(server.address()).await;
    raw.send("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    raw.0.shutdown().await.unwrap();
    assert!(raw.rest().await.ends_with("slow"));
}

/// A client that waits for leave to send its body gets it.
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

/// Who takes an answer slowly gets all of it; who does not take it is given up.
#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let server = serve(config()).await;
    let request = "GET /large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut slow = Raw::connect(server.address()).await;
    slow.send(request).await;
    let mut read = 0;
    let mut piece = vec![0; 1 << 20];
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        read += slow.0.read(&mut piece).await.unwrap();
    }
    read += slow.rest().await.len();
    assert!(read > LARGE, "{read}");

    let mut stuck = Raw::connect(server.address()).await;
    stuck.send(request).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut rest = Vec::new();
    // The connection ends before the answer does, by an error or without one.
    let _ = stuck.0.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE, "{}", rest.len());
}

/// More connections than may be wait for one to close.
#[tokio::test]
async fn more_connections_than_may_be_wait() {
    let server = serve(config().max_connections(2)).await;
    let mut first = Raw::connect(server.address()).await;
    let mut second = Raw::connect(server.address()).await;
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for raw in [&mut first, &mut second] {
        raw.send(request).await;
        raw.answer().await;
    }
    let mut third = Raw::connect(server.address()).await;
    third.send(request).await;
    let early = tokio::time::timeout(Duration::from_millis(200), third.0.readable()).await;
    assert!(early.is_err(), "a third connection was served");
    drop(first);
    assert!(third.answer().await.ends_with("here"));
}

/// A connection is open for as long as it is used, and closed when it was not for a while, also behind an answer.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = serve(config().idle_timeout(Duration::from_millis(400))).await;
    let mut used = Raw::connect(server.address()).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(600) {
        used.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        used.answer().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // An answer that takes longer than a connection may be idle.
    used.send("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    used.answer().await;
    let began = Instant::now();
    assert_eq!(used.rest().await, "");
    assert!(began.elapsed() > Duration::from_millis(300), "{:?}", began.elapsed());
    let mut unused = Raw::connect(server.address()).await;
    assert_eq!(unused.rest().await, "");
    let mut posted = Raw::connect(server.address()).await;
    posted
        .send("POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n")
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    posted.send("hi").await;
    assert!(posted.answer().await.ends_with("hi"));
    assert_eq!(posted.rest().await, "");
}
