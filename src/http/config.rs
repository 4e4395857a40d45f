//! Configuration of the management API.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::http::security::{PublicUrl, Token};

/// Default port of the server.
const PORT: u16 = 7071;

/// Function that renders additional text for `/metrics`.
pub(super) type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Configuration of the management API, for [`Hub::serve_http`](crate::Hub::serve_http), or for
/// [`Hub::http_router`](crate::Hub::http_router) inside a program's own server.
///
/// By default, the API is served on `127.0.0.1:7071`, which only this machine can reach. Invalid settings are reported
/// when the server or the router is created.
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::Duration;
///
/// use abide::http::{HttpConfig, Token};
/// use abide::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().open().await?;
/// # let (operator, reader) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
/// let config = HttpConfig::new()
///     // Reachable from other machines, through a reverse proxy with this public URL.
///     .bind(SocketAddr::from(([0, 0, 0, 0], 7071)))
///     .public_url("https://example.com/hub")
///     .allow_host("hub.internal")
///     .token(Token::operate(operator))
///     .token(Token::read(reader))
///     // Limits.
///     .body_limit(1 << 20)
///     .request_timeout(Duration::from_secs(10))
///     .wait_limit(Duration::from_secs(60))
///     .max_connections(1_000);
/// let router = hub.http_router(&config)?;
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone)]
pub struct HttpConfig {
    pub(super) bind: SocketAddr,
    pub(super) public_url: Option<String>,
    pub(super) tokens: Vec<Token>,
    pub(super) without_token: bool,
    pub(super) hosts: Vec<String>,
    pub(super) body_limit: usize,
    pub(super) request_timeout: Duration,
    pub(super) wait_limit: Duration,
    pub(super) client_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) metrics: Option<MetricsText>,
}

impl HttpConfig {
    /// Creates the default configuration: reachable only from this machine, on port 7071, with limits on all resources.
    pub fn new() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
            public_url: None,
            tokens: Vec::new(),
            without_token: false,
            hosts: Vec::new(),
            // Room for the largest payload that a hub accepts by default, 2 MiB, in any reasonable JSON encoding.
            body_limit: 4 << 20,
            request_timeout: Duration::from_secs(30),
            // Azure ends a request after 230 seconds, so its clients support waits of this length.
            wait_limit: Duration::from_secs(230),
            client_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            max_connections: 10_240,
            metrics: None,
        }
    }

    /// Sets the address to listen on (default: `127.0.0.1:7071`). Port 0 selects any free port.
    ///
    /// An address that other machines can reach requires a [`token`](HttpConfig::token). A router that a program mounts
    /// itself ignores this setting.
    pub fn bind(mut self, address: impl Into<SocketAddr>) -> Self {
        self.bind = address.into();
        self
    }

    /// Sets the URL under which clients reach the server from outside, for instance `https://example.com/hub` behind a
    /// reverse proxy that strips `/hub`.
    ///
    /// Links in responses begin with this URL, and requests for its host are accepted like those for the server's own.
    /// Headers such as `X-Forwarded-Host` are never trusted.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// Adds a token that authorizes clients. Call it repeatedly to add several tokens.
    ///
    /// Without a token, every client that reaches the server may do everything. A server without tokens is therefore
    /// reachable only from this machine.
    pub fn token(mut self, token: Token) -> Self {
        self.tokens.push(token);
        self
    }

    /// Allows a router without tokens, which the program that mounts it must protect itself. This setting does not make
    /// a server of [`Hub::serve_http`](crate::Hub::serve_http) reachable from other machines.
    pub fn without_token(mut self) -> Self {
        self.without_token = true;
        self
    }

    /// Accepts requests for this host, in addition to `localhost`, the address of the server and the host of the
    /// [public URL](HttpConfig::public_url).
    ///
    /// A name such as `hub.internal` applies to any port, and one such as `hub.internal:8080` to that port only.
    /// Requests for all other hosts are rejected, because a web page can make its own host name resolve to this machine
    /// (DNS rebinding).
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Sets the maximum size of a request body, in bytes (default: 4 MiB). A larger body is answered with 413.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets the timeout from the end of a request body to the start of the response (default: 30 seconds).
    ///
    /// A request that exceeds it is answered with 504, and may or may not take effect. A request that asks to wait may
    /// take longer by the [`wait_limit`](HttpConfig::wait_limit).
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets the longest time that a request may ask to wait, for the end of an orchestration or the result of an
    /// operation (default: 230 seconds). Longer waits are reduced to this limit.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.wait_limit = limit;
        self
    }

    /// Sets the timeout for a client to send the head of a request, to send its body, and to read the next part of a
    /// response (default: 30 seconds each).
    ///
    /// The first two timeouts are answered with 408. After the last one, the connection is closed.
    pub fn client_timeout(mut self, timeout: Duration) -> Self {
        self.client_timeout = timeout;
        self
    }

    /// Sets the time after which a connection without a request is closed (default: 120 seconds). A router that a
    /// program mounts itself ignores this setting.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the maximum number of simultaneous connections (default: 10,240).
    ///
    /// Further connections wait until one closes, as they do when the process has reached its limit of open files
    /// (`ulimit -n`). A router that a program mounts itself ignores this setting.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Appends what `text` returns to `/metrics`, in the Prometheus text format. The program owns the recorder: for the
    /// crate `metrics-exporter-prometheus`, pass `move || handle.render()`.
    pub fn metrics(mut self, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(text));
        self
    }

    /// Parses the public URL, if one is set.
    pub(super) fn public(&self) -> Result<Option<PublicUrl>> {
        self.public_url.as_deref().map(PublicUrl::parse).transpose()
    }

    /// Returns `true` if other machines can reach the address to bind.
    pub(super) fn is_open(&self) -> bool {
        !self.bind.ip().to_canonical().is_loopback()
    }

    /// Checks the settings that servers and routers have in common.
    pub(super) fn check(&self) -> Result<()> {
        self.public()?;
        let durations = [
            ("request_timeout", self.request_timeout),
            ("client_timeout", self.client_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        if let Some((name, _)) = durations.iter().find(|(_, duration)| duration.is_zero()) {
            return Err(refused(format!(
                "`{name}` must be greater than zero, or no request could be answered"
            )));
        }
        if self.max_connections == 0 {
            return Err(refused(
                "`max_connections` must be at least 1, or no client could connect",
            ));
        }
        self.tokens.iter().try_for_each(Token::check)
    }
}

/// Returns the error for an invalid configuration.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the scopes of the tokens, but no secrets.
impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("bind", &self.bind)
            .field("public_url", &self.public_url)
            .field("tokens", &self.tokens)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
