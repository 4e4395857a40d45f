//! What is asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How long one exchange may take, if nothing is said.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(100);

/// An HTTP request, for [`OrchestrationContext::call_http`](crate::OrchestrationContext::call_http).
///
/// It can be the input of an orchestration. As JSON only its `url` is needed: `{"url": "https://example.com/"}`. All of it
/// is kept in the history, headers too, so that a secret in it is as safe as the store.
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
    /// The method, as it is sent: `GET` if nothing is said.
    #[serde(default = "get")]
    pub method: String,
    /// An absolute URL with the scheme `http` or `https`.
    pub url: String,
    /// Names and values, in their order. `Content-Length` and `Transfer-Encoding` are left out, since the client sets them.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Empty for no body.
    #[serde(default, with = "super::body")]
    pub body: Vec<u8>,
    /// How long the whole call may take, with all its polls and retries; without a limit if nothing is said.
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// How long one exchange may take, from the connection to the last byte of the answer.
    #[serde(default = "exchange_timeout")]
    pub exchange_timeout: Duration,
    /// Whether an answer 202 with a `Location` is polled until it is something else.
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
    /// A request without headers and body, which polls an answer 202.
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

    /// A `GET` request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header, also if there is one of this name.
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

    /// Sets the body to `value` as JSON, and adds the header that says so.
    ///
    /// # Errors
    /// [`ErrorKind::Serialization`] if the value does not become JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_vec(value).map_err(|reason| {
            let message = format!("the body for `{}` does not become JSON: {reason}", self.url);
            Error::new(ErrorKind::Serialization, message).with_source(reason)
        })?;
        Ok(self.header("Content-Type", "application/json").body(json))
    }

    /// How long the whole call may take, with all its polls and retries; without a limit if nothing is said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long one exchange may take, from the connection to the last byte of the answer; 100 seconds if nothing is said.
    #[must_use]
    pub fn exchange_timeout(mut self, timeout: Duration) -> Self {
        self.exchange_timeout = timeout;
        self
    }

    /// Whether an answer 202 with a `Location` is polled until it is something else; it is if nothing is said.
    #[must_use]
    pub fn poll_202(mut self, poll: bool) -> Self {
        self.poll_202 = poll;
        self
    }

    /// Whether there is a header of this name. Upper and lower case are alike.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }
}
