//! The start and the end of a node.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ending::Ending;
use super::gateway::{Gateway, Opening};
use super::peers::Peers;
use super::tenures::{Signal, Tenures};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::HubBuilder;
use crate::id::{Shard, ShardId};
use crate::runtime::roles::Roles;
use crate::runtime::{Feed, InboxReceiver, Reply, Runtime};
use crate::spawn::spawn;
use crate::store::rocks::replicated::{Member, OpenOptions, Tenant};
use crate::time::{Clock, ClockRecord};

/// Interval between two looks whether an open was canceled.
const LOOK: Duration = Duration::from_millis(100);

/// A node of a hub. Dropping it ends it as if its process had been killed.
pub(in crate::hub) struct NodeHub {
    /// In each shard, by their numbers.
    roles: Vec<Arc<Roles>>,
    threads: Vec<ShardThread>,
    member: Arc<Member>,
    /// Dropped last, because other nodes may wait for an answer.
    gateway: Option<Gateway>,
}

/// The thread of a shard.
struct ShardThread {
    /// The names in the store that are not registered, as of the newest open on this node.
    unregistered: Arc<Mutex<Vec<String>>>,
    signals: Sender<Signal>,
    /// Taken when it is joined.
    thread: Option<JoinHandle<Result<()>>>,
}

impl NodeHub {
    /// Joins the hub, and waits until this node runs each shard or knows the node that does.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if the node cannot listen, or the errors of [`Member::join`] and
    /// [`Tenant::own`].
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
        let count = member.shards();
        let (mut shards, feed) = (Vec::new(), Arc::default());
        for id in (0..count).map(ShardId) {
            shards.push(wait_for_shard(
                &builder,
                &member,
                Shard { id, count },
                &feed,
                tokio.clone(),
            ));
        }
        let roles: Vec<_> = shards.iter().map(|(roles, _)| Arc::clone(roles)).collect();
        let channels: Vec<_> = roles.iter().map(|_| channel()).collect();
        let ending = Arc::new(Ending {
            roles: roles.clone(),
            signals: channels.iter().map(|(signals, _)| signals.clone()).collect(),
            running: AtomicUsize::new(channels.len()),
            member: Arc::downgrade(&member),
        });
        gateway.open(Opening {
            member: Arc::clone(&member),
            shards,
            ending: Arc::clone(&ending),
        });
        let peers = Arc::new(Peers::new(gateway.identity().clone()));
        let (started, starting) = channel();
        let mut node = Self {
            roles,
            threads: Vec::new(),
            member: Arc::clone(&member),
            gateway: Some(gateway),
        };
        for (number, (signals, received)) in channels.into_iter().enumerate() {
            let unregistered = Arc::default();
            let tenures = Tenures {
                builder: builder.clone(),
                tenant: Tenant::new(&member, ShardId(number as u16)),
                roles: Arc::clone(&node.roles[number]),
                peers: Arc::clone(&peers),
                ending: Arc::clone(&ending),
                tokio: tokio.clone(),
                signals: (signals.clone(), received),
                stopping: None,
                started: Some(started.clone()),
                unregistered: Arc::clone(&unregistered),
            };
            let thread = spawn("abide-node", move || tenures.run())?;
            node.threads.push(ShardThread {
                unregistered,
                signals,
                thread: Some(thread),
            });
        }
        // Only the threads tell, so that the end of all of them is noticed.
        drop(started);
        let mut awaited = node.threads.len();
        while awaited > 0 {
            match starting.recv_timeout(LOOK) {
                Ok(started) => started.map(|()| awaited -= 1)?,
                Err(RecvTimeoutError::Timeout) if !canceled.load(Ordering::Relaxed) => {}
                Err(_) => return Err(node.failure().unwrap_or_else(canceled_open)),
            }
        }
        Ok(node)
    }

    /// Returns the roles of this node, by the numbers of the shards.
    pub(in crate::hub) fn roles(&self) -> &[Arc<Roles>] {
        &self.roles
    }

    /// Returns the error with which a part of the node has ended it.
    fn failure(&self) -> Option<Error> {
        self.roles.iter().find_map(|roles| roles.failure())
    }

    /// Returns the runtime of a hub that has one shard.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if it has several.
    pub(in crate::hub) fn runtime(&self) -> Result<Arc<Runtime>> {
        match self.roles.as_slice() {
            [roles] => Ok(roles.runtime()),
            _ => {
                let text = "a hub of several shards has no copy in one directory; back up its database";
                Err(Error::new(ErrorKind::Configuration, text))
            }
        }
    }

    /// Returns the names in the store that are not registered, as of the newest opens on this node.
    pub(in crate::hub) fn unregistered(&self) -> Vec<String> {
        let of_shard = |shard: &ShardThread| {
            let names = shard.unregistered.lock();
            names.unwrap_or_else(PoisonError::into_inner).clone()
        };
        self.threads.iter().flat_map(of_shard).collect()
    }

    /// Ends the node. The shards that it runs are closed first, and other nodes continue at once.
    ///
    /// # Errors
    /// Returns the error with which the node has failed, or with which a shard could not be closed.
    pub(in crate::hub) fn close(mut self, patience: Duration) -> Result<()> {
        let ended = self.end(|| Signal::Stop(patience));
        if let Some(gateway) = self.gateway.take() {
            gateway.close();
        }
        ended
    }

    fn end(&mut self, signal: impl Fn() -> Signal) -> Result<()> {
        for shard in &self.threads {
            // If this fails, the thread has ended.
            let _ = shard.signals.send(signal());
        }
        self.member.cancel();
        let ended: Vec<Result<()>> = self.threads.iter_mut().filter_map(ShardThread::join).collect();
        ended.into_iter().collect()
    }
}

fn canceled_open() -> Error {
    Error::new(ErrorKind::Closed, "the open was canceled")
}

/// Creates the role of a node in a shard. Its inbox has the requests of this process.
fn wait_for_shard(
    builder: &HubBuilder,
    member: &Arc<Member>,
    shard: Shard,
    feed: &Arc<Feed>,
    tokio: tokio::runtime::Handle,
) -> (Arc<Roles>, InboxReceiver<Reply>) {
    let identity = member.identity();
    let (hub, clock) = (identity.id.to_string(), Clock::start(ClockRecord::default()));
    let config = builder
        .clone()
        .standby_config(hub.into(), identity.partitions, shard, Arc::clone(feed), clock);
    let (standby, inbox) = Runtime::standby(config, tokio);
    let member = Arc::downgrade(member);
    let look = move || {
        if let Some(member) = member.upgrade() {
            member.look();
        }
    };
    (Arc::new(Roles::new(standby, look)), inbox)
}

impl ShardThread {
    /// Waits for the end of the thread, once.
    fn join(&mut self) -> Option<Result<()>> {
        let thread = self.thread.take()?;
        thread.thread().unpark();
        let panicked = |_| Err(Error::new(ErrorKind::Poisoned, "the thread of the node panicked"));
        Some(thread.join().unwrap_or_else(panicked))
    }
}

impl Drop for NodeHub {
    fn drop(&mut self) {
        if let Err(error) = self.end(|| Signal::Abandon) {
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
