//! The smallest client of HTTP/1.1 that keeps its connection, so that a load of requests costs little beside what it
//! measures.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection, with at most one request on its way.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What came in of the answer. The memory is used again by the next one.
    received: Vec<u8>,
}

/// What the head of an answer says.
#[derive(Debug)]
struct Head {
    status: u16,
    /// The bytes of the head itself.
    bytes: usize,
    /// The bytes of the body. Nothing if it comes in chunks.
    body_bytes: Option<usize>,
}

/// The end of a body in chunks: the chunk of no bytes, and no trailers.
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

    /// Sends a request and waits for the whole answer, which has to have this status.
    pub(crate) async fn exchange(&mut self, request: &[u8], status: u16) {
        self.stream.write_all(request).await.expect("the server reads");
        self.received.clear();
        loop {
            let bytes = self.stream.read_buf(&mut self.received).await;
            assert!(
                bytes.expect("the server answers") > 0,
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
                assert_eq!(head.status, status, "an answer of another kind: {text}");
                return;
            }
        }
    }

    /// Whether the server has kept the connection, and sent nothing since its last answer.
    pub(crate) fn is_open(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

impl Head {
    /// The head at the beginning of `received`, if all of it is there.
    fn read(received: &[u8]) -> Option<Self> {
        let bytes = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&received[..bytes]).expect("the head is ASCII");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim())
        });
        Some(Self {
            status: status.expect("an answer begins with its status"),
            bytes,
            body_bytes: length.map(|length| length.parse().expect("the length is a number")),
        })
    }
}
