//! The tasks of users' code that run for a hub.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::id::InstanceId;

/// The tasks of users' code that run for a hub: `async` operations, or attempts of activities.
///
/// They are known, so that a hub which has closed leaves none behind: what the next open runs again must not run beside it.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    state: Mutex<State>,
    /// Tells that one has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: BTreeMap<u64, (InstanceId, Option<AbortHandle>)>,
    /// Whether the hub is gone, so that nothing begins any more.
    closed: bool,
}

/// One of the tasks. It lives inside the task, so that it goes when the task is really gone.
#[derive(Debug)]
pub(super) struct Running {
    tasks: Arc<Tasks>,
    number: u64,
}

impl Tasks {
    /// Notes a task of `instance` that is about to be spawned; nothing if it must not begin any more.
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

    /// Says how the task of this number is ended. It may have ended already.
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

    /// Whether tasks are ended because the hub is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Lets nothing begin any more and ends what runs, each at its next await.
    pub(super) fn abort(&self) {
        let mut state = self.state();
        state.closed = true;
        let handles: Vec<AbortHandle> = state
            .running
            .values()
            .filter_map(|(_, handle)| handle.clone())
            .collect();
        // A task that is aborted may be dropped at once, here, and then says that it is gone.
        drop(state);
        for handle in handles {
            handle.abort();
        }
    }

    /// Waits until all are gone, but no longer than `patience`. Tells whose are left. Only after [`abort`](Self::abort): an
    /// end before that wakes no one.
    pub(super) fn wait(&self, patience: Duration) -> Vec<InstanceId> {
        let any_runs = |state: &mut State| !state.running.is_empty();
        let waited = self.ended.wait_timeout_while(self.state(), patience, any_runs);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.running.values().map(|(instance, _)| instance.clone()).collect()
    }

    /// Every change is one call of a map.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.tasks.state();
        let gone = state.running.remove(&self.number);
        let closed = state.closed;
        drop(state);
        drop(gone);
        // Only a hub that has closed waits, and a notification is a system call even if there is no one to wake.
        if closed {
            self.tasks.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When all tasks are reported as gone they are gone, and one that does not end is named.
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
