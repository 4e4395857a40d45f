//! The thread of a node: it waits until the node may run the hub, runs it until another node does, and waits again.

use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::panics::EndOnPanic;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::HubBuilder;
use crate::hub::cluster;
use crate::hub::running::Running;
use crate::log::postgres::Owner;
use crate::runtime::closed;
use crate::runtime::roles::{OtherNode, Role, Roles};
use crate::store::rocks::replicated::{FreshRows, Member};
use crate::transport::{Fingerprint, Identity, Peer};

/// Time after which a node that could not run the hub tries again.
const PAUSE: Duration = Duration::from_secs(5);

/// Maximum time that the synchronous operations of a hub may take to end when another node has taken it over.
const RETIRE_PATIENCE: Duration = Duration::from_secs(30);

/// A message to the thread.
pub(super) enum Signal {
    /// The hub of this node has failed.
    Failed,
    /// An operator drains this node.
    Drain,
    /// Close the hub, if this node runs it.
    Stop(Duration),
    /// End as if the process had been killed.
    Abandon,
}

/// The state of the thread.
pub(super) struct Tenures {
    pub(super) builder: HubBuilder,
    pub(super) member: Arc<Member>,
    pub(super) roles: Arc<Roles>,
    pub(super) identity: Identity,
    pub(super) tokio: tokio::runtime::Handle,
    pub(super) signals: (Sender<Signal>, Receiver<Signal>),
    /// A request that came while the node was becoming the owner.
    pub(super) stopping: Option<Signal>,
    /// Receives one message: that the node has a role, or why it has none.
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
        self.member.when_drained(Arc::new(move || {
            // If this fails, the thread has ended and runs nothing.
            let _ = signals.send(Signal::Drain);
        }));
        let _guard = EndOnPanic(Arc::clone(&self.roles));
        self.roles.changed_by_this_thread();
        let ended = self.serve();
        let reason = ended.clone().err().unwrap_or_else(closed);
        self.roles.end(&reason);
        self.tell_started(Err(reason));
        ended
    }

    fn serve(&mut self) -> Result<()> {
        let mut was_seen = false;
        loop {
            let running = match self.own(was_seen) {
                Ok(Some(running)) => running,
                Ok(None) => return Ok(()),
                Err(error) if was_seen && may_pass(&error) => {
                    self.wait_after(&error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            was_seen = true;
            match self.next_signal() {
                Signal::Stop(patience) => return running.close(patience),
                Signal::Abandon => {
                    running.abandon();
                    return Ok(());
                }
                Signal::Failed => self.retire(running)?,
                Signal::Drain => self.hand_over(running)?,
            }
        }
    }

    /// Waits for what ends the tenure.
    fn next_signal(&mut self) -> Signal {
        loop {
            let stopping = self.stopping.take();
            match stopping.unwrap_or_else(|| self.signals.1.recv().unwrap_or(Signal::Abandon)) {
                // The drain has ended in the meantime. If that cannot be found out, the node is drained.
                Signal::Drain if self.member.is_draining().is_ok_and(|is_draining| !is_draining) => {}
                signal => return signal,
            }
        }
    }

    /// Lets another node try to run the hub, and waits before this one tries again.
    fn wait_after(&self, error: &Error) {
        tracing::warn!(%error, "this node cannot run the hub; it waits and tries again");
        self.roles.set(Role::Waiting {
            copy: None,
            owner: None,
        });
        self.member.give_up();
        std::thread::park_timeout(PAUSE);
    }

    /// Waits until this node owns the hub, and runs it. Returns `None` if the node was stopped before that.
    fn own(&mut self, was_seen: bool) -> Result<Option<Running>> {
        let member = Arc::clone(&self.member);
        let opened = match member.own(was_seen, &mut |owner, rows| self.wait_for(owner, rows)) {
            Ok(opened) => opened,
            // The only one who cancels the wait is the one who stops the node.
            Err(_) if member.is_canceled() => return Ok(None),
            Err(error) => return Err(error),
        };
        self.forget_signals();
        let opened = cluster::opened_store(member.hub_name(), opened);
        let (running, unregistered) = self.builder.clone().run(opened, self.tokio.clone())?;
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
                Signal::Drain => drop(self.stopping.get_or_insert(signal)),
                signal => self.stopping = Some(signal),
            }
        }
    }

    /// Another node runs the hub.
    fn wait_for(&mut self, owner: &Owner, rows: &FreshRows) {
        let peer = owner.endpoint.as_ref().map(|endpoint| {
            let fingerprint = Fingerprint::from(endpoint.fingerprint);
            let connect = || Peer::new(endpoint.address.clone(), fingerprint, &self.identity);
            Arc::new(OtherNode {
                requests: connect(),
                waits: connect(),
            })
        });
        self.roles.set(Role::Waiting {
            copy: Some(rows.clone()),
            owner: peer,
        });
        self.tell_started(Ok(()));
    }

    /// Ends the hub of this node, which has failed. It can wait again if the reason is that another node runs the hub.
    fn retire(&self, running: Running) -> Result<()> {
        let error = running.runtime.failure().unwrap_or_else(closed);
        if error.kind() != ErrorKind::Replaced {
            self.roles.end(&error);
            running.abandon();
            return Err(error);
        }
        tracing::warn!(%error, "this node no longer runs the hub; it forwards requests and waits to take over again");
        self.roles.set(Role::Waiting {
            copy: None,
            owner: None,
        });
        match running.close(RETIRE_PATIENCE) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(error),
            _ => Ok(()),
        }
    }

    /// Closes the hub of this node, so that another node continues at once. Then this node forwards requests.
    fn hand_over(&self, running: Running) -> Result<()> {
        tracing::info!("an operator drains this node; another one takes over the hub");
        self.roles.set(Role::Waiting {
            copy: None,
            owner: None,
        });
        match running.close(RETIRE_PATIENCE) {
            // Another node was faster.
            Err(error) if error.kind() == ErrorKind::Replaced => Ok(()),
            closed => closed,
        }
    }

    fn tell_started(&mut self, started: Result<(), Error>) {
        if let Some(waiting) = self.started.take() {
            // Whoever opened the hub may have given up.
            let _ = waiting.send(started);
        }
    }
}

/// Returns `true` if a node that has seen the hub may be able to run it later, in spite of this error.
fn may_pass(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Moved | ErrorKind::Format | ErrorKind::Corrupted | ErrorKind::TimedOut
    )
}
