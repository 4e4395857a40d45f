//! An open hub.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::HubBuilder;
#[cfg(feature = "cluster")]
use crate::hub::node::NodeHub;
use crate::hub::running::{self, Running};
use crate::hub::stats::HubStats;
use crate::runtime::Runtime;
use crate::runtime::idle::all_idle;

/// Maximum time that a shutdown waits for `async` operations and clients. Operations that still run then are run again
/// at the next open.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(30);

/// An open hub: one data directory with all its data, held by this process.
///
/// Dropping the hub without [`shutdown`](Hub::shutdown) loses nothing that was acknowledged, as if the process had been
/// killed. Only the next open takes longer. `async` operations are dropped at their next await and activities are
/// canceled, but the drop does not wait for them. Shut a hub down before the same process opens it again.
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
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// // Every type that is in the store is registered.
/// assert!(hub.unregistered().is_empty());
///
/// let client = hub.client();
/// assert_eq!(client.entity::<Counter>("visits").add(1).await?, 1);
/// println!("{} commits", hub.stats().commits);
///
/// hub.shutdown().await?;
/// assert!(client.health().is_err());
/// # Ok(())
/// # }
/// ```
pub struct Hub {
    /// Present until the hub is shut down.
    open: Option<Open>,
    client: Client,
    unregistered: Vec<String>,
}

/// An open hub.
#[derive(Debug)]
enum Open {
    /// The shards of a hub in this process.
    Process(Vec<Running>),
    #[cfg(feature = "cluster")]
    Node(NodeHub),
}

impl Hub {
    /// Returns a builder for a hub in `directory`, which is created if it does not exist.
    ///
    /// ```no_run
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
    /// # #[tokio::main]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::builder("./data").entity::<Counter>().open().await?;
    /// // Greater by one at each run of the program.
    /// println!("{} visits", hub.client().entity::<Counter>("visits").add(1).await?);
    /// hub.shutdown().await
    /// # }
    /// ```
    pub fn builder(directory: impl Into<PathBuf>) -> HubBuilder {
        HubBuilder::in_directory(directory.into())
    }

    /// Returns a builder for a hub that survives its machine: its log is in a PostgreSQL database, under a name.
    ///
    /// The same program can run on several machines. One of them runs the hub, or each of them some of its
    /// [shards](HubBuilder::shards). Another one takes over if a machine ends, or has not been heard of for some seconds. With
    /// [`HubBuilder::listen`], all machines answer requests; without it, [`HubBuilder::open`] waits until this one runs the
    /// hub. Each machine has a copy in a directory, so that it continues quickly; a copy may be lost at any time.
    ///
    /// The user of the database needs the right to create a schema, `abide`, or the schema has to exist. The connection
    /// uses TLS unless the server is on this machine.
    ///
    /// ```no_run
    /// # use abide::Hub;
    /// # #[tokio::main]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::cluster("postgres://abide:secret@db.example.com/app", "orders")
    ///     .directory("./copy")
    ///     .open()
    ///     .await?;
    /// hub.shutdown().await
    /// # }
    /// ```
    #[cfg(feature = "cluster")]
    pub fn cluster(url: impl Into<String>, name: impl Into<String>) -> HubBuilder {
        HubBuilder::in_database(url.into(), name.into())
    }

    /// Returns a builder for a hub without a directory, for tests. Its data is lost when it closes.
    ///
    /// Such a hub replays the whole history of an orchestration at every turn, so that a test finds code that is not
    /// deterministic. See [`HubBuilder::strict_replay`].
    pub fn in_memory() -> HubBuilder {
        HubBuilder::memory()
    }

    pub(super) fn new(shards: Vec<Running>, unregistered: Vec<String>) -> Self {
        let runtimes: Vec<_> = shards.iter().map(|shard| Arc::clone(&shard.runtime)).collect();
        Self {
            client: Client::of_shards(&runtimes),
            open: Some(Open::Process(shards)),
            unregistered,
        }
    }

    #[cfg(feature = "cluster")]
    pub(super) fn of_node(node: NodeHub) -> Self {
        Self {
            client: Client::of_node(node.roles()),
            open: Some(Open::Node(node)),
            unregistered: Vec::new(),
        }
    }

    /// Returns a client of this hub.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns the unregistered names that something waits for:
    /// * entity types in the store when the hub was opened,
    /// * orchestrations that had not ended then, with their versions,
    /// * entity types, activities and orchestrations that orchestrations have requested since.
    ///
    /// [`OrchestrationInfo`](crate::client::OrchestrationInfo) shows which orchestrations wait.
    pub fn unregistered(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.unregistered.iter().cloned().collect();
        for shard in self.client.hub().shards() {
            names.extend(shard.open().into_iter().flat_map(|runtime| runtime.registry.missing()));
        }
        #[cfg(feature = "cluster")]
        if let Some(Open::Node(node)) = &self.open {
            names.extend(node.unregistered());
        }
        names.into_iter().collect()
    }

    /// Returns the statistics of the hub since it was opened.
    pub fn stats(&self) -> HubStats {
        HubStats::of(&self.client.hub()).unwrap_or_default()
    }

    /// Waits until nothing can happen in the hub without input from outside or the passing of time. At one moment during
    /// the wait:
    /// * all accepted requests and all messages between instances were processed, on all executors,
    /// * no activity and no `async` operation was running or about to start, not even one whose result is no longer
    ///   needed,
    /// * all commits were durable, and their answers had passed the output gate.
    ///
    /// Whatever waits for something else does not count: durable timers, scheduled signals, schedules and activities
    /// between two attempts, as long as they are not due; external events, clients that wait for a result; messages to
    /// a locked, held or quarantined entity, to a suspended or stopped orchestration, or to an unregistered type. Neither
    /// do requests that their clients have not sent yet, tasks of your program, and the removal of old orchestrations.
    ///
    /// Use it in tests and before measurements, instead of a loop that waits until the figures agree. Requests of other
    /// clients may begin new work right afterwards, and a hub that always has work is never idle.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// /// The sales of a shop, or of all shops if the key is empty.
    /// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    /// struct Sales {
    ///     cents: u64,
    /// }
    ///
    /// #[operations]
    /// impl Sales {
    ///     pub fn sold(&mut self, ctx: &mut EntityContext, cents: u64) {
    ///         self.cents += cents;
    ///         if !ctx.key().is_empty() {
    ///             ctx.entity::<Sales>("").sold(cents).signal();
    ///         }
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::in_memory().entity::<Sales>().open().await?;
    /// let client = hub.client();
    /// client.entity::<Sales>("Berlin").sold(500).signal().await?;
    /// client.entity::<Sales>("Lagos").sold(700).signal().await?;
    ///
    /// // The shops have forwarded their sales.
    /// hub.idle().await?;
    /// assert_eq!(client.entity::<Sales>("").state().await?.unwrap().cents, 1_200);
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the error that poisoned the hub, or an error of kind [`ErrorKind::Closed`].
    pub async fn idle(&self) -> Result<()> {
        all_idle(&self.client.hub()).await
    }

    /// Copies the running hub to a new directory. The copy is consistent and contains at least everything that was
    /// acknowledged before the call. To work on a copy, open it with [`HubBuilder::restore`].
    ///
    #[cfg_attr(feature = "rocksdb", doc = "```")]
    #[cfg_attr(not(feature = "rocksdb"), doc = "```no_run")]
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
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let (data, backup) = (directory.path().join("data"), directory.path().join("backup"));
    /// let hub = Hub::builder(&data).entity::<Counter>().open().await?;
    /// hub.client().entity::<Counter>("visits").add(1).await?;
    /// hub.checkpoint(&backup).await?;
    /// hub.shutdown().await?;
    ///
    /// let restored = Hub::builder(&backup).entity::<Counter>().restore().open().await?;
    /// assert_eq!(restored.client().entity::<Counter>("visits").add(1).await?, 2);
    /// restored.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Io`] if the directory is not empty or cannot be written, or of kind
    /// [`ErrorKind::Configuration`] if the hub is in memory.
    pub async fn checkpoint(&self, directory: impl AsRef<Path>) -> Result<()> {
        let runtime = self.runtime()?;
        let directory = directory.as_ref().to_owned();
        Arc::clone(&runtime).durable().await?;
        let tokio = runtime.tokio.clone();
        let copy = move || {
            let (_, durable) = runtime.order.watermarks();
            runtime.order.store().checkpoint(&directory, durable)
        };
        tokio.spawn_blocking(copy).await.map_err(|error| {
            Error::new(
                ErrorKind::Closed,
                "the copy did not finish: the tokio runtime is shutting down",
            )
            .with_source(error)
        })?
    }

    /// Closes the hub. It accepts no further requests, answers the waiting clients, and writes all data to RocksDB, so
    /// that the next open is fast.
    ///
    /// * `async` operations may run for up to thirty more seconds. An operation that still runs then is dropped at its
    ///   next await, and the next open runs it again.
    /// * Activities are [canceled](crate::ActivityContext::canceled), and dropped five seconds later. If an activity
    ///   ends without having checked for the cancellation, its result counts as usual. The next open runs any other
    ///   activity again, as the same attempt. None of this counts as a crash.
    /// * Messages between instances, and orchestrations, continue for one second after the last client was answered and
    ///   the last `async` operation ended. The remaining ones are stored and continue at the next open.
    ///
    /// # Errors
    /// Returns the error that poisoned the hub, if it is poisoned, or an error of the store. Returns an error of kind
    /// [`ErrorKind::TimedOut`] if a synchronous operation does not return. Such an operation cannot be ended, and the
    /// directory stays locked until it returns.
    pub async fn shutdown(self) -> Result<()> {
        self.shutdown_within(SHUTDOWN_PATIENCE).await
    }

    /// Like [`shutdown`](Hub::shutdown), with another limit in place of the thirty seconds. When it is exceeded,
    /// unfinished work is left for the next open, and clients that still wait receive [`ErrorKind::Closed`]. Leaving
    /// behind work that cannot be ended takes up to two more seconds.
    ///
    /// # Errors
    /// Returns the same errors as [`shutdown`](Hub::shutdown).
    pub async fn shutdown_within(self, patience: Duration) -> Result<()> {
        // The tokio runtime that the hub was opened in may be gone by now.
        let tokio = Handle::try_current().or_else(|_| self.tokio())?;
        // The whole hub moves into the task, so that it is dropped like any other if the task never runs.
        let closing = tokio.spawn_blocking(move || self.close(patience));
        closing.await.map_err(|error| {
            Error::new(
                ErrorKind::Closed,
                "the hub was not closed: the tokio runtime is shutting down",
            )
            .with_source(error)
        })?
    }

    fn close(mut self, patience: Duration) -> Result<()> {
        match self.open.take() {
            Some(Open::Process(shards)) => running::close_all(shards, patience),
            #[cfg(feature = "cluster")]
            Some(Open::Node(node)) => node.close(patience),
            None => Ok(()),
        }
    }

    /// Returns the tokio runtime that the hub was opened in.
    fn tokio(&self) -> Result<Handle> {
        match &self.open {
            #[cfg(feature = "cluster")]
            Some(Open::Node(node)) => Ok(node.roles()[0].standby().tokio.clone()),
            _ => self.runtime().map(|runtime| runtime.tokio.clone()),
        }
    }

    fn runtime(&self) -> Result<Arc<Runtime>> {
        match &self.open {
            Some(Open::Process(shards)) => Ok(Arc::clone(&shards[0].runtime)),
            #[cfg(feature = "cluster")]
            Some(Open::Node(node)) => node.runtime(),
            None => Err(crate::runtime::closed()),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        match self.open.take() {
            Some(Open::Process(shards)) => shards.into_iter().for_each(Running::abandon),
            #[cfg(feature = "cluster")]
            Some(Open::Node(node)) => drop(node),
            None => {}
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("open", &self.open).finish_non_exhaustive()
    }
}
