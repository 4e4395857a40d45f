//! The signal that ends a server.

use std::time::Duration;

use tokio::sync::watch;

/// The signal to stop, with the time that connections have to complete their responses. `None` while the server runs.
pub(super) type Stop = Option<Duration>;

/// Waits until the server is shut down or dropped.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(Option::is_some).await;
}
