//! What every request passes before a route sees it.

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
use crate::http::security::body::{self, Room};
use crate::http::security::caught::caught;
use crate::http::security::host::Hosts;
use crate::http::security::refusal::Refusal;
use crate::http::security::token::{Scope, Tokens};

/// The least memory that bodies of requests may take together.
const ROOM_BYTES: usize = 64 << 20;

/// The largest body of a request that shows no token, in bytes. No such request needs one, and whoever reaches the server may
/// send it: the room is for those who show one.
const OPEN_BODY_BYTES: usize = 1 << 10;

/// What every request passes: host and origin, token, bounds of size and time.
pub(in crate::http) struct Guard {
    hosts: Hosts,
    tokens: Tokens,
    body_limit: usize,
    room: Room,
    client_timeout: Duration,
    request_timeout: Duration,
    wait_limit: Duration,
}

impl Guard {
    /// The guard that a configuration asks for.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) if it cannot work, or names no token and does not say that none
    /// is meant.
    pub(in crate::http) fn new(config: &HttpConfig) -> Result<Self> {
        config.check()?;
        if config.tokens.is_empty() && !config.without_token {
            return Err(refused(
                "whoever reaches the program could operate the hub: give a token with \
                 `HttpConfig::token(Token::operate(secret))`, or say with `without_token` that the program protects the router",
            ));
        }
        Ok(Self {
            hosts: Hosts::new(config)?,
            tokens: Tokens::new(&config.tokens),
            body_limit: config.body_limit,
            // A few of the largest bodies have room at one time, whatever the limit is.
            room: Room::new(config.body_limit.saturating_mul(4).max(ROOM_BYTES)),
            client_timeout: config.client_timeout,
            request_timeout: config.request_timeout,
            wait_limit: config.wait_limit,
        })
    }

    /// Whether the request may do what its verb does.
    fn admit(&self, request: &Parts) -> Result<(), Refusal> {
        if self.tokens.is_empty() {
            return Ok(());
        }
        match self.tokens.scope(request) {
            None => Err(Refusal::NO_TOKEN),
            Some(scope) if scope < Scope::needed(&request.method) => Err(Refusal::SMALL_SCOPE),
            Some(_) => Ok(()),
        }
    }

    /// Lets the routes answer, within bounds; the body has at most `limit` bytes.
    async fn answer(&self, parts: Parts, body: Body, limit: usize, next: Next) -> Result<Response, Refusal> {
        // The share is held until the answer is there, because a route holds the body for about as long; not so one that waits,
        // which has long handed it to the hub.
        let mut share = self.room.share();
        let reading = timeout(self.client_timeout, body::read(body, limit, &mut share));
        let body = reading.await.map_err(|_| Refusal::SLOW_BODY)??;
        let patience = if asks_to_wait(&parts) {
            drop(share);
            self.request_timeout.saturating_add(self.wait_limit)
        } else {
            self.request_timeout
        };
        let (verb, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let answering = caught(next.run(Request::from_parts(parts, Body::from(body))));
        let answered = timeout(patience, answering).await.map_err(|_| Refusal::SLOW_ANSWER)?;
        answered.map_err(|panic| {
            tracing::error!(%verb, path, panic, "a request panicked");
            Refusal::PANIC
        })
    }
}

/// Whether the query says that the answer may take long: the routes cut the wish to the limit.
fn asks_to_wait(request: &Parts) -> bool {
    let names = request.uri.query().into_iter().flat_map(|query| query.split('&'));
    let mut names = names.filter_map(|pair| pair.split('=').next());
    names.any(|name| {
        let name = percent_decode_str(name).decode_utf8_lossy();
        name.eq_ignore_ascii_case("timeout") || name.eq_ignore_ascii_case("wait")
    })
}

/// Puts the guard before every route of `router` and before its fallback.
pub(in crate::http) fn protect(router: Router, guard: Arc<Guard>) -> Router {
    layered(router.layer(from_fn_with_state(guard, protected)))
}

/// As [`protect`], for routes that need no token.
pub(in crate::http) fn protect_open(router: Router, guard: Arc<Guard>) -> Router {
    layered(router.layer(from_fn_with_state(guard, open)))
}

/// The guard has read the body: no extractor has to bound it again.
fn layered(router: Router) -> Router {
    router.layer(DefaultBodyLimit::disable())
}

async fn protected(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    guard.hosts.check(&parts)?;
    guard.admit(&parts)?;
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
