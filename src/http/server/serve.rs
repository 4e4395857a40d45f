//! How a hub is served.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::net::TcpListener;

use crate::error::{Error, ErrorKind, Result};
use crate::http::BASE_PATH;
use crate::http::config::{HttpConfig, refused};
use crate::http::error::problem;
use crate::http::routes::router;
use crate::http::security::{Guard, protect};
use crate::http::server::accept::Accepting;
use crate::http::server::handle::HttpServer;
use crate::http::server::stream::Patience;
use crate::hub::Hub;

impl Hub {
    /// The management API as a router for a program's own server, to be merged or nested there: every route lies under
    /// `/runtime/webhooks/durabletask`. It checks host, origin and tokens, and bounds bodies and time. Limits of connections
    /// and heads are those of the program's server.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the configuration cannot work, or names no token and does not say
    /// [`without_token`](HttpConfig::without_token).
    pub fn http_router(&self, config: &HttpConfig) -> Result<Router> {
        router(self.client(), config)
    }

    /// Serves the management API, on `127.0.0.1:7071` if nothing else is said, until the server is shut down or dropped.
    ///
    /// It speaks HTTP/1.1 without encryption. To reach it from other machines put a reverse proxy before it that does, and
    /// name its URL with [`public_url`](HttpConfig::public_url).
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the configuration cannot work, or other machines reach the address and there is no
    /// token. [`ErrorKind::Io`] if the address cannot be bound.
    pub async fn serve_http(&self, config: HttpConfig) -> Result<HttpServer> {
        if config.is_open() && config.tokens.is_empty() {
            return Err(refused(format!(
                "other machines reach {}, and without a token each of them could operate the hub: give one with \
                 `HttpConfig::token(Token::operate(secret))`, or bind 127.0.0.1; `without_token` is for routers that a program \
                 protects itself",
                config.bind
            )));
        }
        // Without tokens it is for this machine alone.
        let config = HttpConfig {
            without_token: true,
            ..config
        };
        let router = whole(router(self.client(), &config)?, &config)?;
        listen(router, &config).await
    }
}

/// Binds the address and answers there with what the router answers.
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

/// The router with an answer to what lies outside of it, behind the same guard.
fn whole(router: Router, config: &HttpConfig) -> Result<Router> {
    let outside = protect(Router::new().fallback(nothing_here), Arc::new(Guard::new(config)?));
    Ok(router.fallback_service(outside))
}

async fn nothing_here() -> Response {
    let message = format!("there is nothing here; the API lies under `{BASE_PATH}`");
    problem(StatusCode::NOT_FOUND, "NotFound", &message)
}
