//! The signal that ends a server.

use std::time::Duration;

use tokio::sync::watch;

/// The signal to stop, with the time that connections have to complete their responses. `None` while the server runs.
pub(super) type Stop = Option<Duration>;

/// Tells a route whose response has no end of its own that the server stops.
#[derive(Clone, Debug)]
pub(in crate::http) struct Stopping(watch::Receiver<Stop>);

impl Stopping {
    pub(super) fn new(stop: &watch::Receiver<Stop>) -> Self {
        Self(stop.clone())
    }

    /// Waits until the server is shut down or dropped.
    pub(in crate::http) async fn wait(&mut self) {
        told_to_stop(&mut self.0).await;
    }
}

/// Waits until the server is shut down or dropped.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(Option::is_some).await;
}
