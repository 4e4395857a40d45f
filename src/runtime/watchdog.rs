//! The watchdog, which names hanging operations in the log because it cannot stop them.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Progress;
use crate::error::Result;
use crate::metrics;
use crate::spawn::spawn;
use crate::sync::mpsc::{Receiver, RecvTimeoutError};
use crate::sync::thread::JoinHandle;

/// Duration of a turn after which its instance is named, and the interval at which it is named again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the watchdog over the progress of all executors. It ends when the other side of `stop` is dropped.
pub(crate) fn start(watched: Vec<Arc<Progress>>, stop: Receiver<()>) -> Result<JoinHandle<()>> {
    let run = move || {
        let mut before = vec![None; watched.len()];
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(PATIENCE) {
            for (progress, before) in watched.iter().zip(&mut before) {
                let running = progress.running();
                if let (Some((turn, instance)), true) = (&running, running == *before) {
                    metrics::TURNS_HANGING.to_counter(&[]).increment(1);
                    tracing::error!(
                        %instance,
                        turn,
                        "a turn has been running for more than five seconds and blocks all other work on its thread"
                    );
                }
                *before = running;
            }
        }
    };
    spawn("abide-watchdog", run)
}
