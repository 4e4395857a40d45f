//! Serving of the management API of a hub.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
#[cfg(feature = "dashboard")]
use axum::routing::get;
use tokio::net::TcpListener;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::http::BASE_PATH;
use crate::http::config::{HttpConfig, refused};
#[cfg(feature = "dashboard")]
use crate::http::dashboard;
use crate::http::error::problem;
use crate::http::routes::router;
#[cfg(feature = "dashboard")]
use crate::http::security::protect_open;
use crate::http::security::{Guard, protect};
use crate::http::server::accept::Accepting;
use crate::http::server::handle::HttpServer;
use crate::http::server::stream::Patience;
use crate::hub::Hub;

impl Hub {
    /// Returns the management API as a router, which a program merges or nests in its own server.
    ///
    /// Every route lies under `/runtime/webhooks/durabletask`. The router checks host, origin and tokens, and limits
    /// the size of bodies and the duration of requests. The program's server limits connections and heads.
    ///
    /// ```
    /// use abide::http::HttpConfig;
    /// use abide::prelude::*;
    /// use axum::Router;
    /// use axum::routing::get;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().open().await?;
    /// // Without a token, protecting the router is up to the program.
    /// let management = hub.http_router(&HttpConfig::new().without_token())?;
    /// let application: Router = Router::new().route("/", get(|| async { "hello" })).merge(management);
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if the configuration is invalid, or if it has neither a
    /// token nor [`without_token`](HttpConfig::without_token).
    pub fn http_router(&self, config: &HttpConfig) -> Result<Router> {
        router(self.client(), config)
    }

    /// Serves the management API until the server is shut down or dropped, on `127.0.0.1:7071` by default.
    ///
    /// The server uses HTTP/1.1 without encryption. To make it reachable from other machines, put a reverse proxy with
    /// TLS in front of it and set its URL with [`public_url`](HttpConfig::public_url).
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// use abide::http::HttpConfig;
    /// use abide::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::in_memory().open().await?;
    /// // Any free port.
    /// let config = HttpConfig::new().bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    /// let server = hub.serve_http(config).await?;
    /// println!("serving at {}", server.url());
    /// // ... until the program ends:
    /// server.shutdown().await?;
    /// hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if the configuration is invalid, or if other machines can
    /// reach the address and there is no token. Returns an error of kind [`ErrorKind::Io`] if the address cannot be
    /// bound.
    pub async fn serve_http(&self, config: HttpConfig) -> Result<HttpServer> {
        serve(self.client(), config).await
    }
}

/// Serves the management API for a client, like [`Hub::serve_http`]. The client may be that of an inspected, stopped hub,
/// which can be looked at and not changed.
///
/// ```no_run
/// use abide::http::HttpConfig;
/// use abide::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// let client = Hub::inspect("backup").client().await?;
/// let server = abide::http::serve(client, HttpConfig::new()).await?;
/// println!("serving at {}", server.url());
/// # server.shutdown().await
/// # }
/// ```
///
/// # Errors
/// Returns the same errors as [`Hub::serve_http`].
pub async fn serve(client: Client, config: HttpConfig) -> Result<HttpServer> {
    if config.is_open() && config.tokens.is_empty() {
        return Err(refused(format!(
            "other machines can reach {}, and without a token each of them could operate the hub; add a token with \
                 `HttpConfig::token(Token::operate(secret))`, or bind 127.0.0.1; `without_token` is only for routers \
                 that a program protects itself",
            config.bind
        )));
    }
    // Without tokens, only this machine can reach the server.
    let config = HttpConfig {
        without_token: true,
        ..config
    };
    let router = whole(router(client, &config)?, &config)?;
    listen(router, &config).await
}

/// Binds the address and serves the router there.
pub(super) async fn listen(router: Router, config: &HttpConfig) -> Result<HttpServer> {
    let unbound =
        |error| Error::new(ErrorKind::Io, format!("{} cannot be bound: {error}", config.bind)).with_source(error);
    let listener = TcpListener::bind(config.bind).await.map_err(unbound)?;
    let address = listener.local_addr().map_err(unbound)?;
    let public_url = config.public()?.map(|url| url.as_str().to_owned());
    Ok(HttpServer::start(address, public_url, |stop| Accepting {
        listener,
        router,
        patience: Patience {
            idle: config.idle_timeout,
            client: config.client_timeout,
        },
        max_connections: config.max_connections,
        stop,
    }))
}

/// Adds a fallback for all other paths to the router, behind the same guard.
fn whole(router: Router, config: &HttpConfig) -> Result<Router> {
    let guard = Arc::new(Guard::new(config)?);
    #[cfg(feature = "dashboard")]
    let router = router.merge(protect_open(
        Router::new().route("/", get(dashboard::from_root)),
        Arc::clone(&guard),
    ));
    let outside = protect(Router::new().fallback(nothing_here), guard);
    Ok(router.fallback_service(outside))
}

async fn nothing_here() -> Response {
    let message = format!("there is no such path; the API is served under `{BASE_PATH}`");
    problem(StatusCode::NOT_FOUND, "NotFound", &message)
}
