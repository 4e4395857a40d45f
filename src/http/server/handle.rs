//! A running server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::http::BASE_PATH;
use crate::http::server::accept::Accepting;
use crate::http::server::stop::Stop;

/// Maximum time that a shutdown waits for responses in progress.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// A running server of the management API, created by [`Hub::serve_http`](crate::Hub::serve_http).
///
/// If it is dropped without [`shutdown`](HttpServer::shutdown), it stops immediately and closes connections that wait
/// for responses. It does not keep its hub open: once the hub is closed, requests are answered with 503.
#[derive(Debug)]
#[must_use = "the server stops when this is dropped"]
pub struct HttpServer {
    address: SocketAddr,
    public_url: Option<String>,
    stop: watch::Sender<Stop>,
    accepting: JoinHandle<()>,
}

impl HttpServer {
    #[expect(
        clippy::disallowed_methods,
        reason = "the task that accepts connections is spawned here"
    )]
    pub(super) fn start(
        address: SocketAddr,
        public_url: Option<String>,
        accepting: impl FnOnce(watch::Receiver<Stop>) -> Accepting,
    ) -> Self {
        let (stop, stopped) = watch::channel(None);
        Self {
            address,
            public_url,
            stop,
            accepting: tokio::spawn(accepting(stopped).run()),
        }
    }

    /// Returns the address that the server listens on, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the API without a trailing slash.
    ///
    /// For instance, this is `http://127.0.0.1:7071/runtime/webhooks/durabletask`, or the same path below the
    /// [public URL](crate::http::HttpConfig::public_url).
    pub fn url(&self) -> String {
        match &self.public_url {
            Some(url) => format!("{url}{BASE_PATH}"),
            None => format!("http://{}{BASE_PATH}", reachable(self.address)),
        }
    }

    /// Stops accepting connections, closes idle ones, and waits up to ten seconds for responses in progress.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`] if the tokio runtime of the server shuts down before the server.
    pub async fn shutdown(self) -> Result<()> {
        self.shutdown_within(SHUTDOWN_PATIENCE).await
    }

    /// Like [`shutdown`](HttpServer::shutdown), with another timeout for responses in progress. Responses that take
    /// longer are aborted.
    ///
    /// # Errors
    /// Returns the same errors as [`shutdown`](HttpServer::shutdown).
    pub async fn shutdown_within(mut self, patience: Duration) -> Result<()> {
        self.stop.send_replace(Some(patience));
        (&mut self.accepting).await.map_err(|error| {
            Error::new(
                ErrorKind::Closed,
                "the tokio runtime of the server has shut down before it",
            )
            .with_source(error)
        })
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // The connections are dropped with the task that accepted them.
        self.accepting.abort();
    }
}

/// Returns an address at which a client on this machine reaches a server that listens on all addresses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
