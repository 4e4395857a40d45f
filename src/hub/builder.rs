//! The configuration and opening of a hub.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::activity::{Activity, activity_code};
use crate::client::Client;
use crate::client::retention::Retention;
use crate::engine::{Limits, Registry, VersionPolicy};
use crate::entity::{Entity, Operations, entity_code};
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "cluster")]
use crate::hub::cluster::{self, ClusterPlace};
use crate::hub::handle::Hub;
use crate::hub::names;
#[cfg(feature = "cluster")]
use crate::hub::node::NodeHub;
use crate::hub::running::Running;
use crate::id::{EntityId, Shard, ShardId};
use crate::model::CommitRecord;
use crate::orchestration::{Orchestration, orchestration_code};
#[cfg(feature = "otel")]
use crate::otel::{Exporter, TracerProvider};
use crate::random;
use crate::runtime::mail::connect;
use crate::runtime::{Feed, Runtime, RuntimeConfig};
use crate::schedule::{self, ScheduleEntity};
#[cfg(feature = "cluster")]
use crate::store::rocks::replicated::OpenOptions;
use crate::store::{LOG_LIMIT, MEMORY_BUDGET, MemoryStore, PARTITIONS, Store, USUAL_PARTITIONS};
use crate::time::{Clock, SMALL_STEP};
#[cfg(feature = "cluster")]
use crate::transport::MAX_PAYLOAD_BYTES;

/// Tells an open that nobody waits for it any more.
#[derive(Debug, Default)]
pub(super) struct Canceled(pub(super) Arc<AtomicBool>);

impl Drop for Canceled {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns the part of the memory budget for data. The rest is for what an allocator takes in addition: with a million
/// waiting messages and a budget of 64 MiB, glibc's took about 40 % more.
fn memory_of_data(memory_budget: usize) -> usize {
    memory_budget / 4 * 3
}

/// Returns the store's share of the memory budget. The rest is for instances.
#[cfg(feature = "rocksdb")]
fn memory_of_store(memory_budget: usize) -> usize {
    memory_of_data(memory_budget) - memory_of_instances(memory_budget)
}

/// Returns the share of the data that is not the store's. Measured with 256 MiB: an eighth of it holds fewer than
/// 100,000 small entities, so signals spread over this many entities read them repeatedly.
fn memory_of_instances(memory_budget: usize) -> usize {
    memory_of_data(memory_budget) / 2
}

/// A builder that configures and opens a hub. Created by [`Hub::builder`] and [`Hub::in_memory`].
///
/// ```
/// use std::time::Duration;
///
/// use abide::hub::{Retention, VersionPolicy};
/// use abide::prelude::*;
///
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Account {
/// #     cents: i64,
/// # }
/// # #[operations]
/// # impl Account {
/// #     pub fn deposit(&mut self, cents: i64) {
/// #         self.cents += cents;
/// #     }
/// # }
/// # struct Mailer;
/// # #[activity]
/// # async fn send_receipt(mailer: Resource<Mailer>, customer: String) -> String {
/// #     customer
/// # }
/// # #[orchestration]
/// # async fn order(ctx: OrchestrationContext, customer: String) -> Result<String, Failure> {
/// #     Ok(ctx.call_activity::<send_receipt>(customer).await?)
/// # }
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// let hub = Hub::in_memory()
///     // What runs in the hub.
///     .entity::<Account>()
///     .orchestration::<order>()
///     .activity::<send_receipt>()
///     .resource(Mailer)
///     // Memory and threads.
///     .memory_budget(512 << 20)
///     .executors(2)
///     .activity_limit(64)
///     // Limits for single messages, states, operations and histories.
///     .payload_limit(1 << 20)
///     .state_limit(1 << 20)
///     .operation_timeout(Duration::from_secs(60))
///     .history_limit(10_000, 10 << 20)
///     // Limits for waiting messages.
///     .in_flight_limit(4_096)
///     .queue_limit(1_000)
///     // The time for which ended orchestrations, request ids and dead letters are kept.
///     .retention(Retention::ended(30 * DAY))
///     .request_retention(2 * DAY)
///     .dead_letter_retention(60 * DAY)
///     // New code may run orchestrations of older versions.
///     .version_policy(VersionPolicy::CurrentOrOlder)
///     .open()
///     .await?;
/// # hub.shutdown().await
/// # }
/// ```
#[must_use = "a hub is opened by `.open().await`"]
#[derive(Clone, Debug)]
pub struct HubBuilder {
    pub(super) place: Place,
    registry: Registry,
    /// The first configuration error, which is returned when the hub is opened.
    pub(super) error: Option<Error>,
    limits: Limits,
    memory_budget: usize,
    wal_limit: u64,
    partitions: u16,
    pub(super) shards: u16,
    executors: usize,
    in_flight: usize,
    retention: Retention,
    held: Vec<String>,
    restore: bool,
    accept_loss: bool,
    #[cfg(feature = "otel")]
    exporter: Option<Exporter>,
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    #[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
    Directory(PathBuf),
    #[cfg(feature = "cluster")]
    Cluster(ClusterPlace),
    Memory,
}

impl HubBuilder {
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self::new(Place::Directory(directory))
    }

    #[cfg(feature = "cluster")]
    pub(super) fn in_database(url: String, name: String) -> Self {
        Self::new(Place::Cluster(ClusterPlace::new(url, name)))
    }

    pub(super) fn memory() -> Self {
        Self::new(Place::Memory).strict_replay(true)
    }

    fn new(place: Place) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let builder = Self {
            place,
            registry: Registry::default(),
            error: None,
            limits: Limits::default(),
            memory_budget: MEMORY_BUDGET,
            wal_limit: LOG_LIMIT,
            partitions: USUAL_PARTITIONS,
            shards: 1,
            // A second executor gains little while tokio's threads, the syncer and RocksDB's share the cores with it.
            executors: (cores / 4).clamp(1, 8),
            in_flight: 16 * 1024,
            retention: Retention::default(),
            held: Vec::new(),
            restore: false,
            accept_loss: false,
            #[cfg(feature = "otel")]
            exporter: None,
        };
        // Schedules are entities that every hub needs.
        let builder = builder.entity::<ScheduleEntity>();
        #[cfg(feature = "http-client")]
        let builder = builder.activity::<crate::http_client::http_exchange>();
        builder
    }

    /// Registers an entity type. Opening the hub fails if two types have the same name.
    pub fn entity<E: Entity + Operations>(mut self) -> Self {
        if let Err(error) = self.registry.add_entity(entity_code::<E>()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Registers an orchestration. If several versions of one name are registered, the last one is the newest. Opening
    /// the hub fails if two orchestrations have the same name and version.
    pub fn orchestration<O: Orchestration>(mut self) -> Self {
        if let Err(error) = self.registry.add_orchestration(orchestration_code::<O>()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Registers an activity. Opening the hub fails if two activities have the same name. Calls of an unregistered
    /// activity wait until a build that registers it opens the hub.
    pub fn activity<A: Activity>(mut self) -> Self {
        if let Err(error) = self.registry.add_activity(activity_code::<A>()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Adds a value that activities and `async` operations share, such as a connection pool, an HTTP client or a
    /// configuration. They access it by its type, as a parameter [`Resource<T>`](crate::Resource) or with
    /// `ctx.resource`. The value is dropped with the hub.
    ///
    /// Opening the hub fails with [`ErrorKind::Configuration`] if two resources have the same type, or if a resource
    /// required by a parameter is missing.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// struct Rates { percent: i64 }
    ///
    /// #[activity]
    /// async fn tax(rates: Resource<Rates>, cents: i64) -> i64 {
    ///     cents * rates.percent / 100
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let error = Hub::in_memory().activity::<tax>().open().await.unwrap_err();
    /// assert!(error.to_string().contains("`tax` needs the resource"), "{error}");
    ///
    /// let hub = Hub::in_memory().activity::<tax>().resource(Rates { percent: 19 }).open().await?;
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn resource<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        if let Err(error) = self.registry.resources.add(value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Exports the spans of orchestrations, activities, timers and entities. See [`otel`](crate::otel).
    #[cfg(feature = "otel")]
    pub fn tracer_provider(mut self, provider: &TracerProvider) -> Self {
        self.limits.spans = Some(provider.sampling());
        self.exporter = Some(provider.exporter());
        self
    }

    /// Maximum number of activities running concurrently in the hub (default: 256). Further activities wait in order.
    /// An activity may have a lower limit of its own.
    ///
    /// Blocking activities count as well. They also need a blocking thread of tokio, which has 512 by default.
    pub fn activity_limit(mut self, at_once: usize) -> Self {
        self.limits.activities = at_once;
        self
    }

    /// Number of crashes during which an activity may have been running before it fails as
    /// [`Poisonous`](crate::ErrorKind::Poisonous) (default: 5, at least 1). Long activities need more where processes
    /// are killed regularly, such as on preemptible machines.
    pub fn activity_crash_limit(mut self, crashes: usize) -> Self {
        self.limits.crashes = crashes.max(1);
        self
    }

    /// Selects the code that may run an orchestration whose version is no longer registered. Defaults to
    /// [`VersionPolicy::Strict`]: the orchestration waits and is reported as stopped.
    pub fn version_policy(mut self, version_policy: VersionPolicy) -> Self {
        self.registry.version_policy = version_policy;
        self
    }

    /// Sets whether every turn of an orchestration replays its whole history, so that code that is not deterministic is
    /// detected at once. The cost grows with the square of the length of the history. Enabled by default for
    /// [hubs in memory](Hub::in_memory), which are for tests, and disabled for hubs in a directory.
    pub fn strict_replay(mut self, strict: bool) -> Self {
        self.limits.strict_replay = strict;
        self
    }

    /// Maximum length of the history of one execution of an orchestration, in events and in bytes (default: 50,000
    /// events and 50 MiB). An orchestration that reaches the limit is stopped, and listed as such. A warning is logged
    /// at a fifth of the events.
    pub fn history_limit(mut self, events: u64, bytes: u64) -> Self {
        (self.limits.history_events, self.limits.history_bytes) = (events, bytes);
        self
    }

    /// Maximum memory for data, in bytes (default: 256 MiB). It covers the block cache, rows that RocksDB does not have
    /// yet, entities and orchestrations kept between their turns, waiting messages, and the overhead of the allocator,
    /// which is assumed to be a third of all this.
    ///
    /// An entity counts with the JSON of its state. A live orchestration counts with its future, its input, its unread
    /// messages, and up to 256 KiB of its history. Other heap memory of its variables is not counted.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// Approximate number of bytes of log that an open after a kill may have to read (default: 64 MiB, at least 128
    /// KiB).
    pub fn wal_limit(mut self, bytes: u64) -> Self {
        self.wal_limit = bytes;
        self
    }

    /// Number of partitions of a new hub, between 1 and 4096 (default: 64). An existing hub keeps its number.
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// Number of shards of a new hub [over PostgreSQL](crate::Hub::cluster) or [in memory](crate::Hub::in_memory), at most the
    /// number of partitions (default: 1). An existing hub is refused with another number. To change it, export the
    /// hub and import it, see `cluster::Import::shards`.
    ///
    /// Over PostgreSQL, the nodes share the work: each runs some of the shards. Each shard has an executor, an order of commits
    /// and a log of its own. A message between instances of different shards is stored by both of them, so it takes at
    /// least twice as long, and more can happen in between. An entity that starts an orchestration, for instance, may be read
    /// before the orchestration is there. A hub in memory with several shards shows a test how a program works on several
    /// machines.
    ///
    /// Each shard has an equal share of the memory budget, of [`in_flight_limit`](Self::in_flight_limit) and of
    /// [`activity_limit`](Self::activity_limit), and at least one activity and one message. The limit of one kind of activity
    /// holds in each shard.
    ///
    /// With the feature `testing`, the environment variable `ABIDE_SHARDS` sets the number for each hub in memory that does
    /// not set it, so that all tests of a program can run a second time, on divided hubs. With the feature `cluster` as well,
    /// `ABIDE_CLUSTER=postgres://…` opens each hub in memory as a new hub over that database.
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = shards;
        self
    }

    /// Number of threads that execute operations. Defaults to a quarter of the cores, between 1 and 8.
    pub fn executors(mut self, threads: usize) -> Self {
        self.executors = threads;
        self
    }

    /// Maximum number of messages from clients that the hub has accepted but neither settled nor stored (default:
    /// 16,384). Further messages wait for room. With `refuse_when_full`, they fail with [`ErrorKind::Overloaded`]
    /// instead.
    ///
    /// Each executor has an equal share, so that a hanging executor takes no room from the others. A message that has
    /// to wait for its instance is stored, and then counts toward [`queue_limit`](Self::queue_limit). A client that
    /// gives up takes no room.
    pub fn in_flight_limit(mut self, messages: usize) -> Self {
        self.in_flight = messages;
        self
    }

    /// Maximum number of messages from clients that wait for one instance (default: 10,000). The instance is a busy or
    /// quarantined entity, or a suspended or stopped orchestration. Beyond the limit, clients wait or receive an error.
    /// Messages between instances have no such limit.
    pub fn queue_limit(mut self, messages: usize) -> Self {
        self.limits.queue = messages;
        self
    }

    /// Maximum size of the payload of one message in bytes (default: 2 MiB). In a hub whose nodes listen, it is at most 64 MiB.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.limits.payload_bytes = bytes;
        self
    }

    /// Maximum size of the state of one entity in bytes (default: 2 MiB).
    pub fn state_limit(mut self, bytes: usize) -> Self {
        self.limits.state_bytes = bytes;
        self
    }

    /// Maximum number of messages that one operation sends, and of commands that one turn of an orchestration issues
    /// (default: 10,000).
    pub fn action_limit(mut self, messages: usize) -> Self {
        self.limits.actions = messages;
        self
    }

    /// Maximum duration of an `async` operation (default: five minutes). After this time, the operation is dropped at
    /// its next await and fails. One that blocks its thread fails a second later. The next operation of the entity
    /// begins once the old one is gone.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.limits.async_timeout = timeout;
        self
    }

    /// The time for which a request id is remembered, counted from its first use (default: one day). A partition with
    /// more than 100,000 ids forgets the oldest earlier, but none that is younger than a minute.
    pub fn request_retention(mut self, retention: Duration) -> Self {
        self.limits.request_retention = retention;
        self
    }

    /// The time for which a dead letter is kept (default: 30 days). A partition with more than 1,000 dead letters drops
    /// some earlier.
    pub fn dead_letter_retention(mut self, retention: Duration) -> Self {
        self.limits.dead_letter_retention = retention;
        self
    }

    /// Purges orchestrations that ended long ago. By default, only clients purge orchestrations.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use abide::{Hub, hub::Retention};
    /// let week = Duration::from_secs(7 * 24 * 60 * 60);
    /// let hub = Hub::in_memory().retention(Retention::completed(week).failed(4 * week));
    /// # let _ = hub;
    /// ```
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Opens the hub with this entity held: its messages wait and its code does not run until it is released. Use it if
    /// an operation on the entity's state kills the process.
    ///
    /// ```
    /// use abide::prelude::*;
    /// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    /// # struct Report {
    /// #     lines: Vec<String>,
    /// # }
    /// # #[operations]
    /// # impl Report {
    /// #     pub fn add(&mut self, line: String) {
    /// #         self.lines.push(line);
    /// #     }
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::in_memory().entity::<Report>().hold("@report@2026-11").open().await?;
    /// let client = hub.client();
    /// let november = client.entity::<Report>("2026-11");
    /// assert!(november.add("a call fails".into()).await.is_err());
    /// november.add("a signal waits".into()).signal().await?;
    ///
    /// client.admin().release_quarantine(november.id()?).await?;
    /// november.add("a call succeeds".into()).await?;
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn hold(mut self, id: impl Into<String>) -> Self {
        self.held.push(id.into());
        self
    }

    /// Restores a copy made by [`Hub::checkpoint`], so that it can be opened. A restored copy begins a new incarnation.
    /// A backup that is only inspected therefore does not act in the name of the original.
    pub fn restore(mut self) -> Self {
        self.restore = true;
        self
    }

    /// Opens the hub although acknowledged commits are missing. Use it after the disk has lost them.
    pub fn accept_loss(mut self) -> Self {
        self.accept_loss = true;
        self
    }

    /// Opens the hub. This must be awaited inside a tokio runtime with time enabled, which then runs `async`
    /// operations.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let error = Hub::in_memory().partitions(0).open().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Configuration);
    ///
    /// let hub = Hub::in_memory().partitions(16).open().await?;
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind:
    /// * [`ErrorKind::Locked`] if the directory is open, in another process or as another hub of this one,
    /// * [`ErrorKind::Format`] if the directory is not a hub, or has another format version,
    /// * [`ErrorKind::Corrupted`] if acknowledged data is missing,
    /// * [`ErrorKind::Copy`] if the directory is a copy and [`restore`](Self::restore) was not called,
    /// * [`ErrorKind::Configuration`] if the configuration is invalid,
    /// * [`ErrorKind::Io`] if the operating system or the store fails.
    pub async fn open(mut self) -> Result<Hub> {
        let tokio = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::new(
                ErrorKind::Configuration,
                "a hub can only be opened inside a tokio runtime",
            )
            .with_source(error)
        })?;
        #[cfg(all(feature = "testing", feature = "cluster"))]
        self.move_for_tests()?;
        self.check()?;
        let opening = tokio.clone();
        let canceled = Canceled::default();
        let is_canceled = Arc::clone(&canceled.0);
        let task = tokio.spawn_blocking(move || self.start(opening, is_canceled));
        task.await.map_err(|error| {
            Error::new(ErrorKind::Closed, "the hub was not opened: its task ended").with_source(error)
        })?
    }

    /// Returns the number of partitions of a new hub.
    #[cfg(feature = "testing")]
    pub(crate) fn partition_count(&self) -> u16 {
        self.partitions
    }

    /// Returns the registrations and the limits.
    #[cfg(feature = "testing")]
    pub(crate) fn code(&self) -> (&Registry, &Limits) {
        (&self.registry, &self.limits)
    }

    /// Returns the first error of a registration.
    #[cfg(feature = "testing")]
    pub(crate) fn check_registrations(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Returns the code, for a test that replaces some of it.
    #[cfg(feature = "testing")]
    pub(crate) fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Returns the registrations and the limits, for an inspection.
    #[cfg(feature = "rocksdb")]
    pub(super) fn into_code(self) -> Result<(Registry, Limits)> {
        match self.error {
            Some(error) => Err(error),
            None => Ok((self.registry, self.limits)),
        }
    }

    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        #[cfg(feature = "testing")]
        self.divide_for_tests()?;
        self.registry.check_resources()?;
        for id in &self.held {
            id.parse::<EntityId>()?;
        }
        if cfg!(panic = "abort") {
            return Err(configuration(
                "this program is built with `panic = \"abort\"`, so a panic in one operation would end the process; \
                 remove it from the profile",
            ));
        }
        if !PARTITIONS.contains(&self.partitions) {
            return Err(configuration("`partitions` must be between 1 and 4096"));
        }
        if self.shards == 0 || self.shards > self.partitions {
            return Err(configuration(
                "`shards` must be between 1 and the number of `partitions`",
            ));
        }
        if self.shards > 1 {
            self.check_divided()?;
        }
        #[cfg(feature = "cluster")]
        if let Place::Cluster(place) = &self.place
            && place.listens().is_some()
            && self.limits.payload_bytes > MAX_PAYLOAD_BYTES
        {
            return Err(configuration(
                "`payload_limit` must be at most 64 MiB (67108864) with `.listen`, because nodes send no larger messages to each \
                 other",
            ));
        }
        if self.limits.activities == 0 {
            return Err(configuration("`activity_limit` must be at least 1"));
        }
        if self.in_flight == 0 || self.limits.queue == 0 {
            return Err(configuration("`in_flight_limit` and `queue_limit` must be at least 1"));
        }
        Ok(())
    }

    /// Checks that this hub can have several shards.
    fn check_divided(&self) -> Result<()> {
        match &self.place {
            Place::Memory => Ok(()),
            Place::Directory(_) => Err(configuration(
                "a hub in a directory has one shard; only a hub over PostgreSQL or in memory can have several `shards`",
            )),
            #[cfg(feature = "cluster")]
            Place::Cluster(place) if place.listens().is_none() => Err(configuration(
                "a hub of several `shards` needs `.listen`, so that its nodes can reach each other",
            )),
            #[cfg(feature = "cluster")]
            Place::Cluster(_) => Ok(()),
        }
    }

    /// Divides a hub in memory as the environment says.
    #[cfg(feature = "testing")]
    fn divide_for_tests(&mut self) -> Result<()> {
        let Some(shards) = std::env::var_os("ABIDE_SHARDS").filter(|_| matches!(self.place, Place::Memory)) else {
            return Ok(());
        };
        let count = shards
            .to_str()
            .and_then(|text| text.parse::<u16>().ok())
            .filter(|count| *count > 0);
        let invalid =
            || configuration("the environment variable `ABIDE_SHARDS` must be the number of shards of a hub in memory");
        if self.shards == 1 {
            self.shards = count.ok_or_else(invalid)?.min(self.partitions.max(1));
        }
        Ok(())
    }

    fn start(self, tokio: tokio::runtime::Handle, canceled: Arc<AtomicBool>) -> Result<Hub> {
        #[cfg(feature = "cluster")]
        if let Place::Cluster(place) = &self.place
            && let Some((listen, advertised)) = place.listens()
        {
            let how = self.node_options(place, Arc::default())?;
            let (listen, advertised) = (listen.to_owned(), advertised.map(str::to_owned));
            let node = NodeHub::open(self, how, &listen, advertised.as_deref(), tokio, &canceled)?;
            return Ok(Hub::of_node(node));
        }
        if self.shards > 1 {
            return self.start_shards(&tokio);
        }
        let opened = self.open_store(canceled)?;
        let (running, unregistered) = self.run(opened, Arc::default(), tokio)?;
        Ok(Hub::new(vec![running], unregistered))
    }

    /// Starts a hub of several shards in memory.
    fn start_shards(self, tokio: &tokio::runtime::Handle) -> Result<Hub> {
        let hub: Arc<str> = random::uuid().to_string().into();
        let (feed, count) = (Arc::default(), self.shards);
        let mut shards = Vec::new();
        for id in (0..count).map(ShardId) {
            let opened = OpenStore {
                shard: Shard { id, count },
                ..self.in_memory(Arc::clone(&hub))
            };
            match self.clone().run(opened, Arc::clone(&feed), tokio.clone()) {
                Ok((running, _)) => shards.push(running),
                Err(error) => {
                    shards.into_iter().for_each(Running::abandon);
                    return Err(error);
                }
            }
        }
        let runtimes: Vec<_> = shards.iter().map(|shard| Arc::clone(&shard.runtime)).collect();
        connect(&runtimes);
        Ok(Hub::new(shards, Vec::new()))
    }

    /// Returns the new store of a hub in memory.
    fn in_memory(&self, hub: Arc<str>) -> OpenStore {
        OpenStore {
            store: Arc::new(MemoryStore::new()),
            last: CommitRecord::before_the_first(self.partitions),
            partitions: self.partitions,
            calm_since: 0,
            hub,
            shard: Shard::WHOLE,
            held: Vec::new(),
        }
    }

    /// Runs the hub or the shard of an open store, whose watchers read `feed`. Returns the names in the store that are not
    /// registered as well.
    pub(super) fn run(
        self,
        opened: OpenStore,
        feed: Arc<Feed>,
        tokio: tokio::runtime::Handle,
    ) -> Result<(Running, Vec<String>)> {
        let clock = Clock::start(opened.last.clock);
        warn_about_clock(&clock);
        let Prepared {
            store,
            last,
            config,
            startup,
        } = self.prepare(opened, clock)?;
        let unregistered = startup.unregistered.clone();
        let config = RuntimeConfig { feed, ..config };
        let (runtime, threads) = Runtime::start(store, last, config, tokio)?;
        startup.begin(Client::new(&runtime), &runtime.tokio);
        Ok((Running::new(runtime, threads), unregistered))
    }

    /// Returns the configuration of the runtime of a node that waits, for a shard.
    #[cfg(feature = "cluster")]
    pub(super) fn standby_config(
        self,
        hub: Arc<str>,
        partitions: u16,
        shard: Shard,
        feed: Arc<Feed>,
        clock: Clock,
    ) -> RuntimeConfig {
        RuntimeConfig {
            feed,
            ..self.config(hub, partitions, shard, clock)
        }
    }

    fn config(self, hub: Arc<str>, partitions: u16, shard: Shard, clock: Clock) -> RuntimeConfig {
        // Each shard has an equal share of what a hub may take.
        let share = |whole: usize| (whole / usize::from(shard.count)).max(1);
        let of_instances = share(memory_of_instances(self.memory_budget));
        #[cfg(feature = "cluster")]
        let database = match &self.place {
            Place::Cluster(place) => Some(place.in_database()),
            _ => None,
        };
        RuntimeConfig {
            hub,
            registry: self.registry,
            limits: Limits {
                // The memory that is not the store's: five eighths for entities, two for live orchestrations, and one
                // for waiting messages.
                cache_bytes: of_instances / 8 * 5,
                live_bytes: of_instances / 4,
                queue_bytes: of_instances / 8,
                activities: share(self.limits.activities),
                ..self.limits
            },
            partitions,
            shard,
            executors: self.executors,
            in_flight: share(self.in_flight.min(tokio::sync::Semaphore::MAX_PERMITS)),
            held: BTreeSet::new(),
            feed: Arc::default(),
            calm_since: 0,
            clock,
            #[cfg(feature = "otel")]
            exporter: self.exporter,
            #[cfg(feature = "testing")]
            is_local: false,
            is_standby: false,
            #[cfg(feature = "cluster")]
            database,
        }
    }

    /// Prepares the runtime of a hub whose store is open.
    ///
    /// # Errors
    /// Returns an error if the id of a held entity is invalid, or any error of the store.
    pub(crate) fn prepare(self, opened: OpenStore, clock: Clock) -> Result<Prepared> {
        let OpenStore {
            store,
            last,
            partitions,
            calm_since,
            hub,
            shard,
            held,
        } = opened;
        let held: BTreeSet<_> = self
            .held
            .iter()
            .chain(&held)
            .map(|id| id.parse::<EntityId>().map(|id| id.instance().clone()))
            .collect::<Result<_>>()?;
        let mut unregistered = names::unregistered(store.as_ref(), partitions, &self.registry)?;
        for name in &unregistered {
            tracing::warn!(
                name,
                "the store contains an entity type that is not registered; its messages wait"
            );
        }
        for name in names::unregistered_orchestrations(store.as_ref(), partitions, &self.registry)? {
            tracing::warn!(
                name,
                "the store contains orchestrations of a name or version that is not registered; they wait"
            );
            unregistered.push(name);
        }
        let startup = StartupTasks {
            astray: schedule::astray(store.as_ref(), partitions, clock.now())?,
            retention: self.retention.clone(),
            unregistered,
        };
        let config = RuntimeConfig {
            held,
            calm_since,
            ..self.config(hub, partitions, shard, clock)
        };
        Ok(Prepared {
            store,
            last,
            config,
            startup,
        })
    }

    /// Returns the options of a node of the hub.
    #[cfg(feature = "cluster")]
    fn node_options(&self, place: &ClusterPlace, canceled: Arc<AtomicBool>) -> Result<OpenOptions> {
        if self.restore || self.accept_loss {
            return Err(configuration(
                "`restore` and `accept_loss` are only for a hub in a directory; a hub over PostgreSQL has what the database \
                 has",
            ));
        }
        let memory_budget = memory_of_store(self.memory_budget);
        place.options(memory_budget, self.wal_limit, self.partitions, self.shards, canceled)
    }

    #[cfg_attr(
        not(feature = "cluster"),
        expect(unused_variables, reason = "only the wait for another node is canceled")
    )]
    fn open_store(&self, canceled: Arc<AtomicBool>) -> Result<OpenStore> {
        match &self.place {
            #[cfg(feature = "cluster")]
            Place::Cluster(place) => cluster::open_store(&self.node_options(place, canceled)?),
            Place::Memory => Ok(self.in_memory(random::uuid().to_string().into())),
            #[cfg(feature = "rocksdb")]
            Place::Directory(directory) => {
                let options = crate::store::OpenOptions {
                    memory_budget: memory_of_store(self.memory_budget),
                    wal_limit: self.wal_limit,
                    partitions: self.partitions,
                    restore: self.restore,
                    accept_loss: self.accept_loss,
                    moves: false,
                };
                let opened = crate::store::open(directory, &options)?;
                tracing::info!(
                    directory = %directory.display(),
                    created = opened.created,
                    clean = opened.clean,
                    incarnation = opened.incarnation,
                    "opened the store"
                );
                Ok(OpenStore::new(
                    Arc::new(opened.store),
                    opened.last_commit,
                    opened.partitions,
                    opened.calm_since,
                    format!("{}-{}", opened.hub, opened.incarnation),
                ))
            }
            #[cfg(not(feature = "rocksdb"))]
            Place::Directory(_) => Err(configuration(
                "a hub in a directory needs the feature `rocksdb`, which is disabled in this build of abide",
            )),
        }
    }
}

/// An opened store, and what it contains about the hub.
pub(crate) struct OpenStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) last: CommitRecord,
    pub(crate) partitions: u16,
    /// Work that began in this batch or later was not running in a crash.
    pub(crate) calm_since: u64,
    /// The id and incarnation of the hub, as one text.
    pub(crate) hub: Arc<str>,
    pub(crate) shard: Shard,
    /// The ids of entities to hold, besides those of the builder.
    pub(crate) held: Vec<String>,
}

#[cfg(feature = "rocksdb")]
impl OpenStore {
    /// Describes a store whose newest commit is `last`, if it has one. `hub` is its id and incarnation.
    pub(super) fn new(
        store: Arc<dyn Store>,
        last: Option<CommitRecord>,
        partitions: u16,
        calm_since: u64,
        hub: String,
    ) -> Self {
        Self {
            store,
            last: last.unwrap_or_else(|| CommitRecord::before_the_first(partitions)),
            partitions,
            calm_since,
            hub: hub.into(),
            shard: Shard::WHOLE,
            held: Vec::new(),
        }
    }
}

/// Everything that the runtime of a hub needs.
pub(crate) struct Prepared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) last: CommitRecord,
    pub(crate) config: RuntimeConfig,
    pub(crate) startup: StartupTasks,
}

/// The work that begins once a hub runs.
pub(crate) struct StartupTasks {
    /// The ids of schedules that were planned under another clock.
    astray: Vec<String>,
    retention: Retention,
    /// The names in the store that are not registered.
    unregistered: Vec<String>,
}

impl StartupTasks {
    /// Begins the work on the tokio runtime of the hub. Its tasks end by themselves soon after the hub has closed.
    #[expect(clippy::disallowed_methods, reason = "the tasks of an open hub are spawned here")]
    pub(crate) fn begin(self, client: Client, tokio: &tokio::runtime::Handle) {
        if self.retention != Retention::default() {
            tokio.spawn(self.retention.keep(client.clone()));
        }
        if !self.astray.is_empty() {
            tokio.spawn(schedule::plan_again(client, self.astray));
        }
    }
}

/// Logs problems with the clock. Otherwise, they show only when something is late or gone.
fn warn_about_clock(clock: &Clock) {
    let (now, behind, ahead) = (clock.now(), clock.behind(), clock.ahead());
    if behind > SMALL_STEP {
        tracing::warn!(
            %now,
            ?behind,
            "the clock is behind the newest commit of this hub: it is wrong now, or it was wrong before; timers and scheduled \
             signals wait until it reaches their times"
        );
    }
    if clock.aging().is_held(now) {
        tracing::warn!(
            %now,
            ?ahead,
            "the clock is far ahead of the newest commit of this hub; nothing is deleted because of its age until the hub has \
             been open for an hour. If the clock is wrong, shut the hub down and correct the clock"
        );
    }
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
