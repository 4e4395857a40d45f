//! The checks that every request passes before a route sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use crate::error::Result;
use crate::http::config::{HttpConfig, refused};
use crate::http::security::body::{self, BodyBudget};
use crate::http::security::catch_unwind::caught;
use crate::http::security::host::Hosts;
use crate::http::security::refusal::Refusal;
use crate::http::security::token::{Scope, Tokens};
#[cfg(feature = "otel")]
use crate::{http::trace::trace_of, otel};
#[cfg(feature = "otel")]
use opentelemetry::{Context, trace::FutureExt};

/// Minimum memory for the bodies of all requests, in bytes.
const BUDGET_BYTES: usize = 64 << 20;

/// Maximum size of the body of a request that needs no token, in bytes. No such request needs a body, and anyone can
/// send one, so the memory is reserved for requests with a token.
const OPEN_BODY_BYTES: usize = 1 << 10;

/// The checks of every request: host and origin, token, and limits of size and time.
pub(in crate::http) struct Guard {
    hosts: Hosts,
    tokens: Tokens,
    body_limit: usize,
    budget: BodyBudget,
    client_timeout: Duration,
    request_timeout: Duration,
    wait_limit: Duration,
}

impl Guard {
    /// Creates the guard for a configuration.
    ///
    /// # Errors
    /// Returns an error of kind [`Configuration`](crate::ErrorKind::Configuration) if the configuration is invalid, or
    /// if it has neither a token nor `without_token`.
    pub(in crate::http) fn new(config: &HttpConfig) -> Result<Self> {
        config.check()?;
        if config.tokens.is_empty() && !config.without_token {
            return Err(refused(
                "without a token, every client of the program could operate the hub; add a token with \
                 `HttpConfig::token(Token::operate(secret))`, or set `without_token` if the program protects the \
                 router",
            ));
        }
        Ok(Self {
            hosts: Hosts::new(config)?,
            tokens: Tokens::new(&config.tokens),
            body_limit: config.body_limit,
            // Room for several bodies of the maximum size, whatever the limit is.
            budget: BodyBudget::new(config.body_limit.saturating_mul(4).max(BUDGET_BYTES)),
            client_timeout: config.client_timeout,
            request_timeout: config.request_timeout,
            wait_limit: config.wait_limit,
        })
    }

    /// Checks that a token of the request allows its method, and returns what the token allows.
    fn admit(&self, request: &Parts) -> Result<Scope, Refusal> {
        if self.tokens.is_empty() {
            return Ok(Scope::Operate);
        }
        match self.tokens.scope(request) {
            None => Err(Refusal::NO_TOKEN),
            Some(scope) if scope < Scope::needed(&request.method) => Err(Refusal::SMALL_SCOPE),
            Some(scope) => Ok(scope),
        }
    }

    /// Passes a request to the routes, within the limits of time and with a body of at most `limit` bytes.
    async fn answer(&self, parts: Parts, body: Body, limit: usize, next: Next) -> Result<Response, Refusal> {
        // The share is held until the response is ready, because a route holds the body for about as long. A request
        // that waits has passed its body to the hub long before, so its share is released early.
        let mut share = self.budget.share();
        let reading = timeout(self.client_timeout, body::read(body, limit, &mut share));
        let body = reading.await.map_err(|_| Refusal::SLOW_BODY)??;
        let patience = if asks_to_wait(&parts) {
            drop(share);
            self.request_timeout.saturating_add(self.wait_limit)
        } else {
            self.request_timeout
        };
        let (verb, path) = (parts.method.clone(), parts.uri.path().to_owned());
        #[cfg(feature = "otel")]
        let context = trace_of(&parts.headers).map_or_else(Context::current, |trace| otel::remote(&trace));
        let answering = next.run(Request::from_parts(parts, Body::from(body)));
        // What the handler sends to the hub belongs to the trace of the request.
        #[cfg(feature = "otel")]
        let answering = answering.with_context(context);
        let answering = caught(answering);
        let answered = timeout(patience, answering).await.map_err(|_| Refusal::SLOW_ANSWER)?;
        answered.map_err(|panic| {
            tracing::error!(%verb, path, panic, "the handler of a request panicked");
            Refusal::PANIC
        })
    }
}

/// Returns `true` if the query asks to wait. The routes reduce the wait to the limit.
fn asks_to_wait(request: &Parts) -> bool {
    let names = request.uri.query().into_iter().flat_map(|query| query.split('&'));
    let mut names = names.filter_map(|pair| pair.split('=').next());
    names.any(|name| {
        let name = percent_decode_str(name).decode_utf8_lossy();
        name.eq_ignore_ascii_case("timeout") || name.eq_ignore_ascii_case("wait")
    })
}

/// Applies the guard to every route of `router` and to its fallback.
pub(in crate::http) fn protect(router: Router, guard: Arc<Guard>) -> Router {
    layered(router.layer(from_fn_with_state(guard, protected)))
}

/// Like [`protect`], for routes that need no token.
pub(in crate::http) fn protect_open(router: Router, guard: Arc<Guard>) -> Router {
    layered(router.layer(from_fn_with_state(guard, open)))
}

/// Disables the body limit of extractors, because the guard has already read the body.
fn layered(router: Router) -> Router {
    router.layer(DefaultBodyLimit::disable())
}

async fn protected(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Result<Response, Refusal> {
    let (mut parts, body) = request.into_parts();
    guard.hosts.check(&parts)?;
    let scope = guard.admit(&parts)?;
    // Routes tell clients what they may do.
    parts.extensions.insert(scope);
    guard.answer(parts, body, guard.body_limit, next).await
}

async fn open(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    guard.hosts.check(&parts)?;
    let limit = guard.body_limit.min(OPEN_BODY_BYTES);
    guard.answer(parts, body, limit, next).await
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
