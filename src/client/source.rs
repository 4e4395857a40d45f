//! Where a client reads: an open hub, or the directory of one that is stopped.

use std::fmt;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use crate::engine::Registry;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Runtime, closed};
use crate::store::Reader;

/// The directory of a hub that nobody has open. The store stays open, for reads, while a client holds this.
pub(crate) struct Inspected {
    pub(crate) store: Box<dyn Reader + Send + Sync>,
    pub(crate) partitions: u16,
    /// The newest commit that the store holds.
    pub(crate) last_commit: u64,
    pub(crate) tokio: Handle,
}

/// What a client reads from.
pub(super) enum Source {
    Open(Arc<Runtime>),
    Inspected(Arc<Inspected>),
}

/// One state of the store.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) reader: &'a dyn Reader,
    pub(super) partitions: u16,
    /// What the hub's program has registered; nothing for a directory that is only looked at.
    pub(super) registry: Option<&'a Registry>,
}

impl Source {
    /// Reads from one consistent state of the hub. It waits for no write, because a write may take long. The caller may
    /// release what was read only once it is [durable](Self::durable).
    pub(super) fn snapshot<R>(&self, read: impl FnOnce(View<'_>) -> R) -> R {
        match self {
            Self::Open(runtime) => {
                // A write may just become visible; [`durable`](Self::durable) waits for those that have begun, too.
                let reader = runtime.order.store().snapshot();
                read(View {
                    reader: reader.as_ref(),
                    partitions: runtime.partitions,
                    registry: Some(&runtime.registry),
                })
            }
            Self::Inspected(inspected) => read(inspected.view()),
        }
    }

    /// Reads the newest state: for what is a single row.
    pub(super) fn newest<R>(&self, read: impl FnOnce(View<'_>) -> R) -> R {
        match self {
            Self::Open(runtime) => read(View {
                reader: runtime.order.store().as_ref(),
                partitions: runtime.partitions,
                registry: Some(&runtime.registry),
            }),
            Self::Inspected(inspected) => read(inspected.view()),
        }
    }

    /// Waits until everything is durable that a read up to now can have shown.
    pub(super) async fn durable(self) -> Result<()> {
        match self {
            Self::Open(runtime) => runtime.durable().await,
            // What a stopped hub's store holds was read from the disk.
            Self::Inspected(_) => Ok(()),
        }
    }

    pub(super) fn tokio(&self) -> &Handle {
        match self {
            Self::Open(runtime) => &runtime.tokio,
            Self::Inspected(inspected) => &inspected.tokio,
        }
    }

    /// Another hold on the same.
    pub(super) fn share(&self) -> Self {
        match self {
            Self::Open(runtime) => Self::Open(Arc::clone(runtime)),
            Self::Inspected(inspected) => Self::Inspected(Arc::clone(inspected)),
        }
    }
}

impl Inspected {
    fn view(&self) -> View<'_> {
        View {
            reader: self.store.as_ref(),
            partitions: self.partitions,
            registry: None,
        }
    }
}

impl fmt::Debug for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspected").finish_non_exhaustive()
    }
}

/// Why there is no runtime behind a client: it never had one, or its hub is closed.
pub(super) fn no_runtime(runtime: &Weak<Runtime>) -> Error {
    if runtime.ptr_eq(&Weak::new()) {
        read_only()
    } else {
        closed()
    }
}

fn read_only() -> Error {
    Error::new(
        ErrorKind::ReadOnly,
        "the hub is stopped and its directory is only looked at, so nothing can be changed or waited for; \
         start the program that opens the hub, and ask it",
    )
}
