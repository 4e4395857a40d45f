//! The state shared by the threads of an open hub, and the start and end of these threads.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::sync::oneshot;

use crate::commit::{CommitOrder, Gated, Syncer};
use crate::engine::message::Token;
use crate::engine::{ActivitySlots, CoreConfig, Limits, Progress, Registry};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId, Shard};
use crate::metrics;
use crate::model::CommitRecord;
#[cfg(feature = "otel")]
use crate::otel::{self, Exporter};
use crate::runtime::activities::RunningActivities;
use crate::runtime::backpressure::{Backpressure, Response};
use crate::runtime::contained::contained;
use crate::runtime::executor::Executor;
use crate::runtime::feed::Feed;
use crate::runtime::inbox::{DELIVERY_LIMIT, Envelope, Inbox, InboxReceiver, Reply};
use crate::runtime::mail::Mail;
use crate::runtime::meters::ActivitiesMeters;
use crate::runtime::release::Release;
use crate::runtime::replays::Replays;
use crate::runtime::shares::Share;
use crate::runtime::tasks::Tasks;
use crate::runtime::timeline::{Past, Timeline};
use crate::runtime::totals::Totals;
use crate::runtime::watchdog;
use crate::spawn::spawn;
#[cfg(feature = "cluster")]
use crate::store::StandbyStore;
use crate::store::Store;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use crate::sync::thread::JoinHandle;
use crate::time::{Clock, Timestamp};
use crate::trace::TraceContext;

/// Time for which a turn may continue after the patience of a shutdown has expired.
const HANGING: Duration = Duration::from_secs(1);

/// Time for which a shutdown waits for aborted tasks.
const LAST_TASKS: Duration = Duration::from_secs(1);

/// The configuration of a runtime.
pub(crate) struct RuntimeConfig {
    /// The identity of the hub: its id and incarnation, as one string.
    pub(crate) hub: Arc<str>,
    pub(crate) registry: Registry,
    pub(crate) limits: Limits,
    pub(crate) partitions: u16,
    /// The shard of the hub that this runtime runs.
    pub(crate) shard: Shard,
    pub(crate) executors: usize,
    /// Maximum number of accepted client messages that are neither settled nor stored, over all executors.
    pub(crate) in_flight: usize,
    pub(crate) held: BTreeSet<InstanceId>,
    /// The feed of changes, which the shards of a hub share.
    pub(crate) feed: Arc<Feed>,
    /// The first batch since which no crash has happened. Work started in this batch or later never ran during a crash.
    pub(crate) calm_since: u64,
    pub(crate) clock: Clock,
    /// Exports spans, if the limits record any.
    #[cfg(feature = "otel")]
    pub(crate) exporter: Option<Exporter>,
    /// True if everything runs on one thread.
    #[cfg(feature = "testing")]
    pub(crate) is_local: bool,
    /// True if no executor runs, because another node runs the hub.
    pub(crate) is_standby: bool,
    /// The URL of the database that has the log, and the name of the hub in it.
    #[cfg(feature = "cluster")]
    pub(crate) database: Option<(Arc<str>, Arc<str>)>,
}

/// The state shared by the threads of an open hub.
///
/// It begins on a cache line of its own, because each request changes the reference count before it.
#[repr(align(64))]
pub(crate) struct Runtime {
    pub(crate) hub: Arc<str>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Limits,
    pub(crate) partitions: u16,
    /// The shard of the hub that this runtime runs.
    pub(crate) shard: Shard,
    pub(crate) order: Arc<CommitOrder<Release>>,
    pub(crate) inboxes: Vec<Arc<Inbox<Reply>>>,
    pub(crate) clock: Clock,
    pub(crate) room: Backpressure,
    pub(crate) totals: Totals,
    pub(crate) timeline: Timeline,
    /// What happened before the hub was opened. Read at most once.
    pub(crate) past: OnceCell<Past>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) mail: Mail,
    /// The time at which the hub was opened.
    pub(crate) opened: Timestamp,
    pub(crate) slots: Arc<ActivitySlots>,
    pub(crate) activities: RunningActivities,
    /// The metrics of activities.
    pub(super) meters: ActivitiesMeters,
    #[cfg(feature = "otel")]
    pub(super) exporter: Option<Exporter>,
    /// The tasks of `async` operations.
    pub(super) operations: Arc<Tasks>,
    /// The tasks of activities.
    pub(super) attempts: Arc<Tasks>,
    /// The replays that run for readers.
    pub(crate) replays: Replays,
    /// The room of each executor for incoming messages.
    pub(crate) shares: Vec<Share>,
    pub(crate) tokio: tokio::runtime::Handle,
    /// Number of started waits for the ends of orchestrations.
    waits: AtomicU64,
    closed: AtomicBool,
    /// The error that stopped the executors, if any.
    failed: OnceLock<Error>,
    executors_running: AtomicUsize,
    /// Called when the hub fails.
    when_failed: OnceLock<WhenFailed>,
    pub(crate) is_standby: bool,
    #[cfg(feature = "cluster")]
    pub(crate) database: Option<(Arc<str>, Arc<str>)>,
    /// True if everything runs on one thread.
    #[cfg(feature = "testing")]
    is_local: bool,
}

/// Something to do when a hub fails.
type WhenFailed = Box<dyn Fn() + Send + Sync>;

/// The threads of an open hub.
#[derive(Debug)]
pub(crate) struct Threads {
    executors: Vec<JoinHandle<()>>,
    syncer: Option<Syncer>,
    watchdog: Option<(Sender<()>, JoinHandle<()>)>,
    watched: Vec<Arc<Progress>>,
    /// Disconnected when all executors and the syncer have ended.
    ended: Receiver<()>,
}

impl Runtime {
    /// Opens the cores on `store` and starts the threads. It runs no user code.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        last: CommitRecord,
        config: RuntimeConfig,
        tokio: tokio::runtime::Handle,
    ) -> Result<(Arc<Self>, Threads)> {
        let (held, calm_since) = (config.held.clone(), config.calm_since);
        let (runtime, receivers) = Self::create(store, last, config, tokio);
        runtime.mail.look(runtime.shard, runtime.order.store().as_ref())?;
        let watched: Vec<Arc<Progress>> = receivers.iter().map(|_| Arc::default()).collect();
        let (alive, ended) = channel();
        let syncer = runtime.start_syncer(alive.clone())?;
        let mut threads = Threads {
            executors: Vec::with_capacity(receivers.len()),
            syncer: Some(syncer),
            watchdog: None,
            watched: watched.clone(),
            ended,
        };
        let cores = watched.iter().zip(receivers).enumerate();
        let cores = cores.map(|(index, (progress, inbox))| {
            (
                runtime.core_config(index, Arc::clone(progress), &held, calm_since),
                inbox,
            )
        });
        match threads.start(&runtime, cores.collect(), watched, &alive) {
            Ok(()) => Ok((runtime, threads)),
            Err(error) => {
                runtime.stop(Duration::ZERO);
                // Executors that did not start cannot end, so they would never stop the syncer.
                runtime.order.stop();
                drop(alive);
                // The reason for the failed open is more important than a thread that is left behind.
                let _ = threads.join(Duration::ZERO);
                Err(error)
            }
        }
    }

    /// Creates the runtime of a node that does not run its hub, and the inbox with the requests of its process.
    #[cfg(feature = "cluster")]
    pub(crate) fn standby(config: RuntimeConfig, tokio: tokio::runtime::Handle) -> (Arc<Self>, InboxReceiver<Reply>) {
        let last = CommitRecord::before_the_first(config.partitions);
        let config = RuntimeConfig {
            executors: 1,
            is_standby: true,
            ..config
        };
        let (runtime, mut inboxes) = Self::create(Arc::new(StandbyStore), last, config, tokio);
        let inbox = inboxes.pop().expect("each executor has an inbox");
        (runtime, inbox)
    }

    /// Creates the shared part of a hub, and the inbox of each executor.
    pub(super) fn create(
        store: Arc<dyn Store>,
        last: CommitRecord,
        config: RuntimeConfig,
        tokio: tokio::runtime::Handle,
    ) -> (Arc<Self>, Vec<InboxReceiver<Reply>>) {
        let executors = match config.shard {
            Shard::WHOLE => config.executors.clamp(1, usize::from(config.partitions)),
            // The messages to another shard have one order.
            _ => 1,
        };
        let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..executors).map(|_| Inbox::new(DELIVERY_LIMIT)).unzip();
        metrics::register();
        let meters = ActivitiesMeters::new(&config.registry);
        let runtime = Arc::new(Self {
            hub: config.hub,
            registry: Arc::new(config.registry),
            limits: Limits {
                cache_bytes: config.limits.cache_bytes / executors,
                live_bytes: config.limits.live_bytes / executors,
                queue_bytes: config.limits.queue_bytes / executors,
                ..config.limits
            },
            partitions: config.partitions,
            shard: config.shard,
            order: Arc::new(CommitOrder::new(store, last, config.clock.aging()).of_shard(config.shard)),
            inboxes,
            opened: config.clock.now(),
            clock: config.clock,
            timeline: Timeline::default(),
            past: OnceCell::new(),
            feed: config.feed,
            mail: Mail::new(config.shard),
            room: Backpressure::default(),
            totals: Totals::default(),
            slots: Arc::new(ActivitySlots::new(config.limits.activities, executors)),
            activities: RunningActivities::default(),
            meters,
            #[cfg(feature = "otel")]
            exporter: config.exporter,
            operations: Arc::default(),
            attempts: Arc::default(),
            replays: Replays::default(),
            shares: Share::divide(config.in_flight, executors),
            tokio,
            waits: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            failed: OnceLock::new(),
            executors_running: AtomicUsize::new(executors),
            when_failed: OnceLock::new(),
            is_standby: config.is_standby,
            #[cfg(feature = "cluster")]
            database: config.database,
            #[cfg(feature = "testing")]
            is_local: config.is_local,
        });
        (runtime, receivers)
    }

    pub(super) fn core_config(
        &self,
        index: usize,
        progress: Arc<Progress>,
        held: &BTreeSet<InstanceId>,
        calm_since: u64,
    ) -> CoreConfig {
        let owned: Vec<PartitionId> = (0..self.partitions)
            .map(PartitionId)
            .filter(|id| self.shard.has(*id) && self.executor_of(*id) == index)
            .collect();
        let held = held
            .iter()
            .filter(|id| owned.contains(&id.partition(self.partitions)))
            .cloned()
            .collect();
        CoreConfig {
            hub: Arc::clone(&self.hub),
            limits: self.limits.clone(),
            registry: Arc::clone(&self.registry),
            progress,
            index,
            slots: Arc::clone(&self.slots),
            partitions: self.partitions,
            shard: self.shard,
            owned,
            held,
            calm_since,
            aging: self.clock.aging(),
            watched: self.feed.watched(),
        }
    }

    fn start_syncer(self: &Arc<Self>, alive: Sender<()>) -> Result<Syncer> {
        // Weak, so the syncer thread does not keep the store open after the end of the runtime.
        let runtime = Arc::downgrade(self);
        Syncer::start(Arc::clone(&self.order), move |items, error| {
            let _ = &alive;
            if let Some(runtime) = runtime.upgrade() {
                runtime.release(items, error.as_ref());
                if let Some(error) = error {
                    runtime.fail(&error);
                }
            }
        })
    }

    /// Returns the trace in which the caller runs, if the hub exports spans.
    pub(crate) fn current_trace(&self) -> Option<Box<TraceContext>> {
        #[cfg(feature = "otel")]
        if self.exporter.is_some() {
            return otel::current().map(Box::new);
        }
        None
    }

    /// Returns a unique token for a client that waits for the end of an orchestration.
    pub(crate) fn draw_wait(&self) -> Token {
        Token::of_wait(self.waits.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the inbox of the executor that runs `instance`.
    pub(crate) fn inbox_of(&self, instance: &InstanceId) -> &Inbox<Reply> {
        self.inbox_of_partition(self.partition_of(instance))
    }

    pub(crate) fn partition_of(&self, instance: &InstanceId) -> PartitionId {
        instance.partition(self.partitions)
    }

    pub(crate) fn inbox_of_partition(&self, partition: PartitionId) -> &Inbox<Reply> {
        &self.inboxes[self.executor_of(partition)]
    }

    /// Returns the room of the executor that runs the instances of `partition`.
    pub(crate) fn share_of(&self, partition: PartitionId) -> &Share {
        &self.shares[self.executor_of(partition)]
    }

    fn executor_of(&self, partition: PartitionId) -> usize {
        usize::from(partition.0 / self.shard.count) % self.inboxes.len()
    }

    /// Sends an envelope for an instance of `partition`.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`], or the error that poisoned the hub.
    pub(crate) fn send(&self, partition: PartitionId, envelope: Envelope<Reply>) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(self.end_reason());
        }
        if self.inbox_of_partition(partition).send(envelope) {
            Ok(())
        } else {
            Err(self.end_reason())
        }
    }

    /// Waits until all commits that a read up to now can have shown are durable. Releases the runtime before the wait,
    /// because a waiting client must not keep the store of a closed hub open.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`], or the error that poisoned the hub.
    pub(crate) fn durable(self: Arc<Self>) -> impl Future<Output = Result<()>> + Send {
        let (sender, receiver) = oneshot::channel();
        let client = Reply { sender, permit: None };
        let response = Response::Accepted;
        self.hold(vec![Release::Reply { client, response }]);
        let runtime = Arc::downgrade(&self);
        async move {
            match receiver.await {
                Ok(released) => released.map(drop),
                Err(_) => Err(runtime.upgrade().map_or_else(closed, |runtime| runtime.end_reason())),
            }
        }
    }

    /// Brings outputs that are derived from reads to the gate.
    pub(crate) fn hold(self: &Arc<Self>, items: Vec<Release>) {
        match self.order.hold(items) {
            Ok(Gated::Waiting) => {}
            Ok(Gated::Open(items)) => self.release(items, None),
            Err((error, items)) => self.release(items, Some(&error)),
        }
    }

    /// Returns the error that ended the hub.
    pub(crate) fn end_reason(&self) -> Error {
        self.failure().unwrap_or_else(closed)
    }

    /// Fails the hub with `error`, and notifies every executor and waiting client. The first error wins.
    pub(crate) fn fail(&self, error: &Error) {
        if self.failed.set(error.clone()).is_ok() {
            for inbox in &self.inboxes {
                inbox.send(Envelope::Wake);
            }
            self.room.open_all();
            self.feed.fail();
            if let Some(when_failed) = self.when_failed.get() {
                when_failed();
            }
            contained(|| metrics::HUB_FAILED.to_counter(&[]).increment(1));
        }
    }

    /// Calls `act` once when the hub fails, or now if it has failed.
    pub(crate) fn when_failed(&self, act: impl Fn() + Send + Sync + 'static) {
        // A failure at this moment sees it, or is seen below, or both.
        let _ = self.when_failed.set(Box::new(act));
        if self.failed.get().is_some()
            && let Some(when_failed) = self.when_failed.get()
        {
            when_failed();
        }
    }

    /// Returns `true` if everything runs on one thread, so that blocking work must not go to another.
    pub(crate) fn is_local(&self) -> bool {
        #[cfg(feature = "testing")]
        return self.is_local;
        #[cfg(not(feature = "testing"))]
        false
    }

    /// Returns the error that stopped the executors, if any.
    pub(crate) fn failed(&self) -> Option<&Error> {
        self.failed.get()
    }

    /// Returns the error of a failed executor or of the poisoned commit order, if any.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failed.get().cloned().or_else(|| self.order.poison())
    }

    /// Records the end of an executor. The last one also stops the syncer.
    pub(crate) fn executor_ended(&self) {
        if self.executors_running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.order.stop();
        }
    }

    /// Checks that the hub still accepts requests of clients.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`], or the error that poisoned the hub.
    pub(crate) fn health(&self) -> Result<()> {
        match self.failure() {
            Some(error) => Err(error),
            None if self.closed.load(Ordering::Acquire) => Err(closed()),
            None => Ok(()),
        }
    }

    /// Stops accepting requests of clients, stops the executors and cancels activities.
    pub(crate) fn stop(&self, patience: Duration) {
        self.closed.store(true, Ordering::Release);
        for inbox in &self.inboxes {
            inbox.send(Envelope::Stop { patience });
        }
        // After the envelopes, so the executors know the reason when they receive the ends of activities.
        self.activities.close();
        for share in &self.shares {
            contained(|| share.close());
        }
        self.room.open_all();
    }

    /// Aborts the `async` operations that still run after the executors have ended, each at its next await. Activities
    /// have been canceled and have a grace period.
    pub(crate) fn abort_operations(&self) {
        self.operations.abort();
    }

    /// Aborts all tasks of user code that still run after the executors have ended, and waits for their end.
    ///
    /// The next open runs the same work again, and the two must not overlap. A task that blocks its thread cannot be
    /// aborted; the log names it.
    pub(crate) fn end_tasks(&self) {
        for (tasks, task) in [
            (&self.operations, "async operation"),
            (&self.attempts, "activity"),
            (&self.replays.tasks, "replay for a reader"),
        ] {
            tasks.abort();
            for instance in tasks.wait(LAST_TASKS) {
                contained(|| {
                    tracing::error!(
                        %instance,
                        task,
                        "a task blocks its thread and still runs although the hub is closed; the next open runs it \
                         again, possibly concurrently"
                    );
                });
            }
        }
    }
}

impl Threads {
    /// Starts the executors and waits until each has opened its core.
    fn start(
        &mut self,
        runtime: &Arc<Runtime>,
        cores: Vec<(CoreConfig, InboxReceiver<Reply>)>,
        watched: Vec<Arc<Progress>>,
        alive: &Sender<()>,
    ) -> Result<()> {
        let (opened, opening) = channel();
        let count = cores.len();
        for (index, (core, inbox)) in cores.into_iter().enumerate() {
            let (runtime, alive, opened) = (Arc::clone(runtime), alive.clone(), opened.clone());
            let run = move || {
                Executor::run(index, core, inbox, runtime, &opened);
                drop(alive);
            };
            self.executors.push(spawn(&format!("abide-{index}"), run)?);
        }
        drop(opened);
        for _ in 0..count {
            opening.recv().unwrap_or_else(|_| Err(closed()))?;
        }
        let (stop, stopped) = channel();
        self.watchdog = Some((stop, watchdog::start(watched, stopped)?));
        Ok(())
    }

    /// Waits for the end of all threads, after [`Runtime::stop`] with this patience. A synchronous operation that still
    /// runs when the patience has expired cannot be aborted, so its thread is left behind.
    ///
    /// # Errors
    /// Returns the instance whose turn still runs.
    pub(crate) fn join(self, patience: Duration) -> std::result::Result<(), InstanceId> {
        drop(self.watchdog);
        let look = || self.watched.iter().map(|progress| progress.running());
        let mut before: Vec<_> = look().map(|_| None).collect();
        let mut wait = patience;
        while self.ended.recv_timeout(wait) != Err(RecvTimeoutError::Disconnected) {
            // A turn that began before the patience expired and still runs a while later is considered hanging.
            // Anything else, such as a slow disk, is worth waiting for.
            let now: Vec<_> = look().collect();
            let hangs = now
                .iter()
                .zip(&before)
                .find(|(now, before)| now.is_some() && now == before);
            if let Some((Some((_, instance)), _)) = hangs {
                return Err(instance.clone());
            }
            (before, wait) = (now, HANGING);
        }
        for executor in self.executors {
            let _ = executor.join();
        }
        if let Some(syncer) = self.syncer {
            syncer.join();
        }
        Ok(())
    }

    /// Waits for the end of all threads, for at most `patience`. A hanging turn is left behind. Returns `true` if all
    /// threads ended.
    pub(crate) fn join_within(self, patience: Duration) -> bool {
        drop(self.watchdog);
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

pub(crate) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the hub is closed; unacknowledged requests may or may not have been accepted, open the hub again to find out",
    )
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("registry", &self.registry)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}
