//! How the management API is served.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What makes the text of `/metrics`.
pub(super) type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// How the management API is served.
#[derive(Clone)]
pub struct HttpConfig {
    pub(super) public_url: Option<String>,
    pub(super) body_limit: usize,
    pub(super) wait_limit: Duration,
    pub(super) metrics: Option<MetricsText>,
}

impl HttpConfig {
    /// The configuration with bounds for everything.
    pub fn new() -> Self {
        Self {
            public_url: None,
            body_limit: 4 << 20,
            wait_limit: Duration::from_secs(230),
            metrics: None,
        }
    }

    /// The URL under which clients reach the server from outside, for instance `https://example.com/hub` behind a reverse
    /// proxy that takes `/hub` off. Links in answers begin with it.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// The largest body of a request, in bytes; 4 MiB if nothing is said. A larger one is answered with 413.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// The longest that a request may ask to wait, for the end of an orchestration or the answer of an entity; 230 seconds
    /// if nothing is said. A longer wish is cut to this.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.wait_limit = limit;
        self
    }

    /// Serves `/metrics` with what `text` returns, in the text format of Prometheus, after the hub's own numbers.
    pub fn metrics(mut self, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(text));
        self
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}
