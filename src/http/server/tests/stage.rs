//! A server with routes that behave as the tests need, and clients that send raw bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::http::config::HttpConfig;
use crate::http::security::{Guard, protect};
use crate::http::server::handle::HttpServer;
use crate::http::server::serve::listen;

/// More bytes than the buffers of sockets can hold.
pub(super) const LARGE: usize = 32 << 20;

/// Timeout for events that must happen, even on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a configuration for tests, with any port and longer timeouts than a test needs.
pub(super) fn config() -> HttpConfig {
    HttpConfig::new()
        .bind(([127, 0, 0, 1], 0))
        .without_token()
        .body_limit(1 << 20)
        .client_timeout(PATIENCE)
        .idle_timeout(PATIENCE)
}

/// Signals when `/slow` and `/never` begin, and controls when `/slow` ends.
#[derive(Clone)]
pub(super) struct Pace {
    begun: Arc<Semaphore>,
    may_end: Arc<Semaphore>,
}

impl Pace {
    /// Waits until one more of these requests has begun.
    pub(super) async fn begins(&self) {
        let begun = timeout(PATIENCE, self.begun.acquire()).await;
        begun.expect("a request begins").unwrap().forget();
    }

    /// Lets one `/slow` end.
    pub(super) fn end(&self) {
        self.may_end.add_permits(1);
    }
}

/// Serves `/` (immediately), `/echo`, `/slow` (when it may end), `/never`, `/large` and `/panic`.
pub(super) async fn serve(config: HttpConfig) -> HttpServer {
    serve_at_a_pace(config).await.0
}

/// Like [`serve`], and also returns the pace of the slow routes.
pub(super) async fn serve_at_a_pace(config: HttpConfig) -> (HttpServer, Pace) {
    let pace = Pace {
        begun: Arc::new(Semaphore::new(0)),
        may_end: Arc::new(Semaphore::new(0)),
    };
    let (of_slow, of_never) = (pace.clone(), pace.clone());
    let slow = move || async move {
        of_slow.begun.add_permits(1);
        of_slow.may_end.acquire().await.unwrap().forget();
        "slow"
    };
    let never = move || async move {
        of_never.begun.add_permits(1);
        std::future::pending::<()>().await;
    };
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/slow", get(slow))
        .route("/never", get(never))
        .route("/large", get(|| async { vec![b'x'; LARGE] }))
        .route("/panic", get(panics));
    let guard = Arc::new(Guard::new(&config).unwrap());
    (listen(protect(router, guard), &config).await.unwrap(), pace)
}

async fn panics() {
    panic!("this route panics");
}

/// A client that sends raw bytes.
pub(super) struct Raw(pub(super) TcpStream);

impl Raw {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Returns everything that the server sends until it closes its side.
    pub(super) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let reading = self.0.read_to_end(&mut rest);
        timeout(PATIENCE, reading).await.expect("the server closes").unwrap();
        String::from_utf8(rest).unwrap()
    }

    /// Returns the next response, delimited by its length.
    pub(super) async fn answer(&mut self) -> String {
        let reading = async {
            let mut read = Vec::new();
            loop {
                let mut piece = [0; 4096];
                let length = self.0.read(&mut piece).await.unwrap();
                assert!(
                    length > 0,
                    "the server closed after {:?}",
                    String::from_utf8_lossy(&read)
                );
                read.extend_from_slice(&piece[..length]);
                let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let (_, length) = head.split_once("content-length: ").unwrap();
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                if body.len() == length {
                    return String::from_utf8(read).unwrap();
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("a response")
    }
}

/// Asserts that a response has this status and an error as its body.
#[track_caller]
pub(super) fn assert_error(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase().contains("content-type: application/json"),
        "{answer}"
    );
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(
        body["error"]["code"].is_string() && body["error"]["message"].is_string(),
        "{answer}"
    );
}
