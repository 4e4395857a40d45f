//! Shared state of the routes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::client::Client;
use crate::error::Result;
use crate::http::config::{HttpConfig, MetricsText};
use crate::http::response_budget::ResponseBudget;

/// Shared state of the routes.
pub(super) struct Api {
    pub(super) client: Client,
    /// URL under which clients reach the server from outside, without a trailing slash.
    pub(super) public_url: Option<String>,
    /// Maximum time that a request may wait for the end of an orchestration or the result of an operation.
    pub(super) wait_limit: Duration,
    pub(super) metrics: Option<MetricsText>,
    /// Memory limit for large responses.
    pub(super) budget: ResponseBudget,
    /// Allows one count of all orchestrations and entities at a time.
    pub(super) counting: Arc<Semaphore>,
}

impl Api {
    pub(super) fn new(client: Client, config: &HttpConfig) -> Result<Self> {
        Ok(Self {
            client,
            public_url: config.public()?.map(|url| url.as_str().to_owned()),
            wait_limit: config.wait_limit,
            metrics: config.metrics.clone(),
            budget: ResponseBudget::new(),
            counting: Arc::new(Semaphore::new(1)),
        })
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}
