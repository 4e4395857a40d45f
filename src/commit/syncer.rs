//! The thread that makes commits durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use metrics::{Gauge, Histogram};

use crate::commit::order::Released;
use crate::commit::{CommitOrder, Work};
use crate::error::{Error, Result};
use crate::metrics::{GATE_OUTPUTS, SYNC_SECONDS};
use crate::panic;
use crate::spawn::spawn;
use crate::sync::thread::JoinHandle;
use crate::time::Stopwatch;

/// The thread that makes commits durable and releases outputs. It never waits to gather a batch: a batch consists of
/// the commits that were written during the last sync.
#[derive(Debug)]
pub(crate) struct Syncer {
    thread: JoinHandle<()>,
}

impl Syncer {
    /// Starts the thread. `release` is called with the outputs that the gate releases, or with the error that poisoned
    /// the hub and the outputs that the gate takes back. `release` must not panic.
    ///
    /// # Errors
    /// Returns the error of the operating system if it cannot create a thread.
    pub(crate) fn start<T: Send + 'static>(
        order: Arc<CommitOrder<T>>,
        mut release: impl FnMut(Vec<T>, Option<Error>) + Send + 'static,
    ) -> Result<Self> {
        let run = move || {
            let mut meters = None;
            loop {
                // A store may panic, and so may the recorder or subscriber of the program. Outputs that were already
                // taken from the gate are dropped with their senders, so each waiting client receives an error. The
                // rest is taken back.
                let released = match catch_unwind(AssertUnwindSafe(|| run_once(&order, &mut meters))) {
                    Ok(Some(released)) => released,
                    Ok(None) => return,
                    Err(panic) => order.give_up(panic::text(panic.as_ref())),
                };
                release(released.items, released.error);
            }
        };
        let thread = spawn("abide-sync", run)?;
        Ok(Self { thread })
    }

    /// Waits for the end of the thread, after [`CommitOrder::stop`].
    pub(crate) fn join(self) {
        // The panic hook has reported any panic of `release`. Waiting clients see dropped channels.
        let _ = self.thread.join();
    }
}

/// The metrics of the syncer.
struct Meters {
    seconds: Histogram,
    gate: Gauge,
}

impl Meters {
    fn new() -> Self {
        Self {
            seconds: SYNC_SECONDS.to_histogram(&[]),
            gate: GATE_OUTPUTS.to_gauge(&[]),
        }
    }
}

/// Waits for work and performs it. Returns `None` if there will be no more work.
fn run_once<T>(order: &CommitOrder<T>, meters: &mut Option<Meters>) -> Option<Released<T>> {
    match order.wait_for_work() {
        Work::Sync => {
            let meters = meters.get_or_insert_with(Meters::new);
            meters.gate.set(order.gated() as f64);
            let watch = Stopwatch::start();
            let released = tracing::debug_span!("sync").in_scope(|| order.sync());
            let took = watch.elapsed();
            order.note_sync(took);
            meters.seconds.record(took.as_secs_f64());
            meters.gate.set(order.gated() as f64);
            Some(released)
        }
        Work::Settle => Some(order.settle()),
        Work::End => None,
    }
}
