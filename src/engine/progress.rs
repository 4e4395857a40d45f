//! Which instance a core executes right now, for the watchdog.

use std::sync::{Mutex, PoisonError};

use crate::id::InstanceId;

/// Which instance a core executes right now, and how many turns it has begun. An operation that hangs cannot be
/// stopped, only named.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    current: Mutex<(u64, Option<InstanceId>)>,
}

impl Progress {
    pub(crate) fn enter(&self, id: &InstanceId) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.0 += 1;
        current.1 = Some(id.clone());
    }

    pub(crate) fn leave(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
    }

    /// The number of the running turn and its instance.
    pub(crate) fn running(&self) -> Option<(u64, InstanceId)> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.1.clone().map(|id| (current.0, id))
    }
}
