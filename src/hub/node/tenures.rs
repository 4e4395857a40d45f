//! A thread of a node: it waits until the node may run a shard, runs it until another node does, and waits again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::ending::{EndOfThread, EndOnPanic, Ending};
use super::peers::Peers;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::HubBuilder;
use crate::hub::cluster;
use crate::hub::running::Running;
use crate::log::postgres::NodeView;
use crate::runtime::roles::{Role, Roles};
use crate::runtime::{Runtime, closed};
use crate::store::rocks::replicated::{FreshRows, Tenant};

/// Time after which a node that could not run the hub tries again.
const PAUSE: Duration = Duration::from_secs(5);

/// Maximum time that the synchronous operations of a shard may take to end when another node takes it over. Until then, no
/// node runs the shard.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);

/// Interval between two looks whether such an operation has returned.
const LOOK: Duration = Duration::from_millis(500);

/// A message to the thread.
pub(super) enum Signal {
    /// The shard has failed.
    Failed,
    /// Leave the shard to another node.
    HandOver,
    /// Close the shard, if this node runs it.
    Stop(Duration),
    /// End as if the process had been killed.
    Abandon,
}

/// The state of the thread.
pub(super) struct Tenures {
    pub(super) builder: HubBuilder,
    pub(super) tenant: Tenant,
    pub(super) roles: Arc<Roles>,
    pub(super) peers: Arc<Peers>,
    pub(super) ending: Arc<Ending>,
    pub(super) tokio: tokio::runtime::Handle,
    pub(super) signals: (Sender<Signal>, Receiver<Signal>),
    /// A request that came while the node was becoming the owner.
    pub(super) stopping: Option<Signal>,
    /// Receives one message: that the node has a role in the shard, or why it has none.
    pub(super) started: Option<Sender<Result<()>>>,
    /// The names in the store that are not registered, as of the newest open.
    pub(super) unregistered: Arc<Mutex<Vec<String>>>,
}

impl Tenures {
    /// Runs until the node is stopped or fails.
    ///
    /// # Errors
    /// Returns the error with which the node has failed, or with which its hub could not be closed.
    pub(super) fn run(mut self) -> Result<()> {
        let signals = self.signals.0.clone();
        self.tenant.when_handed_over(Arc::new(move || {
            // If this fails, the thread has ended and runs nothing.
            let _ = signals.send(Signal::HandOver);
        }));
        let _end = EndOfThread(Arc::clone(&self.ending));
        let _guard = EndOnPanic(Arc::clone(&self.ending));
        let ended = self.serve();
        let reason = match &ended {
            // Another part may have ended the node.
            Ok(()) => self.roles.failure().unwrap_or_else(closed),
            Err(error) => {
                // A node fails as a whole.
                self.ending.end(error);
                error.clone()
            }
        };
        self.roles.end(&reason);
        self.tell_started(Err(reason));
        ended
    }

    fn serve(&mut self) -> Result<()> {
        loop {
            let running = match self.own() {
                Ok(Some(running)) => running,
                Ok(None) => return Ok(()),
                Err(error) if self.has_started() && may_pass(&error) => {
                    self.wait_after(&error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.next_signal() {
                Signal::Stop(patience) => return running.close(patience),
                Signal::Abandon => {
                    running.abandon();
                    return Ok(());
                }
                Signal::Failed => self.retire(running)?,
                Signal::HandOver => {
                    tracing::info!(
                        shard = self.tenant.shard().id.0,
                        "another node takes over a shard, because this one is drained or has more of them"
                    );
                    self.leave(running)?;
                }
            }
        }
    }

    /// Waits for what ends the tenure.
    fn next_signal(&mut self) -> Signal {
        loop {
            let stopping = self.stopping.take();
            match stopping.unwrap_or_else(|| self.signals.1.recv().unwrap_or(Signal::Abandon)) {
                // There is no reason for it any more.
                Signal::HandOver if !self.tenant.hands_over() => {}
                signal => return signal,
            }
        }
    }

    /// Lets another node try to run the shard, and waits before this one tries again.
    fn wait_after(&self, error: &Error) {
        tracing::warn!(shard = self.tenant.shard().id.0, %error, "this node cannot run a shard; it waits and tries again");
        self.roles.set(Role::WAITING);
        self.tenant.withdraw();
        std::thread::park_timeout(PAUSE);
    }

    /// Waits until this node owns the shard, and runs it. Returns `None` if the node was stopped before that.
    fn own(&mut self) -> Result<Option<Running>> {
        let has_started = self.has_started();
        let Self {
            tenant,
            roles,
            peers,
            started,
            ..
        } = self;
        let mut wait_for = |owner: &NodeView, rows: &FreshRows| {
            roles.set(Role::Waiting {
                copy: Some(rows.clone()),
                owner: peers.of(owner),
            });
            tell(started, Ok(()));
            Ok(())
        };
        let opened = match tenant.own(has_started, &mut wait_for) {
            Ok(opened) => opened,
            // The only one who cancels the wait is the one who stops the node.
            Err(_) if tenant.member().is_canceled() => return Ok(None),
            Err(error) => return Err(error),
        };
        self.forget_signals();
        let (epoch, crashes_before) = (opened.epoch, opened.crashes_before);
        let opened = cluster::opened_store(self.tenant.member().hub_name(), self.tenant.shard(), opened);
        let run = self.builder.clone().run(opened, Arc::default(), self.tokio.clone());
        let (running, unregistered) = run.inspect_err(|_| self.tenant.give_up(epoch, crashes_before))?;
        *self.unregistered.lock().unwrap_or_else(PoisonError::into_inner) = unregistered;
        let failed = self.signals.0.clone();
        running.runtime.when_failed(move || {
            // If this fails, the thread has ended and runs nothing.
            let _ = failed.send(Signal::Failed);
        });
        self.roles.set(Role::Owner(Arc::downgrade(&running.runtime)));
        self.tell_started(Ok(()));
        Ok(Some(running))
    }

    /// Forgets the failure of an earlier tenure.
    fn forget_signals(&mut self) {
        while let Ok(signal) = self.signals.1.try_recv() {
            match signal {
                Signal::Failed => {}
                // The end is more important.
                Signal::HandOver => drop(self.stopping.get_or_insert(signal)),
                signal => self.stopping = Some(signal),
            }
        }
    }

    /// Ends the shard, which has failed. The node can wait again if the reason is that another one runs the shard.
    fn retire(&mut self, running: Running) -> Result<()> {
        let error = running.runtime.failure().unwrap_or_else(closed);
        if error.kind() != ErrorKind::Replaced {
            self.roles.end(&error);
            running.abandon();
            return Err(error);
        }
        tracing::warn!(shard = self.tenant.shard().id.0, %error, "this node no longer runs a shard; it forwards requests and waits to take over again");
        self.leave(running)
    }

    /// Closes the shard, so that another node continues at once. Then this node forwards requests.
    fn leave(&mut self, running: Running) -> Result<()> {
        self.roles.set(Role::WAITING);
        let runtime = Arc::downgrade(&running.runtime);
        match running.close(LEAVE_PATIENCE) {
            Ok(()) => Ok(()),
            // Another node was faster.
            Err(error) if error.kind() == ErrorKind::Replaced => Ok(()),
            Err(error) if error.kind() == ErrorKind::TimedOut => self.wait_for_operations(&runtime, error),
            Err(error) if may_pass(&error) => {
                self.wait_after(&error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until an operation has returned that keeps the copy of the shard open. Meanwhile, requests are forwarded.
    ///
    /// # Errors
    /// Returns `error` if the node is stopped before that.
    fn wait_for_operations(&self, runtime: &Weak<Runtime>, error: Error) -> Result<()> {
        tracing::warn!(shard = self.tenant.shard().id.0, %error, "another node may run a shard that this one cannot close yet");
        self.tenant.withdraw();
        let mut told = None;
        while runtime.strong_count() > 0 {
            if self.tenant.is_owner()
                && let Some(runtime) = runtime.upgrade()
            {
                // The database could not be reached before. If this fails, the next turn tries it again.
                let _ = runtime.order.store().leave();
            }
            let owner = self.tenant.other_owner();
            let known = owner.as_ref().map(|owner| (owner.id, owner.endpoint.clone()));
            if known != told {
                told = known;
                self.roles.set(Role::Waiting {
                    copy: None,
                    owner: owner.and_then(|owner| self.peers.of(&owner)),
                });
            }
            match self.signals.1.recv_timeout(LOOK) {
                Ok(Signal::Failed | Signal::HandOver) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Signal::Stop(_) | Signal::Abandon) | Err(RecvTimeoutError::Disconnected) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns `true` if this node has had a role in the shard.
    fn has_started(&self) -> bool {
        self.started.is_none()
    }

    fn tell_started(&mut self, started: Result<()>) {
        tell(&mut self.started, started);
    }
}

/// Tells the thread that opens the hub, once.
fn tell(waiting: &mut Option<Sender<Result<()>>>, started: Result<()>) {
    if let Some(waiting) = waiting.take() {
        // It may have given up.
        let _ = waiting.send(started);
    }
}

/// Returns `true` if a node that has had a role in a shard may be able to run it later, in spite of this error.
fn may_pass(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Moved | ErrorKind::Format | ErrorKind::Corrupted | ErrorKind::Poisoned
    )
}
