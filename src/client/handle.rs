//! The client type.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::client::source::{Inspected, Source};
use crate::engine::panic_text;
use crate::entity::{Entity, Key, reference};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
#[cfg(feature = "cluster")]
use crate::runtime::closed;
#[cfg(feature = "cluster")]
use crate::runtime::roles::{Reading, Roles, reading};
use crate::runtime::{HubRef, Runtime};
#[cfg(feature = "http")]
use crate::time::{Clock, ClockRecord};
use crate::views::view::View;

/// A client of a hub. It is cheap to clone, and its methods fail once the hub is closed.
///
/// A client of [`Inspection::client`](crate::admin::Inspection::client) reads the directory of a stopped hub. All its
/// methods that would change something fail with [`ErrorKind::ReadOnly`].
///
/// ```
/// use abide::prelude::*;
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Counter {
///     total: i64,
/// }
///
/// #[operations]
/// impl Counter {
///     pub fn add(&mut self, n: i64) -> i64 {
///         self.total += n;
///         self.total
///     }
/// }
///
/// #[orchestration]
/// async fn count_twice(ctx: OrchestrationContext, key: String) -> Result<i64, Failure> {
///     let counter = ctx.entity::<Counter>(&key);
///     counter.add(1).await?;
///     Ok(counter.add(1).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// let hub = Hub::in_memory().entity::<Counter>().orchestration::<count_twice>().open().await?;
/// let client = hub.client();
///
/// client.entity::<Counter>("visits").add(5).await?;
/// let run = client.start::<count_twice>("visits".into()).await?;
/// assert_eq!(run.result().await?, 7);
///
/// assert_eq!(client.entities().count().await?, 1);
/// assert_eq!(client.orchestrations().count().await?, 1);
/// # hub.shutdown().await
/// # }
/// ```
pub struct Client {
    /// Never upgradable for an inspected directory. Senders need only this reference to detect it.
    ///
    /// What is made from this client shares it. A clone has its own, so that tasks that work with clones do not compete
    /// for one reference count.
    hub: Arc<HubRef>,
    inspected: Option<Arc<Inspected>>,
}

impl Clone for Client {
    fn clone(&self) -> Self {
        Self {
            hub: Arc::new(HubRef::clone(&self.hub)),
            inspected: self.inspected.clone(),
        }
    }
}

impl Client {
    fn of_hub(hub: HubRef) -> Self {
        Self {
            hub: Arc::new(hub),
            inspected: None,
        }
    }

    /// Returns the client for a reference or a request. Unlike a clone, it shares the reference count.
    #[inline]
    pub(crate) fn share(&self) -> Self {
        Self {
            hub: Arc::clone(&self.hub),
            inspected: self.inspected.clone(),
        }
    }

    pub(crate) fn new(runtime: &Arc<Runtime>) -> Self {
        Self::of_hub(HubRef::Process(Arc::downgrade(runtime)))
    }

    /// Creates a client of a hub whose shards all run in this process.
    pub(crate) fn of_shards(runtimes: &[Arc<Runtime>]) -> Self {
        let shards = runtimes.iter().map(|runtime| HubRef::Process(Arc::downgrade(runtime)));
        Self::of_hub(HubRef::of_shards(shards.collect()))
    }

    /// Creates a client of a hub of several nodes, from the roles of this node in each shard.
    #[cfg(feature = "cluster")]
    pub(crate) fn of_node(roles: &[Arc<Roles>]) -> Self {
        let shards = roles.iter().map(|roles| HubRef::Node(Arc::downgrade(roles)));
        Self::of_hub(HubRef::of_shards(shards.collect()))
    }

    /// Creates a client that inspects a directory.
    #[cfg(feature = "rocksdb")]
    pub(crate) fn inspecting(inspected: Inspected) -> Self {
        Self {
            hub: Arc::new(HubRef::none()),
            inspected: Some(Arc::new(inspected)),
        }
    }

    pub(crate) fn hub(&self) -> Arc<HubRef> {
        Arc::clone(&self.hub)
    }

    #[inline]
    pub(super) fn into_hub(self) -> Arc<HubRef> {
        self.hub
    }

    /// Returns the runtime if the hub is open.
    pub(crate) fn runtime(&self) -> Result<Arc<Runtime>> {
        self.hub.open()
    }

    /// Returns the time of the hub, or of this machine if the hub is not open.
    #[cfg(feature = "http")]
    pub(crate) fn now(&self) -> std::time::SystemTime {
        let clock = match self.runtime() {
            Ok(runtime) => runtime.clock,
            Err(_) => Clock::start(ClockRecord::default()),
        };
        clock.now().into()
    }

    /// Returns the directory if the client inspects one.
    pub(crate) fn inspected(&self) -> Option<&Arc<Inspected>> {
        self.inspected.as_ref()
    }

    /// Returns all rows of the hub.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn rows(&self) -> Result<Vec<crate::store::Row>> {
        let source = Source::Open(self.runtime()?);
        source.newest(|view| view.reader.scan(Vec::new()..vec![u8::MAX; 3], usize::MAX))
    }

    /// Returns a client for each shard.
    pub(super) fn shards(&self) -> Vec<Self> {
        let of_shard = |hub: &HubRef| Self {
            hub: Arc::new(hub.clone()),
            inspected: self.inspected.clone(),
        };
        self.hub.shards().iter().map(of_shard).collect()
    }

    /// Returns a client that reads from the shard of an instance only.
    pub(super) fn of(&self, instance: &InstanceId) -> Result<Cow<'_, Self>> {
        let HubRef::Shards(_) = *self.hub else {
            return Ok(Cow::Borrowed(self));
        };
        let hub = self.hub.of(instance)?.clone();
        Ok(Cow::Owned(Self::of_hub(hub)))
    }

    /// Returns the source that this client reads from. It has everything that was acknowledged before the call.
    pub(super) async fn source(&self) -> Result<Source> {
        if let Some(inspected) = &self.inspected {
            return Ok(Source::Inspected(Arc::clone(inspected)));
        }
        match self.hub.shards() {
            [hub] => source_of(hub).await,
            shards => try_join_all(shards.iter().map(source_of)).await.map(Source::Shards),
        }
    }

    /// Waits until everything that a read may have seen so far is durable.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Unavailable`] if the hub has moved to another node meanwhile. The read can be
    /// repeated.
    pub(super) async fn durable(&self, source: Source) -> Result<()> {
        match source {
            Source::Shards(shards) => {
                let all = shards
                    .into_iter()
                    .zip(self.hub.shards())
                    .map(async |(source, hub)| source.durable().await.map_err(|error| hub.not_read(error)));
                try_join_all(all).await.map(drop)
            }
            source => source.durable().await.map_err(|error| self.hub.not_read(error)),
        }
    }

    /// Reads from the newest state, and again if the hub moves to another node meanwhile.
    pub(super) async fn read_newest<R>(&self, read: impl Fn(View<'_>) -> Result<R>) -> Result<R> {
        loop {
            let source = self.source().await?;
            let found = source.newest(&read)?;
            match self.durable(source).await {
                Ok(()) => return Ok(found),
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs `read` on a thread that may block, on one consistent state of the hub, and returns its result when it is
    /// durable. For reads of much of the store.
    pub(super) async fn on_blocking_thread<R: Send + 'static>(
        &self,
        read: impl FnOnce(View<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let source = self.source().await?;
        if source.is_local() {
            let read = source.snapshot(read);
            self.durable(source).await?;
            return read;
        }
        let reading = source.share();
        let task = source.tokio().spawn_blocking(move || reading.snapshot(read));
        let read = task.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => Error::new(
                ErrorKind::Panicked,
                format!("a read panicked: {}", panic_text(panic.as_ref())),
            ),
            Err(error) => Error::new(ErrorKind::Closed, "the tokio runtime is shutting down").with_source(error),
        })?;
        self.durable(source).await?;
        read
    }

    /// Checks whether the hub works. Fails if the hub is closed, or if a write failed and the hub has to be opened
    /// again. The check reads nothing and does not wait. An inspected directory is always healthy.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`] if the hub is closed, or the error that poisoned the hub.
    pub fn health(&self) -> Result<()> {
        match self.inspected {
            Some(_) => Ok(()),
            None => self.hub.shards().iter().try_for_each(|shard| shard.open()?.health()),
        }
    }

    /// Returns `true` if this process runs the hub, or one of its [shards](crate::HubBuilder::shards). A node of a hub [over
    /// PostgreSQL](crate::Hub::cluster) that waits answers as well, and returns `false`, and so does a client that inspects a
    /// directory.
    pub fn runs_hub(&self) -> bool {
        !self.running_shards().is_empty()
    }

    /// Returns the numbers of the [shards](crate::HubBuilder::shards) that this process runs, in order. A hub that is not
    /// divided has the shard 0.
    pub fn running_shards(&self) -> Vec<u16> {
        let shards = (0..).zip(self.hub.shards());
        let running = shards.filter(|(_, shard)| shard.open().is_ok_and(|runtime| !runtime.is_standby));
        running.map(|(number, _)| number).collect()
    }

    /// Returns a reference to the entity of type `E` with this key. This sends and creates nothing. An invalid key is
    /// reported when the reference is used.
    ///
    /// Each operation is a method of the reference, which returns an [`Operation`](crate::entity::Operation): await it
    /// to call the entity, or signal it. [`EntityRef`](crate::EntityRef) has the methods of every reference.
    ///
    /// ```
    /// use abide::prelude::*;
    /// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    /// # struct Counter {
    /// #     total: i64,
    /// # }
    /// # #[operations]
    /// # impl Counter {
    /// #     pub fn add(&mut self, n: i64) -> i64 {
    /// #         self.total += n;
    /// #         self.total
    /// #     }
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
    /// let visits = hub.client().entity::<Counter>("visits");
    /// visits.add(2).signal().await?;
    /// assert_eq!(visits.add(3).await?, 5);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn entity<E: Entity>(&self, key: impl Key) -> E::Ref<Self> {
        reference::<E, Self>(self.share(), key)
    }
}

/// Returns the source that a client reads one shard from.
async fn source_of(hub: &HubRef) -> Result<Source> {
    match hub {
        #[cfg(feature = "cluster")]
        HubRef::Node(roles) => {
            let roles = roles.upgrade().ok_or_else(closed)?;
            let (standby, role) = (Arc::clone(roles.standby()), roles.subscribe());
            drop(roles);
            Ok(match reading(role).await? {
                Reading::Owner(runtime) => Source::Open(runtime),
                Reading::Copy(rows) => Source::Copied(standby, rows),
            })
        }
        hub => hub.open().map(Source::Open),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
