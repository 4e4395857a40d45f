//! A running server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::http::BASE_PATH;
use crate::http::server::accept::{Accepting, Stop};

/// How long a shutdown waits for answers that have begun.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// The management API of a hub, served. Made by [`Hub::serve_http`](crate::Hub::serve_http).
///
/// Dropped without [`shutdown`](HttpServer::shutdown) it stops at once and cuts off who waits for an answer. It does not hold
/// its hub: once that is closed, requests are answered with 503.
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
        reason = "the task that takes in connections is spawned here"
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

    /// The address that it listens on, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the API, without a slash at its end: for instance
    /// `http://127.0.0.1:7071/runtime/webhooks/durabletask`, or the same below the
    /// [public URL](crate::http::HttpConfig::public_url).
    pub fn url(&self) -> String {
        match &self.public_url {
            Some(url) => format!("{url}{BASE_PATH}"),
            None => format!("http://{}{BASE_PATH}", reachable(self.address)),
        }
    }

    /// Stops taking in connections, closes idle ones, and waits up to ten seconds for answers that have begun.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] if the tokio runtime of the server ended before it.
    pub async fn shutdown(self) -> Result<()> {
        self.shutdown_within(SHUTDOWN_PATIENCE).await
    }

    /// As [`shutdown`](HttpServer::shutdown), with another time for answers that have begun. Those that take longer are cut
    /// off.
    ///
    /// # Errors
    /// As [`shutdown`](HttpServer::shutdown).
    pub async fn shutdown_within(mut self, patience: Duration) -> Result<()> {
        self.stop.send_replace(Some(patience));
        (&mut self.accepting).await.map_err(|error| {
            Error::new(ErrorKind::Closed, "the server was not stopped: its tokio runtime ends").with_source(error)
        })
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // The connections are dropped with the task that took them in.
        self.accepting.abort();
    }
}

/// An address at which a client on this machine reaches one that listens on all.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
