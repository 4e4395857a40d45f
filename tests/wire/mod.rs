//! A client that sends raw bytes, including requests that a well-behaved client never sends.
//!
//! A binary that includes this module also includes `it/fixtures.rs`, as `fixtures`.

#![allow(dead_code, reason = "each test file uses a part")]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use abide::http::BASE_PATH as BASE;

/// Maximum time for a response on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub(crate) struct Wire(pub(crate) TcpStream);

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends bytes. The server may have closed the connection already.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// Reads the next response. Returns `None` if the server closes the connection.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        timeout(PATIENCE, self.read())
            .await
            .expect("the response arrives in time")
    }

    async fn read(&mut self) -> Option<Answer> {
        let mut read = Vec::new();
        let mut piece = vec![0; 16 << 10];
        loop {
            match self.0.read(&mut piece).await {
                Ok(length) if length > 0 => read.extend_from_slice(&piece[..length]),
                _ => return None,
            }
            if let Some(answer) = Answer::parse(&read) {
                return Some(answer);
            }
        }
    }
}

impl Answer {
    /// Parses the first response in `bytes`, if it is complete.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.split_once("content-length: ").map_or("0", |(_, rest)| rest);
        let length: usize = length.lines().next()?.trim().parse().unwrap();
        let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
        let status = head[9..12].parse().unwrap();
        Some(Self { status, head, body })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that the response is an error with this status, in the common error format.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("\r\ncontent-type: application/json"), "{self:?}");
        let body = self.json();
        assert!(!body["error"]["code"].as_str().unwrap().is_empty(), "{self:?}");
        assert!(!body["error"]["message"].as_str().unwrap().is_empty(), "{self:?}");
    }
}

/// Sends bytes on a new connection and returns the first response.
pub(crate) async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    let mut wire = Wire::connect(address).await;
    let sent = String::from_utf8_lossy(&bytes.as_ref()[..bytes.as_ref().len().min(120)]).into_owned();
    wire.send(bytes).await;
    wire.answer().await.unwrap_or_else(|| panic!("no response to {sent:?}"))
}

/// Returns the bytes of a request to `path`, relative to the base path.
pub(crate) fn request(verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{verb} {BASE}{path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text += "host: localhost\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("content-length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}
