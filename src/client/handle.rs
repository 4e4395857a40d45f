//! The client itself.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::client::entities::EntityQuery;
use crate::client::source::{Inspected, Source, View, no_runtime};
use crate::entity::{Entity, Key, reference};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Runtime;

/// The handle from outside. Cheap to clone, and of no use once its hub is closed.
///
/// A client of [`Inspection::client`](crate::admin::Inspection::client) reads the directory of a stopped hub; whatever would change
/// something fails with [`ErrorKind::ReadOnly`].
#[derive(Clone)]
pub struct Client {
    /// The one of no runtime, if a directory is only looked at: what is sent needs nothing but this to know.
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

    /// A client that looks at a directory.
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

    /// The runtime, if the hub is open.
    pub(crate) fn runtime(&self) -> Result<Arc<Runtime>> {
        self.runtime.upgrade().ok_or_else(|| no_runtime(&self.runtime))
    }

    /// The directory, if it is only looked at.
    pub(crate) fn inspected(&self) -> Option<&Arc<Inspected>> {
        self.inspected.as_ref()
    }

    /// What this client reads from.
    pub(super) fn source(&self) -> Result<Source> {
        match &self.inspected {
            Some(inspected) => Ok(Source::Inspected(Arc::clone(inspected))),
            None => self.runtime().map(Source::Open),
        }
    }

    /// Does what reads much of the store on a thread that may block, from one consistent state of the hub, and tells it when
    /// it is durable.
    pub(super) async fn on_blocking_thread<R: Send + 'static>(
        &self,
        read: impl FnOnce(View<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let source = self.source()?;
        let reading = source.share();
        let task = source.tokio().spawn_blocking(move || reading.snapshot(read));
        let read = task
            .await
            .map_err(|error| Error::new(ErrorKind::Closed, "the tokio runtime ends").with_source(error))?;
        source.durable().await?;
        read
    }

    /// Whether the hub works: an error if it is closed, or if a write failed and it has to be opened again. It reads nothing
    /// and waits for nothing. A directory that is only looked at is well.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`], or the error that poisoned the hub.
    pub fn health(&self) -> Result<()> {
        match self.source()? {
            Source::Open(runtime) => runtime.health(),
            Source::Inspected(_) => Ok(()),
        }
    }

    /// A reference to the entity of type `E` with this key. Nothing is sent or made yet; a key that breaks the rules for
    /// ids is told where the reference is used.
    pub fn entity<E: Entity>(&self, key: impl Key) -> E::Ref<Self> {
        reference::<E, Self>(self.clone(), key)
    }

    /// Lists and counts entities.
    pub fn entities(&self) -> EntityQuery {
        EntityQuery::new(self.clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
