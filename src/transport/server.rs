//! The listener of a node.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tracing::Instrument;

use super::connection;
use super::error::{TransportError, reason};
use super::identity::Identity;
use super::limits::{ACCEPT_PAUSE, MAX_CONNECTIONS, MAX_HANDSHAKES};
use super::service::Service;
use super::tls;

/// Accepts the connections of other nodes. Dropping it ends all of them, and drops the answers in progress.
pub(crate) struct Listener {
    address: SocketAddr,
    // The accept loop, which owns the connections.
    _accepting: JoinSet<()>,
}

impl Listener {
    /// Starts to listen on an address like `10.0.0.5:7400`. The tasks run on the current tokio runtime. With port 0,
    /// the operating system chooses a port.
    ///
    /// # Errors
    ///
    /// If the address is invalid or in use.
    pub(crate) async fn bind(
        address: &str,
        identity: &Identity,
        service: Arc<dyn Service>,
    ) -> Result<Self, TransportError> {
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(identity)?));
        let failed = |error| cannot_listen(address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut accepting = JoinSet::new();
        accepting.spawn(Accepting::new(listener, acceptor, service).run());
        Ok(Self {
            address,
            _accepting: accepting,
        })
    }

    /// Returns the address with the actual port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn cannot_listen(address: &str, error: io::Error) -> TransportError {
    let message = format!(
        "cannot listen on {address}: {}; choose another `listen` address",
        reason(&error)
    );
    TransportError::with_source(message, error)
}

/// State of the accept loop.
struct Accepting {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    service: Arc<dyn Service>,
    connections: JoinSet<()>,
    open: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
}

impl Accepting {
    fn new(listener: TcpListener, acceptor: TlsAcceptor, service: Arc<dyn Service>) -> Self {
        Self {
            listener,
            acceptor,
            service,
            connections: JoinSet::new(),
            open: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
        }
    }

    /// Accepts connections until it is dropped.
    async fn run(mut self) {
        // A persistent error is logged once.
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                Some(_) = self.connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, client)) => {
                    failing = false;
                    self.serve(socket, client);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "cannot accept a connection of another node; retrying");
                    }
                    failing = true;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection in a task of its own, or closes it if a limit is reached.
    fn serve(&mut self, socket: TcpStream, client: SocketAddr) {
        let open = Arc::clone(&self.open).try_acquire_owned();
        let handshaking = Arc::clone(&self.handshakes).try_acquire_owned();
        let (Ok(open), Ok(handshaking)) = (open, handshaking) else {
            tracing::debug!(%client, "closed a new connection because too many are open");
            return;
        };
        let serving = connection::serve(socket, self.acceptor.clone(), Arc::clone(&self.service), handshaking);
        // Boxed, because the task would otherwise reserve memory for it twice.
        let serving = Box::pin(serving.instrument(tracing::debug_span!("connection", %client)));
        self.connections.spawn(async move {
            serving.await;
            drop(open);
        });
    }
}

/// Returns `true` if an error concerns only one connection, which was closed before it was accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
