//! Which instance a core executes right now, for the watchdog.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::InstanceId;

/// Which instance a core executes right now, and how many turns it has begun. An operation that hangs cannot be
/// stopped, only named.
///
/// A turn stores two numbers; the instances are told a page at a time. Whoever looks while pages change may see a number
/// beside an instance that is not its own, and sees another number the next time.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The instances whose turns are next.
    page: Mutex<Arc<[InstanceId]>>,
    /// The number of the newest turn.
    turn: AtomicU64,
    /// Which of the page it is of.
    at: AtomicUsize,
    /// Whether it runs.
    running: AtomicBool,
}

impl Progress {
    /// The turns that follow are of these instances.
    pub(crate) fn take_up(&self, page: &Arc<[InstanceId]>) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(page);
    }

    /// A turn begins, of the instance at this place of the page.
    pub(crate) fn enter(&self, at: usize) {
        self.at.store(at, Ordering::Relaxed);
        // Nobody else counts.
        self.turn
            .store(self.turn.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.running.store(true, Ordering::Release);
    }

    pub(crate) fn leave(&self) {
        self.running.store(false, Ordering::Relaxed);
    }

    /// The number of the running turn and its instance.
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

    /// The instance that runs is named, with a number that no other turn has, and nothing when none runs.
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
