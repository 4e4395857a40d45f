//! HTTP requests.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Default time limit of one exchange.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(100);

/// An HTTP request, for [`OrchestrationContext::call_http`](crate::OrchestrationContext::call_http).
///
/// It can be the input of an orchestration. As JSON, it requires only its `url`: `{"url": "https://example.com/"}`. The
/// history keeps the whole request including its headers, so a secret in it is only as safe as the store.
///
/// ```
/// # use std::time::Duration;
/// # use abide::http_client::HttpRequest;
/// let request = HttpRequest::post("https://example.com/jobs")
///     .header("Authorization", "Bearer …")
///     .json(&["a", "b"])?
///     .timeout(Duration::from_secs(3600));
/// # Ok::<(), abide::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpRequest {
    /// The method, as it is sent (default: `GET`).
    #[serde(default = "get")]
    pub method: String,
    /// An absolute URL with the scheme `http` or `https`.
    pub url: String,
    /// Names and values, in order. `Content-Length` and `Transfer-Encoding` are omitted, since the client sets them.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body. Empty if there is none.
    #[serde(default, with = "super::body")]
    pub body: Vec<u8>,
    /// Time limit of the whole call, with all its polls and retries (default: unlimited).
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// Time limit of one exchange, from the connection to the last byte of the response (default: 100 seconds).
    #[serde(default = "exchange_timeout")]
    pub exchange_timeout: Duration,
    /// If set, a 202 response with a `Location` is polled until a different response arrives (default: `true`).
    #[serde(default = "poll_202")]
    pub poll_202: bool,
}

fn get() -> String {
    "GET".to_owned()
}

const fn exchange_timeout() -> Duration {
    EXCHANGE_TIMEOUT
}

const fn poll_202() -> bool {
    true
}

impl HttpRequest {
    /// Creates a request without headers and body, which polls a 202 response.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            exchange_timeout: EXCHANGE_TIMEOUT,
            poll_202: true,
        }
    }

    /// Creates a `GET` request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// Creates a `POST` request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header, even if one with this name exists.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body, to text or to bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to `value` as JSON, and adds the header `Content-Type: application/json`.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Serialization`] if the value does not serialize.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_vec(value).map_err(|reason| {
            let message = format!("the body for `{}` does not serialize: {reason}", self.url);
            Error::new(ErrorKind::Serialization, message).with_source(reason)
        })?;
        Ok(self.header("Content-Type", "application/json").body(json))
    }

    /// Sets the time limit of the whole call, with all its polls and retries (default: unlimited).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the time limit of one exchange, from the connection to the last byte of the response (default: 100
    /// seconds).
    #[must_use]
    pub fn exchange_timeout(mut self, timeout: Duration) -> Self {
        self.exchange_timeout = timeout;
        self
    }

    /// Sets whether a 202 response with a `Location` is polled until a different response arrives (default: `true`).
    #[must_use]
    pub fn poll_202(mut self, poll: bool) -> Self {
        self.poll_202 = poll;
        self
    }

    /// Returns whether a header with this name exists, ignoring case.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }
}
