//! A hub that this process runs.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Runtime, Threads};

/// Maximum time that an abandoned hub waits for its threads.
const ABANDON_PATIENCE: Duration = Duration::from_secs(5);

/// The runtime of a hub and its threads.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) runtime: Arc<Runtime>,
    threads: Threads,
}

impl Running {
    pub(super) fn new(runtime: Arc<Runtime>, threads: Threads) -> Self {
        Self { runtime, threads }
    }

    /// Ends the threads, then the store.
    ///
    /// # Errors
    /// Returns the error that poisoned the hub, an error of the store, or one of kind [`ErrorKind::TimedOut`] if a
    /// synchronous operation does not return.
    pub(super) fn close(self, patience: Duration) -> Result<()> {
        let Self { runtime, threads } = self;
        runtime.stop(patience);
        let joined = threads.join(patience);
        runtime.end_tasks();
        if let Err(instance) = joined {
            runtime.inboxes.iter().for_each(|inbox| inbox.give_up());
            leave(&runtime);
            return Err(Error::new(
                ErrorKind::TimedOut,
                format!(
                    "an operation of `{instance}` still runs after {patience:?} and cannot be ended, so the hub was not closed: \
                     its directory stays locked until the operation returns; nothing that was acknowledged is lost"
                ),
            ));
        }
        if let Some(error) = runtime.failure() {
            leave(&runtime);
            wait_until_last(&runtime);
            return Err(error);
        }
        let (written, durable) = runtime.order.watermarks();
        debug_assert_eq!(written, durable, "the syncer ends when everything is durable");
        runtime.order.store().close(durable).inspect_err(|_| leave(&runtime))?;
        wait_until_last(&runtime);
        Ok(())
    }

    /// Ends the hub as if the process had been killed.
    pub(super) fn abandon(self) {
        let Self { runtime, threads } = self;
        runtime.stop(Duration::ZERO);
        let ended = threads.join_within(ABANDON_PATIENCE);
        // This does not wait for tasks: they may need this very thread.
        runtime.abort_operations();
        leave(&runtime);
        if ended {
            wait_until_last(&runtime);
        }
    }
}

/// Ends all shards of a hub. See [`Running::close`].
///
/// # Errors
/// Returns the first error of a shard. The others are closed nevertheless.
pub(super) fn close_all(shards: Vec<Running>, patience: Duration) -> Result<()> {
    // They end together, so that none waits for the others first.
    for shard in &shards {
        shard.runtime.stop(patience);
    }
    let closed: Vec<Result<()>> = shards.into_iter().map(|shard| shard.close(patience)).collect();
    closed.into_iter().collect()
}

/// Notes that the process gives up a hub that it could not close, so that the next open counts no crash.
fn leave(runtime: &Runtime) {
    if let Err(error) = runtime.order.store().leave() {
        tracing::warn!(%error, "the next open will treat the work that is running now as interrupted by a crash");
    }
}

/// Waits until nothing else holds the store open, such as a reader in the middle of a page.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no notification when the last reader releases its reference"
)]
fn wait_until_last(runtime: &Arc<Runtime>) {
    for _ in 0..1_000 {
        if Arc::strong_count(runtime) == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
