//! The client type.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::client::entities::EntityQuery;
use crate::client::source::{Inspected, Source, View, no_runtime};
use crate::entity::{Entity, Key, reference};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Runtime;

/// A client of a hub. It is cheap to clone, and its methods fail once the hub is closed.
///
/// A client of [`Inspection::client`](crate::admin::Inspection::client) reads the directory of a stopped hub. All its
/// methods that would change something fail with [`ErrorKind::ReadOnly`].
#[derive(Clone)]
pub struct Client {
    /// Never upgradable for an inspected directory. Senders need only this reference to detect it.
    runtime: Weak<Runtime>,
    inspected: Option<Arc<Inspected>>,
}

impl Client {
    pub(crate) fn new(runtime: &Arc<Runtime>) -> Self {
        Self {
            runtime: Arc::downgrade(runtime),
            inspected: None,
        }
    }

    /// Creates a client that inspects a directory.
    #[cfg(feature = "rocksdb")]
    pub(crate) fn inspecting(inspected: Inspected) -> Self {
        Self {
            runtime: Weak::new(),
            inspected: Some(Arc::new(inspected)),
        }
    }

    pub(super) fn weak(&self) -> Weak<Runtime> {
        self.runtime.clone()
    }

    pub(super) fn into_weak(self) -> Weak<Runtime> {
        self.runtime
    }

    /// Returns the runtime if the hub is open.
    pub(crate) fn runtime(&self) -> Result<Arc<Runtime>> {
        self.runtime.upgrade().ok_or_else(|| no_runtime(&self.runtime))
    }

    /// Returns the directory if the client inspects one.
    pub(crate) fn inspected(&self) -> Option<&Arc<Inspected>> {
        self.inspected.as_ref()
    }

    /// Returns the source that this client reads from.
    pub(super) fn source(&self) -> Result<Source> {
        match &self.inspected {
            Some(inspected) => Ok(Source::Inspected(Arc::clone(inspected))),
            None => self.runtime().map(Source::Open),
        }
    }

    /// Runs `read` on a thread that may block, on one consistent state of the hub, and returns its result when it is
    /// durable. For reads of much of the store.
    pub(super) async fn on_blocking_thread<R: Send + 'static>(
        &self,
        read: impl FnOnce(View<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let source = self.source()?;
        let reading = source.share();
        let task = source.tokio().spawn_blocking(move || reading.snapshot(read));
        let read = task
            .await
            .map_err(|error| Error::new(ErrorKind::Closed, "the tokio runtime is shutting down").with_source(error))?;
        source.durable().await?;
        read
    }

    /// Checks whether the hub works. Fails if the hub is closed, or if a write failed and the hub has to be opened
    /// again. The check reads nothing and does not wait. An inspected directory is always healthy.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`] if the hub is closed, or the error that poisoned the hub.
    pub fn health(&self) -> Result<()> {
        match self.source()? {
            Source::Open(runtime) => runtime.health(),
            Source::Inspected(_) => Ok(()),
        }
    }

    /// Returns a reference to the entity of type `E` with this key. This sends and creates nothing. An invalid key is
    /// reported when the reference is used.
    pub fn entity<E: Entity>(&self, key: impl Key) -> E::Ref<Self> {
        reference::<E, Self>(self.clone(), key)
    }

    /// Returns a query that lists and counts entities.
    pub fn entities(&self) -> EntityQuery {
        EntityQuery::new(self.clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
