//! The start and the end of a node.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::gateway::Gateway;
use super::tenures::{Signal, Tenures};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::HubBuilder;
use crate::runtime::Runtime;
use crate::runtime::roles::Roles;
use crate::spawn::spawn;
use crate::store::rocks::replicated::{Member, OpenOptions};
use crate::time::{Clock, ClockRecord};

/// Interval between two looks whether an open was canceled.
const LOOK: Duration = Duration::from_millis(100);

/// A node of a hub. Dropping it ends it as if its process had been killed.
pub(in crate::hub) struct NodeHub {
    pub(in crate::hub) roles: Arc<Roles>,
    unregistered: Arc<Mutex<Vec<String>>>,
    signals: Sender<Signal>,
    member: Arc<Member>,
    thread: Option<JoinHandle<Result<()>>>,
    /// Dropped last, because other nodes may wait for an answer.
    gateway: Option<Gateway>,
}

impl NodeHub {
    /// Joins the hub, and waits until this node runs it or knows the node that does.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if the node cannot listen, or the errors of [`Member::join`] and
    /// [`Member::own`].
    pub(in crate::hub) fn open(
        builder: HubBuilder,
        how: OpenOptions,
        listen: &str,
        advertised: Option<&str>,
        tokio: tokio::runtime::Handle,
        canceled: &AtomicBool,
    ) -> Result<Self> {
        let mut gateway = Gateway::start(listen, advertised)?;
        let member = Arc::new(Member::join(OpenOptions {
            endpoint: Some(gateway.endpoint().clone()),
            ..how
        })?);
        let identity = member.identity();
        let config = builder.clone().standby_config(
            identity.id.to_string(),
            identity.partitions,
            Clock::start(ClockRecord::default()),
        );
        let (standby, inbox) = Runtime::standby(config, tokio.clone());
        let roles = Arc::new(Roles::new(standby));
        gateway.open(Arc::clone(&member), Arc::clone(&roles), inbox);
        let (signals, received) = channel();
        let (started, starting) = channel();
        let unregistered = Arc::default();
        let tenures = Tenures {
            builder,
            member: Arc::clone(&member),
            roles: Arc::clone(&roles),
            identity: gateway.identity().clone(),
            tokio,
            signals: (signals.clone(), received),
            stopping: None,
            started: Some(started),
            unregistered: Arc::clone(&unregistered),
        };
        let node = Self {
            roles,
            unregistered,
            signals,
            member,
            thread: Some(spawn("abide-node", move || tenures.run())?),
            gateway: Some(gateway),
        };
        loop {
            match starting.recv_timeout(LOOK) {
                Ok(started) => return started.map(|()| node),
                Err(RecvTimeoutError::Timeout) if !canceled.load(Ordering::Relaxed) => {}
                Err(_) => {
                    return Err(Error::new(ErrorKind::Closed, "the open was canceled"));
                }
            }
        }
    }

    /// Returns the names in the store that are not registered, as of the newest open on this node.
    pub(in crate::hub) fn unregistered(&self) -> Vec<String> {
        self.unregistered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the node. If it runs the hub, the hub is closed first, and the next node continues at once.
    ///
    /// # Errors
    /// Returns the error with which the node has failed, or with which its hub could not be closed.
    pub(in crate::hub) fn close(mut self, patience: Duration) -> Result<()> {
        let ended = self.end(Signal::Stop(patience));
        if let Some(gateway) = self.gateway.take() {
            gateway.close();
        }
        ended
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // If this fails, the thread has ended.
        let _ = self.signals.send(signal);
        self.member.cancel();
        thread.thread().unpark();
        thread
            .join()
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Poisoned, "the thread of the node panicked")))
    }
}

impl Drop for NodeHub {
    fn drop(&mut self) {
        if let Err(error) = self.end(Signal::Abandon) {
            tracing::warn!(%error, "the node had failed before it was dropped");
        }
    }
}

impl fmt::Debug for NodeHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHub")
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}
