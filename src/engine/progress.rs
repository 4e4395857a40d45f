//! Which instance a core executes right now, for the watchdog.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::id::InstanceId;

/// Which instance a core executes right now, and how many turns it has begun. An operation that hangs cannot be
/// stopped, only named.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The number of the newest turn and its instance.
    newest: Mutex<(u64, Option<InstanceId>)>,
    /// Whether that turn runs. Beside the lock, because every turn ends.
    running: AtomicBool,
}

impl Progress {
    pub(crate) fn enter(&self, id: &InstanceId) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.0 += 1;
        newest.1 = Some(id.clone());
        self.running.store(true, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.running.store(false, Ordering::Relaxed);
    }

    /// The number of the running turn and its instance.
    pub(crate) fn running(&self) -> Option<(u64, InstanceId)> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let running = self.running.load(Ordering::Relaxed);
        newest.1.clone().filter(|_| running).map(|id| (newest.0, id))
    }
}
