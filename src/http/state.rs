//! Shared state of the routes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::Client;
use crate::error::Error;
use crate::http::batches::Batches;
use crate::http::config::{HttpConfig, MetricsText};
use crate::http::error::Problem;
use crate::http::response_budget::ResponseBudget;

/// Time that a request waits for the counts of other requests.
const PATIENCE: Duration = Duration::from_secs(5);

/// Maximum number of clients that receive changes at the same time.
const MOST_WATCHERS: usize = 2_048;

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
    /// Allows one request at a time that reads much of the store.
    counting: Arc<Semaphore>,
    /// The clients that may receive changes.
    pub(super) watchers: Arc<Semaphore>,
    pub(super) batches: Batches,
}

impl Api {
    pub(super) fn new(client: Client, config: &HttpConfig) -> Result<Self, Error> {
        Ok(Self {
            client,
            public_url: config.public()?.map(|url| url.as_str().to_owned()),
            wait_limit: config.wait_limit,
            metrics: config.metrics.clone(),
            budget: ResponseBudget::new(),
            counting: Arc::new(Semaphore::new(1)),
            watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
            batches: Batches::new(),
        })
    }

    /// Waits for the turn of a request that reads much of the store.
    ///
    /// # Errors
    /// Returns a problem with status 503 if the requests before it take too long.
    pub(super) async fn turn_to_count(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.counting).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Problem::overloaded("other requests are counting; try again")),
        }
    }

    /// Returns the time of the hub, or of this machine if the hub is stopped.
    pub(super) fn now(&self) -> SystemTime {
        self.client.now()
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}
