//! Shared state of the routes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;

use crate::client::Client;
use crate::error::{Error, ErrorKind};
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

    /// Runs the read of a request that reads much of the store, when those before it have ended.
    ///
    /// Neither a client that disconnects nor a timeout of the request stops such a read. It therefore runs to its end
    /// before the next one begins.
    ///
    /// # Errors
    /// Returns a problem with status 503 if the reads before it take too long, or the error of the read.
    #[expect(
        clippy::disallowed_methods,
        reason = "a read that outlives its request is spawned here"
    )]
    pub(super) async fn counted<T: Send + 'static>(
        &self,
        read: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.counting).acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(Problem::overloaded("other requests are counting; try again"));
        };
        let reading = tokio::spawn(async move {
            let read = read.await;
            drop(turn);
            read
        });
        let lost = |error| Error::new(ErrorKind::Closed, "the tokio runtime is shutting down").with_source(error);
        reading.await.map_err(lost)?
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
