//! Links to query and manage an orchestration.

use std::fmt::{self, Write};
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::http::BASE_PATH;
use crate::http::config::HttpConfig;
use crate::http::documents::{CheckStatus, json};
use crate::http::error::Problem;
use crate::http::query::Query;
use crate::http::security::code;
use crate::http::state::Api;

/// Characters that are encoded in a path segment or a query. Source: RFC 3986, 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Seconds after which a client should query an orchestration that it has started. Source: Azure Durable Functions.
const CHECK_AFTER: HeaderValue = HeaderValue::from_static("10");

/// Seconds after which a client should repeat a query. Source: as [`CHECK_AFTER`].
const LOOK_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The URLs of the management API as a client reaches them.
///
/// Creates the response to a start inside a program's own handler.
///
/// ```
/// # use abide::http::{HttpConfig, ManagementUrls};
/// # use axum::{http::HeaderMap, response::Response};
/// # fn answer(config: &HttpConfig, headers: &HeaderMap, run: abide::OrchestrationHandle) -> Response {
/// ManagementUrls::of(config, headers).check_status(run.id())
/// # }
/// ```
#[derive(Clone)]
pub struct ManagementUrls {
    /// The URL up to and including the base path.
    base: String,
    /// The query parameters of every link: `taskHub`, `connection` and `code`.
    carried: String,
}

impl ManagementUrls {
    /// Returns the URLs for the client of a request with these headers: under the configured public URL, or else under
    /// the `Host` of the request. A program that nests the router under its own path must configure a public URL with
    /// that path.
    ///
    /// In a program's own handler, the `Host` header is unchecked. If clients are untrusted, or the links carry a
    /// token, configure a [public URL](HttpConfig::public_url).
    pub fn of(config: &HttpConfig, headers: &HeaderMap) -> Self {
        let origin = match config.public() {
            Ok(Some(url)) => url.as_str().to_owned(),
            // An invalid public URL is reported when the router is created.
            _ => host(headers, None).map_or_else(String::new, |host| format!("http://{host}")),
        };
        Self {
            base: format!("{origin}{BASE_PATH}"),
            carried: String::new(),
        }
    }

    /// Adds a token to every link, for a client without its own token. Anyone who sees the response can use the token.
    pub fn with_code(mut self, token: impl AsRef<str>) -> Self {
        self.carry("code", token.as_ref());
        self
    }

    /// Returns the response for a started orchestration: 202 with `Location`, `Retry-After`, and the links to query and
    /// manage it.
    pub fn check_status(&self, instance_id: &str) -> Response {
        let document = self.links(instance_id);
        let mut response = json(StatusCode::ACCEPTED, &document);
        lead(&mut response, &document.status_query_get_uri, CHECK_AFTER);
        response
    }

    /// Adds the headers that ask a client to repeat its query of an unfinished orchestration, with the same `query`.
    pub(super) fn look_again(&self, instance_id: &str, query: Option<&str>, response: &mut Response) {
        let mut location = format!("{}/instances/{}", self.base, encoded(instance_id));
        if let Some(query) = query {
            let _ = write!(location, "?{query}");
        }
        lead(response, &location, LOOK_AFTER);
    }

    /// Returns the URL of the API without a trailing slash.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    fn links(&self, id: &str) -> CheckStatus {
        let instance = format!("{}/instances/{}", self.base, encoded(id));
        let link = |path: &str, reason: bool| {
            let parts = [if reason { "reason={text}" } else { "" }, &self.carried];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let query = if parts.is_empty() { "" } else { "?" };
            format!("{instance}{path}{query}{}", parts.join("&"))
        };
        CheckStatus {
            id: id.to_owned(),
            status_query_get_uri: link("", false),
            send_event_post_uri: link("/raiseEvent/{eventName}", false),
            terminate_post_uri: link("/terminate", true),
            rewind_post_uri: link("/rewind", true),
            purge_history_delete_uri: link("", false),
            restart_post_uri: link("/restart", false),
            suspend_post_uri: link("/suspend", true),
            resume_post_uri: link("/resume", true),
        }
    }

    fn carry(&mut self, name: &str, value: &str) {
        let and = if self.carried.is_empty() { "" } else { "&" };
        let _ = write!(self.carried, "{and}{name}={}", encoded(value));
    }
}

/// The links for the client of this request, with the parameters of its query.
impl FromRequestParts<Arc<Api>> for ManagementUrls {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let whole = parts
            .extensions
            .get::<OriginalUri>()
            .map_or(&parts.uri, |OriginalUri(uri)| uri);
        let base = match &api.public_url {
            Some(url) => format!("{url}{BASE_PATH}"),
            None => {
                // The path under which the program has mounted the router.
                let path = whole.path();
                let prefix = path.find(BASE_PATH).map_or("", |at| &path[..at]);
                let origin =
                    host(&parts.headers, Some(whole)).map_or_else(String::new, |host| format!("http://{host}"));
                format!("{origin}{prefix}{BASE_PATH}")
            }
        };
        let mut urls = Self {
            base,
            carried: String::new(),
        };
        let query = Query::from_request_parts(parts, api).await?;
        // Decoded like in the guard, so that the links carry the token that the guard has accepted.
        let code = parts.uri.query().and_then(code);
        let code = code.and_then(|code| String::from_utf8(code).ok());
        let connection = query.text("connection").or_else(|| query.text("connectionName"));
        for (name, value) in [
            ("taskHub", query.text("taskHub")),
            ("connection", connection),
            ("code", code.as_deref().filter(|code| !code.is_empty())),
        ] {
            if let Some(value) = value {
                urls.carry(name, value);
            }
        }
        Ok(urls)
    }
}

/// Shows no token.
impl fmt::Debug for ManagementUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagementUrls")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Returns the host that a request addresses, if it is valid.
fn host(headers: &HeaderMap, uri: Option<&Uri>) -> Option<Authority> {
    let named = headers
        .get(header::HOST)
        .and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let named = named.or_else(|| uri.and_then(Uri::authority).cloned());
    named.filter(|host| !host.as_str().contains('@'))
}

fn encoded(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, RESERVED)
}

fn lead(response: &mut Response, location: &str, after: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, after);
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
}
