//! The waker of an orchestration's future.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread::{self, ThreadId};

/// The waker of the root. It is `Sync`, as every waker has to be, but only the thread of the run may use it. Any other
/// wake is not durable, and is recorded.
#[derive(Debug)]
pub(super) struct RootWaker {
    home: ThreadId,
    /// `true` while a turn runs.
    awake: AtomicBool,
    woken: AtomicBool,
    foreign: AtomicBool,
}

impl RootWaker {
    /// Creates a waker for the current thread.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            home: thread::current().id(),
            awake: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
        })
    }

    /// Sets whether a turn is running.
    pub(super) fn set_awake(&self, awake: bool) {
        self.awake.store(awake, Ordering::Release);
    }

    /// Requests a poll.
    pub(super) fn set_woken(&self) {
        self.woken.store(true, Ordering::Release);
    }

    /// Returns whether a poll was requested, and clears the request.
    pub(super) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    /// Returns whether something that is not durable woke the root.
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
