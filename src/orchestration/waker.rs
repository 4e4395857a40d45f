//! Who wakes the future of an orchestration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread::{self, ThreadId};

/// The waker of the root. It is `Sync` as every waker has to be, though only the thread of the run may use it: whatever else
/// wakes the root is not durable, and is noted.
#[derive(Debug)]
pub(super) struct RootWaker {
    home: ThreadId,
    /// Whether a turn runs.
    awake: AtomicBool,
    woken: AtomicBool,
    foreign: AtomicBool,
}

impl RootWaker {
    /// A waker for the thread that makes it.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            home: thread::current().id(),
            awake: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
        })
    }

    /// Says whether a turn runs.
    pub(super) fn set_awake(&self, awake: bool) {
        self.awake.store(awake, Ordering::Release);
    }

    /// Asks for a poll.
    pub(super) fn set_woken(&self) {
        self.woken.store(true, Ordering::Release);
    }

    /// Whether the root wants to be polled, once.
    pub(super) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    /// Whether something woke the root that is not durable.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign.load(Ordering::Acquire)
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if thread::current().id() == self.home && self.awake.load(Ordering::Acquire) {
            self.set_woken();
        } else {
            self.foreign.store(true, Ordering::Release);
        }
    }
}
