//! Requests to another node.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::sync::OnceCell;

use super::connect::{Answering, Connection, connect};
use super::error::{SendError, TransportError};
use super::failure;
use super::fingerprint::Fingerprint;
use super::identity::Identity;
use super::limits::{MAX_BODY_BYTES, RETRY};
use super::tls;
use crate::time::Stopwatch;

/// One connection, from the start of the attempt to its end. Concurrent requests share the attempt and its error.
type Attempt = OnceCell<Result<Arc<Connection>, (TransportError, Stopwatch)>>;

/// Another node. It has at most one connection, which is established for the first request and again after it broke.
///
/// Dropping it closes the connection.
pub(crate) struct Peer {
    address: String,
    fingerprint: Fingerprint,
    tls: Result<Arc<ClientConfig>, TransportError>,
    current: Mutex<Arc<Attempt>>,
}

impl Peer {
    /// Returns the node that listens on `address`, like `10.0.0.5:7400`, and has the certificate with `fingerprint`.
    /// `identity` is the one of this node. It does not connect yet.
    pub(crate) fn new(address: String, fingerprint: Fingerprint, identity: &Identity) -> Self {
        Self {
            address,
            fingerprint,
            tls: tls::client(identity, fingerprint).map(Arc::new),
            current: Mutex::default(),
        }
    }

    /// Sends a request and waits for the answer.
    #[cfg(test)]
    pub(super) async fn send(&self, request: Bytes) -> Result<Bytes, SendError> {
        match self.begin(request.clone()).await?.await {
            // The connection had closed since its last request. This is the time to establish another one.
            Err(SendError::NotSent(_)) => self.begin(request).await?.await,
            result => result,
        }
    }

    /// Begins to send a request of at most [`MAX_BODY_BYTES`]. When this returns, the request has its place in the order
    /// of the connection, and the future that it returns waits for the answer. The other node begins the requests of a
    /// connection in this order.
    ///
    /// There is no time limit for the answer. Dropping the future cancels the request, and the other node drops its
    /// work on it. A future that is no longer polled, but kept, can block the other requests to the node.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`], or [`SendError::NotSent`] if no connection could be established. After a failed attempt, it
    /// returns the same error for a while. The future returns [`SendError::NotSent`] if the connection closed before the
    /// request left this node, [`SendError::Unanswerable`], and [`SendError::Unknown`] after every other failure.
    pub(crate) async fn begin(&self, request: Bytes) -> Result<Answering, SendError> {
        if request.len() > MAX_BODY_BYTES {
            return Err(SendError::TooLarge(failure::request_too_large(&self.address)));
        }
        let connection = self.connection().await?;
        Ok(Connection::send(connection, request))
    }

    /// Returns the current connection, or establishes one.
    async fn connection(&self) -> Result<Arc<Connection>, SendError> {
        let attempt = self.attempt();
        let connect = async { self.connect().await.map_err(|error| (error, Stopwatch::start())) };
        let connection = attempt.get_or_init(|| Box::pin(connect)).await;
        connection.clone().map_err(|(error, _)| SendError::NotSent(error))
    }

    /// Returns the current attempt, or a new one if the last one failed a while ago or its connection is closed.
    fn attempt(&self) -> Arc<Attempt> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = match current.get() {
            None => false,
            Some(Ok(connection)) => connection.is_closed(),
            Some(Err((_, since))) => since.elapsed() >= RETRY,
        };
        if ended {
            *current = Arc::default();
        }
        Arc::clone(&current)
    }

    async fn connect(&self) -> Result<Arc<Connection>, TransportError> {
        let tls = self.tls.clone()?;
        connect(&self.address, tls).await.map(Arc::new)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.address)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}
