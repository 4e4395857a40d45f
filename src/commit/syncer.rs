//! The thread that makes commits durable.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::commit::{CommitOrder, Work};
use crate::error::{Error, Result};
use crate::spawn::spawn;
use crate::time::Stopwatch;

/// The thread that makes commits durable and opens the gate. It never waits to gather a batch: the batch is what was
/// written during the last sync.
#[derive(Debug)]
pub(crate) struct Syncer {
    thread: JoinHandle<()>,
}

impl Syncer {
    /// Starts the thread. `release` is called with everything that the gate lets out, or with the error that poisoned
    /// the hub and everything that it takes back.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread.
    pub(crate) fn start<T: Send + 'static>(
        order: Arc<CommitOrder<T>>,
        mut release: impl FnMut(Vec<T>, Option<Error>) + Send + 'static,
    ) -> Result<Self> {
        let run = move || {
            loop {
                let released = match order.wait_for_work() {
                    Work::Sync => {
                        let watch = Stopwatch::start();
                        let released = tracing::debug_span!("sync").in_scope(|| order.sync());
                        metrics::histogram!("abide.sync.seconds").record(watch.elapsed().as_secs_f64());
                        released
                    }
                    Work::Settle => order.settle(),
                    Work::End => return,
                };
                release(released.items, released.error);
            }
        };
        let thread = spawn("abide-sync", run)?;
        Ok(Self { thread })
    }

    /// Waits for the end of the thread, after [`CommitOrder::stop`].
    pub(crate) fn join(self) {
        // A panic of `release` was reported by the panic hook; the waiting side sees dropped channels.
        let _ = self.thread.join();
    }
}
