//! Limits and settings of both ends of a connection.

use std::time::Duration;

/// Maximum size of a request and of an answer, in bytes: 65 MiB.
pub(crate) const MAX_BODY_BYTES: usize = 65 << 20;

/// Maximum size of one payload in a hub whose nodes listen, in bytes: 64 MiB. With everything else, a message fits in a
/// request.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// Maximum number of connections that a listener has open.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// Maximum number of connections that a listener has open and has not admitted yet.
pub(super) const MAX_HANDSHAKES: usize = 64;

/// Maximum number of concurrent requests on one connection. Further requests wait on the side of the client.
#[cfg(not(test))]
pub(super) const MAX_STREAMS: u32 = 1 << 17;
#[cfg(test)]
pub(super) const MAX_STREAMS: u32 = 4096;

/// Time after a failed attempt to connect during which requests fail with its error.
pub(super) const RETRY: Duration = Duration::from_millis(250);

/// Maximum number of requests that a client has reset before the server has seen them. A client that gives up on all
/// of its requests at once must stay below it.
pub(super) const MAX_PENDING_RESETS: usize = 4 * MAX_STREAMS as usize;

/// Timeout for a TCP connection to be established.
pub(super) const CONNECT: Duration = Duration::from_secs(3);

/// Timeout for everything between an established TCP connection and its first request, including the admission.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Interval of the pings that each end sends, also while no request is in progress.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(2);

/// Time that a ping may remain unanswered before the connection is closed.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(4);

/// Flow control window of a connection, in bytes.
pub(super) const CONNECTION_WINDOW: u32 = 4 << 20;

/// Flow control window of one request or answer, in bytes.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;

/// Pause after an error of the operating system while accepting connections, for instance too many open files.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
