//! The client itself.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::client::entities::EntityQuery;
use crate::entity::{Entity, Key, reference};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Runtime, closed};

/// The handle from outside. Cheap to clone, and of no use once its hub is closed.
#[derive(Clone)]
pub struct Client {
    runtime: Weak<Runtime>,
}

impl Client {
    pub(crate) fn new(runtime: &Arc<Runtime>) -> Self {
        Self {
            runtime: Arc::downgrade(runtime),
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
        self.runtime.upgrade().ok_or_else(closed)
    }

    /// Does what reads much of the store on a thread that may block, and tells it when it is durable.
    pub(super) async fn on_blocking_thread<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Runtime) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let runtime = self.runtime()?;
        let reading = Arc::clone(&runtime);
        let task = runtime.tokio.spawn_blocking(move || read(&reading));
        let read = task
            .await
            .map_err(|error| Error::new(ErrorKind::Closed, "the tokio runtime ends").with_source(error))?;
        runtime.durable().await?;
        read
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
