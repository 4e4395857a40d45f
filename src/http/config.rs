//! How the management API is served.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::http::security::{PublicUrl, Token};

/// The port that the server binds if nothing is said.
const PORT: u16 = 7071;

/// What makes the text of `/metrics`.
pub(super) type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// How the management API is served, by [`Hub::serve_http`](crate::Hub::serve_http) or inside a program's own server by
/// [`Hub::http_router`](crate::Hub::http_router).
///
/// If nothing is said it is served on `127.0.0.1:7071`, to this machine alone. What cannot work is told when the server or
/// the router is made.
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
    /// The safe configuration: this machine alone, on port 7071, and bounds for everything.
    pub fn new() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
            public_url: None,
            tokens: Vec::new(),
            without_token: false,
            hosts: Vec::new(),
            // Room for the largest payload that a hub takes if nothing is said, which is 2 MiB, whatever it looks like as
            // JSON within reason.
            body_limit: 4 << 20,
            request_timeout: Duration::from_secs(30),
            // Azure cuts a request after 230 seconds, so its clients are built for waits of this length.
            wait_limit: Duration::from_secs(230),
            client_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            max_connections: 10_240,
            metrics: None,
        }
    }

    /// The address to listen on; port 0 takes any free one. One that other machines reach needs a
    /// [`token`](HttpConfig::token). Of no meaning to a router that a program mounts itself.
    pub fn bind(mut self, address: impl Into<SocketAddr>) -> Self {
        self.bind = address.into();
        self
    }

    /// The URL under which clients reach the server from outside, for instance `https://example.com/hub` behind a reverse
    /// proxy that takes `/hub` off. Links in answers begin with it, and its host is answered like the server's own.
    /// Headers such as `X-Forwarded-Host` are never believed.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// A secret that clients have to know, and what it allows; any number of them. Without one everybody who reaches the
    /// server may do everything, which is why only this machine then reaches it.
    pub fn token(mut self, token: Token) -> Self {
        self.tokens.push(token);
        self
    }

    /// Says that a router without tokens is meant: the program that mounts it protects it. It does not open a server of
    /// [`Hub::serve_http`](crate::Hub::serve_http) to other machines.
    pub fn without_token(mut self) -> Self {
        self.without_token = true;
        self
    }

    /// Answers requests for this host too, besides `localhost`, the address itself and the host of the
    /// [public URL](HttpConfig::public_url): a name such as `hub.internal`, for any port, or with one such as
    /// `hub.internal:8080`. All others are refused, because a page in a browser may give its own name the address of this
    /// machine.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// The largest body of a request, in bytes; 4 MiB if nothing is said. A larger one is answered with 413.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How long a request may take until its answer begins, from when its body is there; 30 seconds if nothing is said.
    /// Then it is answered with 504, and what it asked for may or may not happen. A request that asks to wait may take
    /// longer by the [`wait_limit`](HttpConfig::wait_limit).
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The longest that a request may ask to wait, for the end of an orchestration or the answer of an entity; 230 seconds
    /// if nothing is said. A longer wish is cut to this.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.wait_limit = limit;
        self
    }

    /// How long a client may take to send the head of a request, to send its body, and to take the next piece of an answer;
    /// 30 seconds each if nothing is said. The first two are answered with 408, after the last the connection is closed.
    pub fn client_timeout(mut self, timeout: Duration) -> Self {
        self.client_timeout = timeout;
        self
    }

    /// How long a connection may be open without a request; 120 seconds if nothing is said. Then it is closed. Of no
    /// meaning to a router that a program mounts itself.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The most connections at one time; 10 240 if nothing is said. More wait until one closes, as they do when the process
    /// may not open as many files (`ulimit -n`). Of no meaning to a router that a program mounts itself.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Serves `/metrics` with what `text` returns, in the text format of Prometheus. The program owns the recorder: for the
    /// crate `metrics-exporter-prometheus` it is `move || handle.render()`.
    pub fn metrics(mut self, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(text));
        self
    }

    /// The parts of the public URL, if one is given.
    pub(super) fn public(&self) -> Result<Option<PublicUrl>> {
        self.public_url.as_deref().map(PublicUrl::parse).transpose()
    }

    /// Whether other machines reach the address to bind.
    pub(super) fn is_open(&self) -> bool {
        !self.bind.ip().to_canonical().is_loopback()
    }

    /// Checks what does not depend on how it is served.
    pub(super) fn check(&self) -> Result<()> {
        self.public()?;
        let durations = [
            ("request_timeout", self.request_timeout),
            ("client_timeout", self.client_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        if let Some((name, _)) = durations.iter().find(|(_, duration)| duration.is_zero()) {
            return Err(refused(format!(
                "`{name}` is zero, so that no request could be answered"
            )));
        }
        if self.max_connections == 0 {
            return Err(refused("`max_connections` is zero, so that nobody could connect"));
        }
        self.tokens.iter().try_for_each(Token::check)
    }
}

/// The error of a configuration that cannot work.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows how many tokens there are, and none of them.
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
