//! How a hub is configured and opened.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::activity::{Activity, activity_code};
use crate::client::Client;
use crate::client::retention::Retention;
use crate::engine::{Limits, Registry, VersionPolicy};
use crate::entity::{Entity, Operations, entity_code};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::handle::Hub;
use crate::hub::names;
use crate::id::EntityId;
use crate::orchestration::{Orchestration, orchestration_code};
use crate::runtime::{Runtime, RuntimeConfig};
use crate::schedule::{self, ScheduleEntity};
use crate::store::records::CommitRecord;
use crate::store::{Model, Store};
use crate::time::{Clock, SMALL_STEP};

/// How many bytes of log an open after a kill may have to read, if nothing is said.
pub(crate) const WAL_LIMIT: u64 = 64 << 20;

/// The store's part of the memory budget. The rest is the entities'.
#[cfg(feature = "rocksdb")]
pub(crate) fn memory_of_store(memory_budget: usize) -> usize {
    memory_budget - memory_of_instances(memory_budget)
}

/// The share of the budget that is not the store's. Measured with 256 MiB: an eighth of it holds fewer than 100 000 small
/// entities, so that signals spread over so many read them again and again.
fn memory_of_instances(memory_budget: usize) -> usize {
    memory_budget / 2
}

/// How a hub is configured. Made by [`Hub::builder`] and [`Hub::in_memory`].
#[must_use = "a hub is opened by `.open().await`"]
#[derive(Debug)]
pub struct HubBuilder {
    place: Place,
    registry: Registry,
    /// The first thing that cannot work; told when the hub is opened.
    error: Option<Error>,
    limits: Limits,
    memory_budget: usize,
    wal_limit: u64,
    partitions: u16,
    executors: usize,
    in_flight: usize,
    retention: Retention,
    held: Vec<String>,
    restore: bool,
    accept_loss: bool,
}

#[derive(Debug)]
enum Place {
    #[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
    Directory(PathBuf),
    Memory,
}

impl HubBuilder {
    pub(super) fn directory(directory: PathBuf) -> Self {
        Self::new(Place::Directory(directory))
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
            memory_budget: 256 << 20,
            wal_limit: WAL_LIMIT,
            partitions: 64,
            // A second executor gains little while tokio's threads, the syncer and RocksDB's share the cores with it.
            executors: (cores / 4).clamp(1, 8),
            in_flight: 16 * 1024,
            retention: Retention::default(),
            held: Vec::new(),
            restore: false,
            accept_loss: false,
        };
        // Every hub knows its own schedules.
        let builder = builder.entity::<ScheduleEntity>();
        #[cfg(feature = "http-client")]
        let builder = builder.activity::<crate::http_client::http_exchange>();
        builder
    }

    /// Registers an entity type. Two types with one name are an error when the hub is opened.
    pub fn entity<E: Entity + Operations>(mut self) -> Self {
        if let Err(error) = self.registry.add_entity(entity_code::<E>()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Registers an orchestration. Of several versions of one name the last that is registered is the newest; two of one
    /// name and version are an error when the hub is opened.
    pub fn orchestration<O: Orchestration>(mut self) -> Self {
        if let Err(error) = self.registry.add_orchestration(orchestration_code::<O>()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Registers an activity. Two activities with one name are an error when the hub is opened. What was asked for and is
    /// not registered waits, until a build that knows it opens the hub.
    pub fn activity<A: Activity>(mut self) -> Self {
        if let Err(error) = self.registry.add_activity(activity_code::<A>()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Gives the hub something that its activities and `async` operations share: a connection pool, an HTTP client, a
    /// configuration. They ask for it by its type, as a parameter [`Resource<T>`](crate::Resource) or with `ctx.resource`.
    /// It is dropped with the hub.
    ///
    /// Opening the hub fails with [`ErrorKind::Configuration`] if two resources have the same type, or if one that a parameter
    /// takes is missing.
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

    /// The most activities that run at one time in the hub; 256 if nothing is said. More wait in their order, and an
    /// activity may have a lower limit of its own. Blocking ones count, and also need a thread of tokio's, of which there
    /// are 512 if nothing else is said.
    pub fn activity_limit(mut self, at_once: usize) -> Self {
        self.limits.activities = at_once;
        self
    }

    /// In how many crashes one activity may have been running before it fails as
    /// [`Poisonous`](crate::ErrorKind::Poisonous); 5 if nothing is said, and 1 at least. Where processes are killed in the
    /// course of things, as on machines that may be taken away, long activities need more.
    pub fn activity_crash_limit(mut self, crashes: usize) -> Self {
        self.limits.crashes = crashes.max(1);
        self
    }

    /// Which code may run an orchestration that was started with a version which is not registered any more. If nothing is
    /// said, none: it waits, visibly.
    pub fn version_policy(mut self, version_policy: VersionPolicy) -> Self {
        self.registry.version_policy = version_policy;
        self
    }

    /// Whether every turn of an orchestration replays its whole history, so that code which is not deterministic shows at
    /// once. It costs time with the square of a history's length. If nothing is said, a hub [in memory](Hub::in_memory),
    /// which is one for tests, does so, and one in a directory does not.
    pub fn strict_replay(mut self, strict: bool) -> Self {
        self.limits.strict_replay = strict;
        self
    }

    /// The longest history of one execution of an orchestration, in events and in bytes; 50 000 and 50 MiB if nothing is
    /// said. One that has reached it is stopped, visibly. A fifth of the events is warned of in the log.
    pub fn history_limit(mut self, events: u64, bytes: u64) -> Self {
        (self.limits.history_events, self.limits.history_bytes) = (events, bytes);
        self
    }

    /// Maximum memory for what grows with the data, in bytes: block cache, rows that RocksDB does not have yet, the entities
    /// and orchestrations that are kept between their turns, and messages that wait (default: 256 MiB). An entity is counted by
    /// the JSON of its state, and a live orchestration by its future, its input, what it has not read, and up to 256 KiB of its
    /// history; what else its variables keep on the heap cannot be seen.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// How many bytes of log an open after a kill may have to read, about, and at least 128 KiB. 64 MiB if nothing is said.
    pub fn wal_limit(mut self, bytes: u64) -> Self {
        self.wal_limit = bytes;
        self
    }

    /// How many partitions a new hub has, 1 to 4096; 64 if nothing is said. An existing hub keeps its own number.
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// How many threads execute operations. A quarter of the cores if nothing is said, at least one.
    pub fn executors(mut self, threads: usize) -> Self {
        self.executors = threads;
        self
    }

    /// Maximum number of messages of clients that are taken in and neither settled nor stored (default: 16 384). More
    /// messages wait, or fail with [`ErrorKind::Overloaded`] if they were sent by a `try_` form.
    ///
    /// Each executor has an equal share, so that one that hangs takes no room from the others. A message that has to wait for
    /// its instance is stored, and counts in [`queue_limit`](Self::queue_limit) from then on. A client that gives up takes no
    /// room.
    pub fn in_flight_limit(mut self, messages: usize) -> Self {
        self.in_flight = messages;
        self
    }

    /// Maximum number of messages that wait for one entity that is busy or quarantined, or for one orchestration that is
    /// suspended or stopped, before clients have to wait or get an error (default: 10 000). Messages between instances have no
    /// such limit.
    pub fn queue_limit(mut self, messages: usize) -> Self {
        self.limits.queue = messages;
        self
    }

    /// The largest payload of one message in bytes; 2 MiB if nothing is said.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.limits.payload_bytes = bytes;
        self
    }

    /// The largest state of one entity in bytes; 2 MiB if nothing is said.
    pub fn state_limit(mut self, bytes: usize) -> Self {
        self.limits.state_bytes = bytes;
        self
    }

    /// The most messages that one operation may send; 10 000 if nothing is said.
    pub fn action_limit(mut self, messages: usize) -> Self {
        self.limits.actions = messages;
        self
    }

    /// Maximum time that an `async` operation may run (default: five minutes). After it the operation is dropped at its next
    /// await, and fails. One that blocks its thread fails a second later. The next operation of its entity begins when it is
    /// gone.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.limits.async_timeout = timeout;
        self
    }

    /// The time for which a request id is remembered, counted from its first use (default: one day). A partition with more
    /// than 100 000 ids forgets the oldest before, but none that is younger than a minute.
    pub fn request_retention(mut self, retention: Duration) -> Self {
        self.limits.request_retention = retention;
        self
    }

    /// The time for which a dead letter is kept (default: 30 days). A partition with more than 1 000 drops some before.
    pub fn dead_letter_retention(mut self, retention: Duration) -> Self {
        self.limits.dead_letter_retention = retention;
        self
    }

    /// Purges orchestrations that ended long ago; if nothing is said, none is ever purged but by a client.
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

    /// Opens with this entity held: its messages wait and its code does not run until it is resumed. The way out of a
    /// state whose operation kills the process.
    pub fn hold(mut self, id: impl Into<String>) -> Self {
        self.held.push(id.into());
        self
    }

    /// Lets a copy that was made by [`Hub::checkpoint`] work. It begins a new incarnation, so that a backup that is
    /// opened to look at it does not act in the original's name.
    pub fn restore(mut self) -> Self {
        self.restore = true;
        self
    }

    /// Opens although commits that were acknowledged are missing: the way out after the disk lost them.
    pub fn accept_loss(mut self) -> Self {
        self.accept_loss = true;
        self
    }

    /// Opens the hub. It has to be awaited inside a tokio runtime with time enabled, on which `async` operations run.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if another process has it, [`ErrorKind::Format`] if the directory is no hub or a newer
    /// one's, [`ErrorKind::Corrupted`] if something acknowledged is missing, [`ErrorKind::Copy`] if it is a copy that
    /// was not released by [`restore`](Self::restore), [`ErrorKind::Configuration`] if the builder cannot work, and
    /// [`ErrorKind::Io`].
    pub async fn open(mut self) -> Result<Hub> {
        let tokio = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Configuration, "a hub is opened inside a tokio runtime").with_source(error)
        })?;
        self.check()?;
        let opening = tokio.clone();
        let task = tokio.spawn_blocking(move || self.start(opening));
        task.await.map_err(|error| {
            Error::new(ErrorKind::Closed, "the hub was not opened: its task ended").with_source(error)
        })?
    }

    /// What is registered, and the limits, for who looks at a hub without opening it.
    #[cfg(feature = "rocksdb")]
    pub(super) fn into_code(self) -> Result<(Registry, Limits)> {
        match self.error {
            Some(error) => Err(error),
            None => Ok((self.registry, self.limits)),
        }
    }

    fn check(&mut self) -> Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.registry.check_resources()?;
        if cfg!(panic = "abort") {
            return Err(configuration(
                "this program is built with `panic = \"abort\"`, so a panic in one operation would end the process; \
                 remove it from the profile",
            ));
        }
        if !(1..=4096).contains(&self.partitions) {
            return Err(configuration("a hub has 1 to 4096 partitions"));
        }
        if self.limits.activities == 0 {
            return Err(configuration("a limit of no activities would let none begin"));
        }
        if self.in_flight == 0 || self.limits.queue == 0 {
            return Err(configuration("a limit of no messages would let nothing in"));
        }
        Ok(())
    }

    fn start(self, tokio: tokio::runtime::Handle) -> Result<Hub> {
        let held: BTreeSet<_> = self
            .held
            .iter()
            .map(|id| id.parse::<EntityId>().map(|id| id.instance().clone()))
            .collect::<Result<_>>()?;
        let OpenStore {
            store,
            last,
            partitions,
            calm_since,
            hub,
        } = self.open_store()?;
        let clock = Clock::start(last.clock);
        tell_of_clock(&clock);
        let mut unregistered = names::unregistered(store.as_ref(), partitions, &self.registry)?;
        for name in &unregistered {
            tracing::warn!(
                name,
                "the store mentions an entity type that is not registered; its messages wait"
            );
        }
        for name in names::unregistered_orchestrations(store.as_ref(), partitions, &self.registry)? {
            tracing::warn!(
                name,
                "the store holds orchestrations of this name that are not registered; they wait"
            );
            unregistered.push(name);
        }
        let astray = schedule::astray(store.as_ref(), partitions, clock.now())?;
        let config = RuntimeConfig {
            hub,
            registry: self.registry,
            limits: Limits {
                // What is not the store's: five eighths for entities, two for the code of orchestrations, and one for messages
                // that wait.
                cache_bytes: memory_of_instances(self.memory_budget) / 8 * 5,
                live_bytes: memory_of_instances(self.memory_budget) / 4,
                queue_bytes: memory_of_instances(self.memory_budget) / 8,
                ..self.limits
            },
            partitions,
            executors: self.executors,
            in_flight: self.in_flight.min(tokio::sync::Semaphore::MAX_PERMITS),
            held,
            calm_since,
            clock,
        };
        let runtime_of_tokio = tokio.clone();
        let (runtime, threads) = Runtime::start(store, last, config, tokio)?;
        let hub = Hub::new(runtime, threads, unregistered);
        purge_by_age(&runtime_of_tokio, self.retention, hub.client());
        wake_schedules(&runtime_of_tokio, hub.client(), astray);
        Ok(hub)
    }

    fn open_store(&self) -> Result<OpenStore> {
        match &self.place {
            Place::Memory => Ok(OpenStore {
                store: Arc::new(Model::new()),
                last: CommitRecord::before_the_first(self.partitions),
                partitions: self.partitions,
                calm_since: 0,
                hub: draw_hub_id().into(),
            }),
            #[cfg(feature = "rocksdb")]
            Place::Directory(directory) => {
                let options = crate::store::OpenOptions {
                    memory_budget: memory_of_store(self.memory_budget),
                    wal_limit: self.wal_limit,
                    partitions: self.partitions,
                    restore: self.restore,
                    accept_loss: self.accept_loss,
                };
                let opened = crate::store::open(directory, &options)?;
                tracing::info!(
                    directory = %directory.display(),
                    created = opened.created,
                    clean = opened.clean,
                    incarnation = opened.incarnation,
                    "the store is open"
                );
                let partitions = opened.partitions;
                Ok(OpenStore {
                    last: opened
                        .last_commit
                        .unwrap_or_else(|| CommitRecord::before_the_first(partitions)),
                    partitions,
                    calm_since: opened.calm_since,
                    hub: format!("{}-{}", opened.hub, opened.incarnation).into(),
                    store: Arc::new(opened.store),
                })
            }
            #[cfg(not(feature = "rocksdb"))]
            Place::Directory(_) => Err(configuration(
                "a hub in a directory needs the feature `rocksdb`, which this build of abide has switched off",
            )),
        }
    }
}

/// A store that was opened, and what it says about the hub.
struct OpenStore {
    store: Arc<dyn Store>,
    last: CommitRecord,
    partitions: u16,
    /// Whatever began in this batch or later was not running in a crash.
    calm_since: u64,
    /// The hub's id and incarnation, as one text.
    hub: Arc<str>,
}

/// Logs what is odd about the clock. Otherwise it is noticed only when something is late, or gone.
fn tell_of_clock(clock: &Clock) {
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
            "the clock is far ahead of what this hub has stored; nothing is deleted because of its age until the hub has been \
             open for an hour. If the clock is wrong, shut the hub down and set it right"
        );
    }
}

/// Begins to purge what the retention names. The task ends by itself soon after the hub has closed.
#[expect(clippy::disallowed_methods, reason = "the task of the retention is spawned here")]
fn purge_by_age(tokio: &tokio::runtime::Handle, retention: Retention, client: Client) {
    if retention != Retention::default() {
        tokio.spawn(retention.keep(client));
    }
}

/// Wakes schedules that were planned under another clock.
#[expect(clippy::disallowed_methods, reason = "the task that wakes schedules is spawned here")]
fn wake_schedules(tokio: &tokio::runtime::Handle, client: Client, schedules: Vec<String>) {
    if !schedules.is_empty() {
        tokio.spawn(schedule::plan_again(client, schedules));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the id of a hub without a directory is drawn here"
)]
fn draw_hub_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
