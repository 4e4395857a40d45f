//! A minimal HTTP/1.1 client with a persistent connection, so that the load generator costs little compared with the
//! server.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection with at most one request in flight.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The part of the response received so far. The buffer is reused for the next response.
    received: Vec<u8>,
}

/// The head of a response.
#[derive(Debug)]
struct Head {
    status: u16,
    /// The length of the head.
    bytes: usize,
    /// The length of the body, or `None` if the body is chunked.
    body_bytes: Option<usize>,
}

/// The end of a chunked body: the empty chunk without trailers.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

impl Connection {
    pub(crate) async fn open(server: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends a request, waits for the complete response and asserts its status.
    pub(crate) async fn exchange(&mut self, request: &[u8], status: u16) {
        self.stream.write_all(request).await.expect("the request can be sent");
        self.received.clear();
        loop {
            let bytes = self.stream.read_buf(&mut self.received).await;
            assert!(
                bytes.expect("the response can be read") > 0,
                "the server closed the connection"
            );
            let Some(head) = Head::read(&self.received) else {
                continue;
            };
            let body = &self.received[head.bytes..];
            let complete = match head.body_bytes {
                Some(bytes) => body.len() >= bytes,
                None => body.ends_with(LAST_CHUNK),
            };
            if complete {
                let text = String::from_utf8_lossy(&self.received);
                assert_eq!(head.status, status, "unexpected response: {text}");
                return;
            }
        }
    }

    /// Sends a request whose response does not end, and waits for the first part of the response.
    pub(crate) async fn begin(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.expect("the request can be sent");
        let bytes = self.stream.read_buf(&mut self.received).await;
        assert!(
            bytes.expect("the response can be read") > 0,
            "the server closed the connection"
        );
        let text = String::from_utf8_lossy(&self.received);
        assert!(text.starts_with("HTTP/1.1 200"), "unexpected response: {text}");
    }

    /// Receives and forgets everything until the server closes the connection.
    pub(crate) async fn receive_all(mut self) {
        while self
            .stream
            .read_buf(&mut self.received)
            .await
            .is_ok_and(|bytes| bytes > 0)
        {
            self.received.clear();
        }
    }

    /// Returns whether the server has kept the connection open and sent nothing since its last response.
    pub(crate) fn is_open(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

impl Head {
    /// Parses the head at the beginning of `received`, if it is complete.
    fn read(received: &[u8]) -> Option<Self> {
        let bytes = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&received[..bytes]).expect("the head is ASCII");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim())
        });
        Some(Self {
            status: status.expect("a response begins with a status line"),
            bytes,
            body_bytes: length.map(|length| length.parse().expect("the length is a number")),
        })
    }
}
