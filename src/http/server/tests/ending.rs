//! Shutdown of the server.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stage::{PATIENCE, Raw, config, serve, serve_at_a_pace};

/// A shutdown completes responses in progress, closes idle connections, and accepts no new ones.
#[tokio::test]
async fn a_shutdown_waits_for_answers_and_not_for_idle_clients() {
    let (server, pace) = serve_at_a_pace(config()).await;
    let address = server.address();
    let mut idle = Raw::connect(address).await;
    let mut used = Raw::connect(address).await;
    used.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    used.answer().await;
    let mut waiting = Raw::connect(address).await;
    waiting.send("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    pace.begins().await;
    let others = async {
        assert_eq!(idle.rest().await, "");
        assert_eq!(used.rest().await, "");
        pace.end();
        assert!(waiting.rest().await.ends_with("slow"));
    };
    let (ended, ()) = tokio::join!(server.shutdown_within(Duration::from_secs(3_600)), others);
    ended.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// A client that has sent a part of a request delays the shutdown only briefly, whatever the timeouts of clients and
/// responses are.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_the_rest_of_a_head() {
    let hour = Duration::from_secs(3_600);
    let server = serve(config().client_timeout(hour)).await;
    let address = server.address();
    let mut fresh = Raw::connect(address).await;
    fresh.send("GET / HTTP/1.1\r\nhost: loc").await;
    let mut used = Raw::connect(address).await;
    used.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    used.answer().await;
    used.send("GET / HT").await;
    // The earlier connections were accepted before this one.
    let mut last = Raw::connect(address).await;
    last.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    last.answer().await;
    server.shutdown_within(hour).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// Responses that take longer than the timeout of the shutdown are aborted.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let (server, pace) = serve_at_a_pace(config()).await;
    let mut waiting = Raw::connect(server.address()).await;
    waiting.send("GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    pace.begins().await;
    let ended = timeout(PATIENCE, server.shutdown_within(Duration::from_millis(100))).await;
    ended.expect("the shutdown ends after its timeout").unwrap();
    assert_eq!(waiting.rest().await, "");
}

/// A dropped server closes its connections.
#[tokio::test]
async fn a_dropped_server_ends() {
    let (server, pace) = serve_at_a_pace(config()).await;
    let address = server.address();
    let mut waiting = Raw::connect(address).await;
    waiting.send("GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    pace.begins().await;
    drop(server);
    assert_eq!(waiting.rest().await, "");
    // The task ends when it is next scheduled.
    let port_is_free = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, port_is_free).await.expect("the port is free");
}
