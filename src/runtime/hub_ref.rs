//! The reference of a client to the hub that it works with.

use std::pin::Pin;
use std::sync::{Arc, Weak};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId, ShardId};
#[cfg(feature = "cluster")]
use crate::runtime::roles::Roles;
use crate::runtime::shared::{Runtime, closed};

/// The wait until a hub has moved from one runtime to another.
pub(crate) type Moved = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A reference to an open hub that does not keep it open.
#[derive(Clone, Debug)]
pub(crate) enum HubRef {
    /// A hub that this process runs until it closes it.
    Process(Weak<Runtime>),
    /// A hub of several nodes. This process is one of them.
    #[cfg(feature = "cluster")]
    Node(Weak<Roles>),
    /// A hub of several shards, by their numbers. None of them is a hub of several shards.
    Shards(Arc<[HubRef]>),
}

impl HubRef {
    /// Returns a reference to a hub that has these shards.
    pub(crate) fn of_shards(shards: Vec<Self>) -> Self {
        match <[Self; 1]>::try_from(shards) {
            Ok([hub]) => hub,
            Err(shards) => Self::Shards(shards.into()),
        }
    }

    /// Returns a reference to the shard that has an instance.
    ///
    /// # Errors
    /// Returns the same errors as [`open`](Self::open).
    pub(crate) fn of(&self, instance: &InstanceId) -> Result<&Self> {
        match self {
            Self::Shards(_) => Ok(self.of_partition(self.open()?.partition_of(instance))),
            _ => Ok(self),
        }
    }

    /// Replaces a reference to a hub with one to the shard that has an instance.
    ///
    /// # Errors
    /// Returns the same errors as [`open`](Self::open).
    #[inline]
    pub(crate) fn narrow(hub: &mut Arc<Self>, instance: &InstanceId) -> Result<()> {
        if let Self::Shards(_) = **hub {
            *hub = Arc::new(hub.of(instance)?.clone());
        }
        Ok(())
    }

    /// Returns a reference to the shard that has a partition.
    pub(crate) fn of_partition(&self, partition: PartitionId) -> &Self {
        match self {
            Self::Shards(shards) => &shards[ShardId::of(partition, shards.len() as u16).index()],
            _ => self,
        }
    }

    /// Returns references to all shards.
    pub(crate) fn shards(&self) -> &[Self] {
        match self {
            Self::Shards(shards) => shards,
            _ => std::slice::from_ref(self),
        }
    }

    /// Returns the shard that stands for all of them where they are equal.
    fn first(&self) -> &Self {
        &self.shards()[0]
    }

    /// Returns a reference to no hub, for a client that only inspects a directory.
    #[cfg(feature = "rocksdb")]
    pub(crate) fn none() -> Self {
        Self::Process(Weak::new())
    }

    /// Returns the runtime that takes the requests of this process now. Where the shards of a hub differ, ask one of
    /// [them](Self::shards).
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`] if the hub is closed, or of kind [`ErrorKind::ReadOnly`] if there is
    /// no hub.
    #[inline]
    pub(crate) fn open(&self) -> Result<Arc<Runtime>> {
        match self {
            Self::Process(runtime) => runtime.upgrade().ok_or_else(|| gone(runtime)),
            #[cfg(feature = "cluster")]
            Self::Node(roles) => roles.upgrade().map(|roles| roles.runtime()).ok_or_else(closed),
            Self::Shards(_) => self.first().open(),
        }
    }

    /// Returns the runtime whose feed this process watches.
    ///
    /// # Errors
    /// Returns the same errors as [`open`](Self::open).
    pub(crate) fn open_feed(&self) -> Result<Arc<Runtime>> {
        match self {
            Self::Process(_) => self.open(),
            #[cfg(feature = "cluster")]
            Self::Node(roles) => {
                let roles = roles.upgrade().ok_or_else(closed)?;
                Ok(Arc::clone(roles.standby()))
            }
            // They share one feed.
            Self::Shards(_) => self.first().open_feed(),
        }
    }

    /// Notes that a watcher of this feed has begun.
    pub(crate) fn note_watcher(&self) {
        match self {
            Self::Process(_) => {}
            #[cfg(feature = "cluster")]
            Self::Node(roles) => {
                if let Some(roles) = roles.upgrade() {
                    roles.note_watcher();
                }
            }
            Self::Shards(shards) => shards.iter().for_each(Self::note_watcher),
        }
    }

    /// Returns the number of requests that this process has forwarded to the node that runs the hub.
    pub(crate) fn forwarded(&self) -> u64 {
        match self {
            Self::Process(_) => 0,
            #[cfg(feature = "cluster")]
            Self::Node(roles) => roles.upgrade().map_or(0, |roles| {
                let forwarded = &roles.standby().totals.forwarded;
                forwarded.load(std::sync::atomic::Ordering::Relaxed)
            }),
            Self::Shards(shards) => shards.iter().map(Self::forwarded).sum(),
        }
    }

    /// If another runtime can take over from this one, returns the wait for that.
    #[cfg_attr(
        not(feature = "cluster"),
        expect(unused_variables, reason = "only the hub of a node moves")
    )]
    pub(crate) fn moved_from(&self, runtime: &Arc<Runtime>) -> Option<Moved> {
        match self {
            Self::Process(_) => None,
            #[cfg(feature = "cluster")]
            Self::Node(roles) => {
                let roles = roles.upgrade().filter(|roles| roles.failure().is_none())?;
                let runtime = Arc::downgrade(runtime);
                Some(Box::pin(crate::runtime::roles::moved_from(roles.subscribe(), runtime)))
            }
            // A request knows its shard.
            Self::Shards(_) => None,
        }
    }

    /// If this runtime has failed or is being closed, and another one can take over the hub, returns the wait for that.
    #[inline]
    pub(crate) fn moves(&self, runtime: &Arc<Runtime>) -> Option<Moved> {
        match self {
            // Each request asks this, and its answer is always the same.
            Self::Process(_) => None,
            _ => runtime.health().err().and_then(|_| self.moved_from(runtime)),
        }
    }

    /// Returns `true` if a runtime has ended with this error and the node goes on.
    #[cfg(feature = "cluster")]
    fn is_moving(&self, error: &Error) -> bool {
        let Self::Node(roles) = self else { return false };
        let is_of_runtime = matches!(error.kind(), ErrorKind::Replaced | ErrorKind::Closed);
        is_of_runtime && roles.upgrade().is_some_and(|roles| roles.failure().is_none())
    }

    /// Returns what the error of a read means for its caller.
    pub(crate) fn not_read(&self, error: Error) -> Error {
        match self {
            #[cfg(feature = "cluster")]
            Self::Node(_) if self.is_moving(&error) => crate::runtime::roles::moved_during_read(),
            _ => error,
        }
    }

    /// Returns what the end of a runtime, of which `error` tells, means for a request.
    #[cfg_attr(
        not(feature = "cluster"),
        expect(unused_variables, reason = "only the hub of a node moves")
    )]
    pub(crate) fn replaced(&self, was_sent: bool, error: &Error) -> Error {
        match self {
            #[cfg(feature = "cluster")]
            Self::Node(_) if was_sent && self.is_moving(error) => crate::runtime::roles::unconfirmed(),
            _ => error.clone(),
        }
    }

    /// Returns the reason why a request that was sent has no answer.
    pub(crate) fn end_reason(&self) -> Error {
        match self {
            Self::Process(runtime) => match runtime.upgrade() {
                Some(open) => open.end_reason(),
                None => gone(runtime),
            },
            #[cfg(feature = "cluster")]
            Self::Node(roles) => match roles.upgrade() {
                Some(roles) => roles.failure().unwrap_or_else(crate::runtime::roles::unconfirmed),
                None => closed(),
            },
            Self::Shards(_) => self.first().end_reason(),
        }
    }
}

/// Returns the reason why there is no runtime: there never was one, or its hub is closed.
fn gone(runtime: &Weak<Runtime>) -> Error {
    if !runtime.ptr_eq(&Weak::new()) {
        return closed();
    }
    Error::new(
        ErrorKind::ReadOnly,
        "this client inspects the directory of a stopped hub, so it cannot change anything or wait; \
         start the program that opens the hub, and use its client",
    )
}
