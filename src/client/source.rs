//! The sources that a client reads from: an open hub, or the directory of a stopped one.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::client::live::LiveShards;
use crate::error::Result;
use crate::runtime::Runtime;
#[cfg(feature = "cluster")]
use crate::runtime::roles::moved_during_read;
use crate::store::Reader;
use crate::store::divided::Divided;
#[cfg(feature = "cluster")]
use crate::store::rocks::replicated::CopiedRows;
use crate::views::view::{Live, View};

/// The directory of a hub that no process has open. The store stays open for reads while a client holds this.
pub(crate) struct Inspected {
    pub(crate) store: Box<dyn Reader + Send + Sync>,
    pub(crate) partitions: u16,
    /// The newest commit in the store.
    pub(crate) last_commit: u64,
    pub(crate) tokio: Handle,
}

/// The source that a client reads from.
pub(super) enum Source {
    /// The hub of this process.
    Open(Arc<Runtime>),
    /// The copy of a hub that another node runs. The runtime has the code of this process.
    #[cfg(feature = "cluster")]
    Copied(Arc<Runtime>, CopiedRows),
    Inspected(Arc<Inspected>),
    /// An open hub of several shards, by their numbers.
    Shards(Vec<Source>),
}

/// The rows of a source.
enum Rows<'a> {
    Newest(&'a dyn Reader),
    Snapshot(Box<dyn Reader + 'a>),
}

impl Rows<'_> {
    fn reader(&self) -> &dyn Reader {
        match self {
            Self::Newest(reader) => *reader,
            Self::Snapshot(reader) => reader.as_ref(),
        }
    }
}

impl Source {
    /// Reads from one consistent state of the hub. It does not wait for writes, because a write may take long. The
    /// caller may release the result only once it is [durable](Self::durable).
    pub(super) fn snapshot<R>(&self, read: impl FnOnce(View<'_>) -> R) -> R {
        self.read(Self::snapshot_rows, read)
    }

    /// Reads the newest state. For reads of a single row.
    pub(super) fn newest<R>(&self, read: impl FnOnce(View<'_>) -> R) -> R {
        self.read(Self::newest_rows, read)
    }

    fn read<R>(&self, rows: fn(&Self) -> Rows<'_>, read: impl FnOnce(View<'_>) -> R) -> R {
        let Self::Shards(shards) = self else {
            return read(View {
                reader: rows(self).reader(),
                partitions: self.partitions(),
                live: self.runtime().map(|runtime| runtime.as_ref() as &dyn Live),
            });
        };
        let rows: Vec<Rows<'_>> = shards.iter().map(rows).collect();
        let runtimes = shards.iter().filter_map(Self::runtime).map(Arc::as_ref).collect();
        read(View {
            reader: &Divided::new(rows.iter().map(Rows::reader).collect(), self.partitions()),
            partitions: self.partitions(),
            live: Some(&LiveShards(runtimes)),
        })
    }

    fn snapshot_rows(&self) -> Rows<'_> {
        match self {
            // A write may become visible at this moment. [`durable`](Self::durable) also waits for the writes that have
            // begun.
            Self::Open(runtime) => Rows::Snapshot(runtime.order.store().snapshot()),
            #[cfg(feature = "cluster")]
            Self::Copied(_, rows) => Rows::Snapshot(rows.view()),
            Self::Inspected(inspected) => Rows::Newest(inspected.store.as_ref()),
            Self::Shards(_) => unreachable!("a shard has no shards"),
        }
    }

    fn newest_rows(&self) -> Rows<'_> {
        match self {
            Self::Open(runtime) => Rows::Newest(runtime.order.store().as_ref()),
            _ => self.snapshot_rows(),
        }
    }

    fn partitions(&self) -> u16 {
        match self {
            Self::Inspected(inspected) => inspected.partitions,
            Self::Open(runtime) => runtime.partitions,
            #[cfg(feature = "cluster")]
            Self::Copied(runtime, _) => runtime.partitions,
            Self::Shards(shards) => shards[0].partitions(),
        }
    }

    /// Waits until everything that a read may have seen so far is durable.
    pub(super) async fn durable(self) -> Result<()> {
        match self {
            Self::Open(runtime) => runtime.durable().await,
            // If this node runs the hub now, the read may have seen what is not durable yet.
            #[cfg(feature = "cluster")]
            Self::Copied(_, rows) if rows.is_taken_over() => Err(moved_during_read()),
            // Everything else in the copy is durable.
            #[cfg(feature = "cluster")]
            Self::Copied(..) => Ok(()),
            // The data of a stopped hub was read from disk.
            Self::Inspected(_) => Ok(()),
            Self::Shards(_) => unreachable!("each shard is waited for"),
        }
    }

    pub(super) fn tokio(&self) -> &Handle {
        match self {
            Self::Open(runtime) => &runtime.tokio,
            #[cfg(feature = "cluster")]
            Self::Copied(runtime, _) => &runtime.tokio,
            Self::Inspected(inspected) => &inspected.tokio,
            Self::Shards(shards) => shards[0].tokio(),
        }
    }

    /// Returns the runtime with the code of this process, if there is one.
    pub(super) fn runtime(&self) -> Option<&Arc<Runtime>> {
        match self {
            Self::Open(runtime) => Some(runtime),
            #[cfg(feature = "cluster")]
            Self::Copied(runtime, _) => Some(runtime),
            Self::Inspected(_) => None,
            Self::Shards(shards) => shards[0].runtime(),
        }
    }

    /// Returns `true` if reads must stay on the thread of the caller.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Open(runtime) => runtime.is_local(),
            #[cfg(feature = "cluster")]
            Self::Copied(..) => false,
            Self::Inspected(_) => false,
            Self::Shards(_) => false,
        }
    }

    /// Returns another reference to the same source.
    pub(super) fn share(&self) -> Self {
        match self {
            Self::Open(runtime) => Self::Open(Arc::clone(runtime)),
            #[cfg(feature = "cluster")]
            Self::Copied(runtime, rows) => Self::Copied(Arc::clone(runtime), rows.clone()),
            Self::Inspected(inspected) => Self::Inspected(Arc::clone(inspected)),
            Self::Shards(shards) => Self::Shards(shards.iter().map(Self::share).collect()),
        }
    }
}

impl fmt::Debug for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspected").finish_non_exhaustive()
    }
}
