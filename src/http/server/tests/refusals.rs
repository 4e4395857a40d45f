//! Invalid and oversized requests, and the responses to them.

use std::time::Duration;

use tokio::time::timeout;

use super::stage::{PATIENCE, Raw, assert_error, config, serve, serve_at_a_pace};

/// Sends bytes on a connection of their own and returns everything that comes back.
async fn exchange(server: &crate::http::HttpServer, bytes: impl AsRef<[u8]>) -> String {
    let mut raw = Raw::connect(server.address()).await;
    raw.send(bytes).await;
    raw.rest().await
}

/// Input that hyper itself rejects is answered with the common error body.
#[tokio::test]
async fn what_is_no_request_is_told_so_in_json() {
    let server = serve(config()).await;
    for (bytes, status) in [
        ("\0\0\0\0\r\n\r\n".to_owned(), 400),
        (
            "GET / HTTP/1.1\r\nhost: localhost\r\nname without colon\r\n\r\n".to_owned(),
            400,
        ),
        ("GET / HTTP/7.7\r\nhost: localhost\r\n\r\n".to_owned(), 400),
        (
            "GET / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd".to_owned(),
            400,
        ),
        ("GET / HTTP/1.1\r\ncontent-length: minus\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)), 431),
        (
            format!(
                "GET / HTTP/1.1\r\nhost: localhost\r\na: {}\r\n\r\n",
                "b".repeat(200_000)
            ),
            431,
        ),
        (
            format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "b".repeat(200_000)),
            431,
        ),
    ] {
        let answer = exchange(&server, &bytes).await;
        assert_error(&answer, status);
    }
    server.shutdown().await.unwrap();
}

/// Garbage after a request does not affect its response.
#[tokio::test]
async fn a_request_before_garbage_is_answered() {
    let server = serve(config()).await;
    let both = exchange(
        &server,
        "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n\u{1}\u{2}garbage\r\n\r\n",
    )
    .await;
    assert!(both.starts_with("HTTP/1.1 200 OK\r\n"), "{both}");
    let (_, second) = both.split_once("\r\n\r\nhere").unwrap();
    assert_error(second, 400);
}

/// A body that is too large is rejected before it is read, or while it is read if its length is not declared. The
/// client receives the error although it sends everything first.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = serve(config()).await;
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\n";
    let body = "x".repeat(3 << 20);
    let declared = exchange(&server, format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
    assert_error(&declared, 413);
    let piece = "x".repeat(0x10000);
    let chunks = format!("10000\r\n{piece}\r\n").repeat(48);
    let chunked = exchange(
        &server,
        format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
    )
    .await;
    assert_error(&chunked, 413);
    let fits = exchange(
        &server,
        format!("{head}content-length: 5\r\nconnection: close\r\n\r\nhello"),
    )
    .await;
    assert!(fits.ends_with("\r\n\r\nhello"), "{fits}");
}

/// A request with two lengths is read by its chunks, as HTTP specifies, and everything after it on its connection is
/// ignored.
#[tokio::test]
async fn nothing_is_read_behind_a_request_with_two_lengths() {
    let server = serve(config()).await;
    for lengths in [
        "content-length: 60\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 60\r\n",
    ] {
        let smuggled = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let answer = exchange(
            &server,
            format!("POST /echo HTTP/1.1\r\nhost: localhost\r\n{lengths}\r\n2\r\nhi\r\n0\r\n\r\n{smuggled}"),
        )
        .await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhi"),
            "{answer}"
        );
    }
    let twice = "POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n";
    assert_error(&exchange(&server, twice).await, 400);
}

/// A malformed or incomplete body is rejected.
#[tokio::test]
async fn a_broken_body_is_refused() {
    let server = serve(config()).await;
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_error(&exchange(&server, format!("{head}zz\r\nhello")).await, 400);
    let mut raw = Raw::connect(server.address()).await;
    raw.send("POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhello")
        .await;
    tokio::io::AsyncWriteExt::shutdown(&mut raw.0).await.unwrap();
    assert_error(&raw.rest().await, 400);
}

/// A client that sends a head or a body too slowly receives an error, however steadily the bytes arrive.
#[tokio::test]
async fn who_sends_too_slowly_is_told_so() {
    let server = serve(config().client_timeout(Duration::from_millis(400))).await;
    for slow in [
        "GET / HTTP/1.1\r\nhost: localhost\r\n",
        "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n",
    ] {
        let mut raw = Raw::connect(server.address()).await;
        raw.send(slow).await;
        let drips = async {
            // The server may have closed the connection.
            while raw.0.try_write(b"x").is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = drips => {}
            answered = timeout(PATIENCE, raw.0.readable()) => answered.expect("a response").unwrap(),
        }
        assert_error(&raw.rest().await, 408);
    }
}

/// A panic is answered with an error, and the connection remains usable.
#[tokio::test]
async fn a_panic_ends_its_request_alone() {
    let server = serve(config()).await;
    let mut raw = Raw::connect(server.address()).await;
    for _ in 0..2 {
        raw.send("GET /panic HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let answer = raw.answer().await;
        assert_error(&answer, 500);
        assert!(!answer.contains("this route panics"), "{answer}");
    }
    raw.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(raw.answer().await.ends_with("here"));
}

/// A response that takes too long is not awaited, unless the client asked to wait.
#[tokio::test]
async fn an_answer_that_takes_too_long_is_not_awaited() {
    let (server, pace) = serve_at_a_pace(config().request_timeout(Duration::from_millis(100))).await;
    let mut patient = Raw::connect(server.address()).await;
    patient
        .send("GET /slow?timeout=60 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    pace.begins().await;
    let mut raw = Raw::connect(server.address()).await;
    raw.send("GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_error(&raw.answer().await, 504);
    pace.end();
    assert!(patient.answer().await.ends_with("slow"));
}
