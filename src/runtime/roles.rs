//! The role of a node in a shard: it runs the shard, or another node does.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::error::{Error, ErrorKind, Result};
use crate::runtime::shared::{Runtime, closed};
use crate::store::rocks::replicated::{CopiedRows, FreshRows};
use crate::time::{Deadline, Stopwatch};
use crate::transport::Peer;

/// Time for which a request waits for a node that runs the hub.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Least time between two looks for the node that runs the hub, besides the regular ones.
const LOOK: Duration = Duration::from_millis(50);

/// The role of a node in a shard, and what takes the requests of its process meanwhile.
pub(crate) struct Roles {
    /// Takes the requests while this node does not run the shard. It has no executors: its inbox is forwarded.
    standby: Arc<Runtime>,
    role: watch::Sender<Role>,
    /// Notified when a watcher of changes begins.
    watched: Notify,
    /// Looks for the node that runs the shard.
    look: Box<dyn Fn() + Send + Sync>,
    /// When it was last called.
    looked: Mutex<Option<Stopwatch>>,
}

/// The connections to another node.
#[derive(Debug)]
pub(crate) struct OtherNode {
    pub(crate) requests: Peer,
    /// For requests that wait for something that may never happen, so that they take no room from the others.
    pub(crate) waits: Peer,
}

/// What a node does at the moment for a shard.
#[derive(Clone)]
pub(crate) enum Role {
    /// It waits. `copy` is what it can read, and `owner` is the node that runs the shard, as far as it is known.
    Waiting {
        copy: Option<FreshRows>,
        owner: Option<Arc<OtherNode>>,
    },
    /// It runs the shard.
    Owner(Weak<Runtime>),
    /// It has ended.
    Ended(Error),
}

/// What a client reads from.
pub(crate) enum Reading {
    /// The node runs the shard.
    Owner(Arc<Runtime>),
    /// The node has a copy, which has everything that was acknowledged before the read began.
    Copy(CopiedRows),
}

/// The place where a request can be processed.
pub(crate) enum Target {
    Local(Arc<Runtime>),
    Remote(Arc<OtherNode>),
}

impl Role {
    /// The role of a node that does not know which node runs the shard.
    pub(crate) const WAITING: Self = Self::Waiting {
        copy: None,
        owner: None,
    };

    /// Returns `true` if this is the node that runs the shard, as far as it is known.
    pub(crate) fn is_owner(&self, node: &Arc<OtherNode>) -> bool {
        matches!(self, Self::Waiting { owner: Some(owner), .. } if Arc::ptr_eq(owner, node))
    }
}

impl Roles {
    /// `look` is called when the node has to find out which node runs the shard.
    pub(crate) fn new(standby: Arc<Runtime>, look: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            standby,
            role: watch::Sender::new(Role::WAITING),
            watched: Notify::new(),
            look: Box::new(look),
            looked: Mutex::new(None),
        }
    }

    /// Looks for the node that runs the shard: the one that is known does not run it any more.
    pub(crate) fn look_again(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            *looked = Some(Stopwatch::start());
            (self.look)();
        }
    }

    /// Changes the role. The role of a node that has ended stays.
    pub(crate) fn set(&self, role: Role) {
        self.role.send_if_modified(|now| {
            let has_ended = matches!(now, Role::Ended(_));
            if !has_ended {
                *now = role;
            }
            !has_ended
        });
    }

    /// Ends the node: requests fail with `error` from now on.
    pub(crate) fn end(&self, error: &Error) {
        self.set(Role::Ended(error.clone()));
        self.standby.fail(error);
        self.standby.stop(Duration::ZERO);
    }

    /// Returns the runtime that takes the requests of this process.
    pub(crate) fn runtime(&self) -> Arc<Runtime> {
        self.owner().unwrap_or_else(|| Arc::clone(&self.standby))
    }

    /// Returns the runtime of the shard, if this node runs it.
    pub(crate) fn owner(&self) -> Option<Arc<Runtime>> {
        match &*self.role.borrow() {
            Role::Owner(runtime) => runtime.upgrade(),
            Role::Waiting { .. } | Role::Ended(_) => None,
        }
    }

    /// Returns the runtime without executors. All watchers of this process read its feed, in each role of the node.
    pub(crate) fn standby(&self) -> &Arc<Runtime> {
        &self.standby
    }

    /// Notes that a watcher of changes has begun.
    pub(crate) fn note_watcher(&self) {
        self.watched.notify_one();
    }

    /// Waits until a watcher of changes has begun, perhaps before the call.
    pub(crate) async fn watched(&self) {
        self.watched.notified().await;
    }

    /// Returns the error with which the node has ended.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &*self.role.borrow() {
            Role::Ended(error) => Some(error.clone()),
            Role::Waiting { .. } | Role::Owner(_) => None,
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Role> {
        self.role.subscribe()
    }
}

/// Returns what a client reads from. Does not keep the node open.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Unavailable`] if neither the owner nor the copy of this node can be read for
/// [`PATIENCE`], or the error with which the node has ended.
pub(crate) async fn reading(mut roles: watch::Receiver<Role>) -> Result<Reading> {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let now = roles.borrow_and_update().clone();
        match now {
            Role::Ended(error) => return Err(error),
            Role::Owner(runtime) => {
                // One that has failed is about to be replaced.
                if let Some(runtime) = runtime.upgrade().filter(|runtime| runtime.health().is_ok()) {
                    return Ok(Reading::Owner(runtime));
                }
            }
            Role::Waiting { copy: Some(copy), .. } => {
                let found = tokio::select! {
                    rows = deadline.limit(copy.read()) => rows.ok_or_else(|| unavailable("read"))?,
                    _ = roles.changed() => continue,
                };
                if let Some(rows) = found {
                    return Ok(Reading::Copy(rows));
                }
            }
            Role::Waiting { copy: None, .. } => {}
        }
        changed(&mut roles, deadline)
            .await
            .ok_or_else(|| unavailable("read"))??;
    }
}

/// Returns where a request can be processed.
///
/// # Errors
/// Returns the error with which the node has ended. Returns `None` at the deadline.
pub(crate) async fn target(roles: &mut watch::Receiver<Role>, deadline: Deadline) -> Option<Result<Target>> {
    loop {
        let now = roles.borrow_and_update().clone();
        match now {
            Role::Ended(error) => return Some(Err(error)),
            Role::Owner(runtime) => {
                if let Some(runtime) = runtime.upgrade() {
                    return Some(Ok(Target::Local(runtime)));
                }
            }
            Role::Waiting { owner: Some(node), .. } => return Some(Ok(Target::Remote(node))),
            Role::Waiting { owner: None, .. } => {}
        }
        if let Err(error) = changed(roles, deadline).await? {
            return Some(Err(error));
        }
    }
}

/// Waits until this runtime does not run the shard, or the node has ended.
pub(crate) async fn moved_from(mut roles: watch::Receiver<Role>, runtime: Weak<Runtime>) {
    loop {
        let is_owner = matches!(&*roles.borrow_and_update(), Role::Owner(owner) if owner.ptr_eq(&runtime));
        if !is_owner || roles.changed().await.is_err() {
            return;
        }
    }
}

/// Waits for another role. Returns `None` at the deadline.
async fn changed(roles: &mut watch::Receiver<Role>, deadline: Deadline) -> Option<Result<()>> {
    let changed = deadline.limit(roles.changed()).await?;
    Some(changed.map_err(|_| closed()))
}

/// Returns the error for a request that no node took.
pub(crate) fn unavailable(what: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "no node that runs the hub could be reached within {PATIENCE:?}, so the hub was not {what}; check the database \
             and the other nodes, and try again"
        ),
    )
}

/// Returns the error for a read during which the hub moved.
pub(crate) fn moved_during_read() -> Error {
    let text = "the hub has moved from one node to another while it was read; read again";
    Error::new(ErrorKind::Unavailable, text)
}

/// Returns the error for a request that a node took, and whose end is not known.
pub(crate) fn unconfirmed() -> Error {
    Error::new(
        ErrorKind::Unconfirmed,
        "the node that ran the hub ended or was replaced before it answered, so the request may or may not have been \
         accepted; with a request id, it can be sent again without taking effect twice",
    )
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roles").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a node that runs the hub, a read and a request end after some time, and with the error of the node if it has
    /// ended.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end() {
        let role = watch::Sender::new(Role::WAITING);
        let error = reading(role.subscribe()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("the hub was not read"), "{error}");
        let deadline = Deadline::after(PATIENCE);
        assert!(target(&mut role.subscribe(), deadline).await.is_none());
        assert!(deadline.has_passed());

        role.send_replace(Role::Ended(closed()));
        let error = reading(role.subscribe()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(matches!(target(&mut role.subscribe(), deadline).await, Some(Err(error)) if error == closed()));
        drop(role);
    }
}
