//! What the routes share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::client::Client;
use crate::error::Result;
use crate::http::config::{HttpConfig, MetricsText};
use crate::http::room::Room;

/// What the routes share.
pub(super) struct Api {
    pub(super) client: Client,
    /// Where clients reach the server from outside, without a slash at the end.
    pub(super) public_url: Option<String>,
    /// The longest that a request may wait for the end of an orchestration or the answer of an entity.
    pub(super) wait_limit: Duration,
    pub(super) metrics: Option<MetricsText>,
    /// Memory for large answers.
    pub(super) room: Room,
    /// Whose turn it is to count everything there is.
    pub(super) counting: Arc<Semaphore>,
}

impl Api {
    pub(super) fn new(client: Client, config: &HttpConfig) -> Result<Self> {
        Ok(Self {
            client,
            public_url: config.public()?.map(|url| url.as_str().to_owned()),
            wait_limit: config.wait_limit,
            metrics: config.metrics.clone(),
            room: Room::new(),
            counting: Arc::new(Semaphore::new(1)),
        })
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}
