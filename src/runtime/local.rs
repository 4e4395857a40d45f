//! A hub that runs as one task, on one thread, by the clock of its tokio runtime. For tests.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::error::Result;
use crate::model::CommitRecord;
use crate::runtime::contained::contained;
use crate::runtime::executor::{Ended, Executor, Next, caught};
use crate::runtime::shared::{Runtime, RuntimeConfig};
use crate::store::Store;
use crate::time::Timestamp;

/// The decisions that a local hub leaves to its test.
pub(crate) trait Decisions {
    /// Returns whether the commits that were written are synced now. They are synced at the latest when the hub waits.
    fn syncs_now(&mut self) -> bool;

    /// Called before each sync. Returns `true` if the process is killed instead.
    fn kills(&mut self) -> bool;
}

/// A hub that runs as one task.
pub(crate) struct LocalHub<D> {
    executor: Executor,
    decisions: D,
    progress: Rc<LocalProgress>,
}

/// The progress of a local hub, for its test.
#[derive(Debug, Default)]
pub(crate) struct LocalProgress {
    is_waiting: Cell<bool>,
    /// Number of running `async` operations and activities, including those whose results are no longer needed.
    running: Cell<usize>,
    next_timer: Cell<Option<Timestamp>>,
    /// Notified when the hub begins to wait.
    begins_to_wait: Notify,
}

/// The end of the task of a local hub.
#[derive(Debug)]
pub(crate) enum LocalEnd {
    /// The decisions killed it.
    Killed,
    /// It was stopped, or has failed.
    Ended,
}

impl<D: Decisions> LocalHub<D> {
    /// Opens the core. It runs no user code.
    ///
    /// # Errors
    /// Any error of the store.
    pub(crate) fn open(
        store: Arc<dyn Store>,
        last: CommitRecord,
        config: RuntimeConfig,
        decisions: D,
    ) -> Result<(Arc<Runtime>, Self)> {
        let (held, calm_since) = (config.held.clone(), config.calm_since);
        let (runtime, receivers) = Runtime::create(store, last, config, Handle::current());
        let core = runtime.core_config(0, Arc::default(), &held, calm_since);
        let [inbox] = <[_; 1]>::try_from(receivers).expect("a local hub has one executor");
        let hub = Self {
            executor: Executor::open(0, core, inbox, Arc::clone(&runtime))?,
            decisions,
            progress: Rc::default(),
        };
        Ok((runtime, hub))
    }

    pub(crate) fn progress(&self) -> Rc<LocalProgress> {
        Rc::clone(&self.progress)
    }

    /// Runs the hub until it is stopped or killed, or fails.
    pub(crate) async fn run(mut self, runtime: Arc<Runtime>) -> LocalEnd {
        let _ended = Ended::new(&runtime);
        loop {
            let next = match caught(|| self.executor.advance()) {
                Ok(next) => next,
                Err(error) => {
                    runtime.fail(&error);
                    self.executor.refuse_clients(&error);
                    Next::End
                }
            };
            let may_run_on = matches!(next, Next::Again) && !self.decisions.syncs_now();
            if !may_run_on && runtime.order.has_to_sync() {
                if self.decisions.kills() {
                    return LocalEnd::Killed;
                }
                let released = runtime.order.sync();
                runtime.release(released.items, released.error.as_ref());
                if let Some(error) = &released.error {
                    runtime.fail(error);
                }
            }
            match next {
                Next::Again => tokio::task::yield_now().await,
                Next::Wait(timeout) => self.wait(timeout).await,
                Next::End => {
                    // The core holds user states, and one of them may panic again when it is dropped.
                    contained(|| drop(self.executor));
                    self.progress.begins_to_wait.notify_waiters();
                    return LocalEnd::Ended;
                }
            }
        }
    }

    async fn wait(&mut self, timeout: Option<std::time::Duration>) {
        let core = self.executor.core();
        self.progress.running.set(core.occupied());
        self.progress.next_timer.set(core.next_timer());
        self.progress.is_waiting.set(true);
        self.progress.begins_to_wait.notify_waiters();
        let arrival = self.executor.inbox().arrival();
        match timeout {
            Some(timeout) => drop(tokio::time::timeout(timeout, arrival).await),
            None => arrival.await,
        }
        self.progress.is_waiting.set(false);
        self.executor.drain();
    }
}

impl LocalProgress {
    /// Returns `true` if the hub waits: it has processed everything but what is in its inbox.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting.get()
    }

    /// Returns `true` if activities or `async` operations run.
    pub(crate) fn is_running(&self) -> bool {
        self.running.get() > 0
    }

    /// Returns the time at which the next durable timer is due.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.next_timer.get()
    }

    /// Waits until the hub begins to wait, or ends.
    pub(crate) async fn waiting(&self) {
        self.begins_to_wait.notified().await;
    }
}
