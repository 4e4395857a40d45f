//! The interface between a listener and its owner.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use super::fingerprint::Fingerprint;

/// A boxed future that may move between threads.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides who may connect, and answers requests.
pub(crate) trait Service: Send + Sync + 'static {
    /// Returns `true` if the node with this certificate belongs to the hub.
    ///
    /// The listener calls it once for each connection, after the handshake and before it reads a request. The node has
    /// already proved that it holds the key of the certificate. Without a result within 10 seconds, which include the
    /// handshake, the listener closes the connection.
    fn admits(&self, peer: Fingerprint) -> BoxFuture<'_, bool>;

    /// Returns the answer to one request, of at most [`MAX_BODY_BYTES`](super::MAX_BODY_BYTES).
    ///
    /// There is no time limit. The future is dropped when the peer no longer waits for the answer, and when the
    /// connection ends. If it panics, the peer receives an error and the connection remains open.
    fn answer(&self, request: Bytes) -> BoxFuture<'_, Bytes>;
}
