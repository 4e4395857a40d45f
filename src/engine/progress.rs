//! The instance that a core executes, for the watchdog.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::InstanceId;

/// The instance that a core executes, and the number of its turn. The watchdog can name a hanging operation but not
/// stop it.
///
/// A turn stores two numbers. The instances are published one page at a time. A reader that runs while pages change may
/// pair a number with the wrong instance. The next read then returns another number.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The instances whose turns are next.
    page: Mutex<Arc<[InstanceId]>>,
    /// Number of the newest turn.
    turn: AtomicU64,
    /// Index of its instance in the page.
    at: AtomicUsize,
    /// True while the turn runs.
    running: AtomicBool,
}

impl Progress {
    /// Publishes the instances of the following turns.
    pub(crate) fn take_up(&self, page: &Arc<[InstanceId]>) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(page);
    }

    /// Records the beginning of a turn of the instance at this index of the page.
    pub(crate) fn enter(&self, at: usize) {
        self.at.store(at, Ordering::Relaxed);
        // Only this thread counts turns.
        self.turn
            .store(self.turn.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.running.store(true, Ordering::Release);
    }

    pub(crate) fn leave(&self) {
        self.running.store(false, Ordering::Relaxed);
    }

    /// Returns the number and the instance of the running turn.
    pub(crate) fn running(&self) -> Option<(u64, InstanceId)> {
        if !self.running.load(Ordering::Acquire) {
            return None;
        }
        let page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = page.get(self.at.load(Ordering::Relaxed))?.clone();
        Some((self.turn.load(Ordering::Relaxed), instance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The running instance is reported with a number that is unique to its turn. Nothing is reported while no turn
    /// runs.
    #[test]
    fn the_running_instance_is_named() {
        let progress = Progress::default();
        assert_eq!(progress.running(), None);
        let page: Arc<[InstanceId]> = ["@a@1", "@a@2"].into_iter().map(InstanceId::trusted).collect();
        progress.take_up(&page);
        progress.enter(0);
        assert_eq!(progress.running(), Some((1, page[0].clone())));
        progress.leave();
        assert_eq!(progress.running(), None);
        progress.enter(1);
        assert_eq!(progress.running(), Some((2, page[1].clone())));
    }
}
