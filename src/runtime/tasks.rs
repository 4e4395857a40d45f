//! The tasks of user code that run for a hub.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::id::InstanceId;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// The tasks of user code that run for a hub: `async` operations, or attempts of activities.
///
/// They are tracked so that a closed hub leaves none behind. The next open runs the same work again, and the two must
/// not overlap.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    state: Mutex<State>,
    /// Notified when a task has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: BTreeMap<u64, (InstanceId, Option<AbortHandle>)>,
    /// True if the hub is closed, so no more tasks begin.
    closed: bool,
}

/// The guard of a task. It is owned by the task, so it is dropped when the task has really ended.
#[derive(Debug)]
pub(super) struct Running {
    tasks: Arc<Tasks>,
    number: u64,
}

impl Tasks {
    /// Registers a task of `instance` that is about to be spawned. Returns `None` if tasks may no longer begin.
    pub(super) fn enter(self: &Arc<Self>, instance: &InstanceId) -> Option<Running> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.running.insert(number, (instance.clone(), None));
        Some(Running {
            tasks: Arc::clone(self),
            number,
        })
    }

    /// Sets the abort handle of the task with this number. The task may already have ended.
    pub(super) fn note(&self, number: u64, handle: AbortHandle) {
        let mut state = self.state();
        let closed = state.closed;
        if let Some((_, known)) = state.running.get_mut(&number) {
            *known = Some(handle.clone());
        }
        drop(state);
        if closed {
            handle.abort();
        }
    }

    /// Returns `true` if tasks are aborted because the hub is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Prevents new tasks and aborts the running ones, each at its next await.
    pub(super) fn abort(&self) {
        let mut state = self.state();
        state.closed = true;
        let handles: Vec<AbortHandle> = state
            .running
            .values()
            .filter_map(|(_, handle)| handle.clone())
            .collect();
        // An aborted task may be dropped immediately, on this thread, and its guard takes the lock.
        drop(state);
        for handle in handles {
            handle.abort();
        }
    }

    /// Waits until all tasks have ended, for at most `patience`. Returns the instances of the remaining tasks. Call it
    /// only after [`abort`](Self::abort), because the end of a task notifies no waiter before that.
    pub(super) fn wait(&self, patience: Duration) -> Vec<InstanceId> {
        let any_runs = |state: &mut State| !state.running.is_empty();
        let waited = self.ended.wait_timeout_while(self.state(), patience, any_runs);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.running.values().map(|(instance, _)| instance.clone()).collect()
    }

    /// Ignores poisoning: every change is a single call to a map.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns `true` if the task must end because the hub is closed.
    pub(super) fn is_aborted(&self) -> bool {
        self.tasks.is_closed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.tasks.state();
        let gone = state.running.remove(&self.number);
        let closed = state.closed;
        drop(state);
        drop(gone);
        // Only a closed hub waits, and a notification is a system call even without waiters.
        if closed {
            self.tasks.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the wait reports no tasks, all have ended. A task that does not end is named.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    #[expect(clippy::disallowed_methods, reason = "tasks are spawned here")]
    async fn tasks_are_ended_and_waited_for() {
        let tasks = Arc::new(Tasks::default());
        let id = InstanceId::trusted("@a@k");
        let running = tasks.enter(&id).unwrap();
        let number = running.number();
        let task = tokio::spawn(async move {
            let _running = running;
            std::future::pending::<()>().await;
        });
        tasks.note(number, task.abort_handle());
        assert_eq!(tasks.wait(Duration::ZERO), std::slice::from_ref(&id));
        tasks.abort();
        assert_eq!(tasks.wait(Duration::from_secs(30)), []);
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(tasks.enter(&id).is_none() && tasks.is_closed());
    }
}
