//! Hubs in a database, seen from outside.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::client::admin::Admin;
use crate::engine::arrive;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::Canceled;
use crate::hub::cluster::PATIENCE;
use crate::hub::inspect::{MEMORY, current_runtime};
use crate::id::EntityId;
use crate::log::postgres::status::{self, HubRow, NodeRow, ShardRow};
use crate::log::postgres::{Address, Session, drain, holds, loss};
use crate::store::rocks::replicated::{self, MoveOptions};

/// Time for which the state of a hub waits for the database.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);

/// A PostgreSQL database that has hubs. See [`Hub::cluster`](crate::Hub::cluster).
///
/// ```no_run
/// use abide::cluster::Database;
///
/// # #[tokio::main]
/// # async fn main() -> abide::Result<()> {
/// let database = Database::at("postgres://abide:secret@db.example.com/app");
/// // A hub that has outgrown its directory.
/// database.import("./data", "orders").await?;
///
/// let orders = database.hub("orders").await?;
/// for node in &orders.nodes {
///     println!("{} runs the shards {:?}", node.name, node.shards);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    url: String,
    patience: Duration,
}

/// The state of a hub in a database. Returned by [`Database::hub`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClusterStatus {
    /// Its name in the database.
    pub name: String,
    /// The id of the hub, generated at its creation.
    pub hub: String,
    /// 1 at the creation of the hub, incremented each time a copy is restored or a [loss is
    /// accepted](Database::accept_loss).
    pub incarnation: u64,
    /// Number of partitions that the instances are spread over.
    pub partitions: u16,
    /// The version of the stored format.
    pub format: u32,
    /// `open`, `importing` if an import has not ended, or `exported` if the hub is in a directory now.
    pub stage: String,
    /// The entities that every open holds. See [`Database::hold`].
    pub held: Vec<String>,
    /// The shards, by their numbers.
    pub shards: Vec<ShardStatus>,
    /// The nodes that have joined the hub at some time.
    pub nodes: Vec<NodeStatus>,
}

/// A shard of a hub. A hub has one, unless it was created with [several](crate::HubBuilder::shards).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ShardStatus {
    /// Its number, from 0.
    pub number: u16,
    /// The id of the node that runs it, or was killed while it did and has no successor yet.
    pub owner: Option<String>,
    /// Number of times that a node has taken over.
    pub epoch: u64,
    /// Number of records of the log since the beginning. Each is one append.
    pub records: u64,
    /// The newest commit.
    pub commits: u64,
    /// The record since which the log is kept. A snapshot has everything before it.
    pub snapshot: u64,
    /// Size of the log that is kept, in bytes.
    pub log_bytes: u64,
    /// Number of owners that died one after the other, each within a minute. From the second on, the next one waits before it
    /// takes over.
    pub crashes: u32,
}

/// A node of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NodeStatus {
    /// Its id, which stays with its directory.
    pub id: String,
    /// The host and the id of its last process.
    pub name: String,
    /// The version of the library that this process was built with.
    pub build: String,
    /// The address at which the other nodes reach it, if it listens.
    pub address: Option<String>,
    /// `true` if an operator [drains](Database::drain) it.
    pub is_draining: bool,
    /// `true` if its process has a connection to the database.
    pub is_connected: bool,
    /// `true` if its copies have been up to date since its process started, and none of them had to be closed since then.
    /// Shards move to such nodes only, as long as there is one.
    pub is_ready: bool,
    /// The numbers of the shards that it runs, or ran when it was killed and that have no other owner yet.
    pub shards: Vec<u16>,
    /// Number of records that it has not read yet, of the logs of the other shards. While a node is away, it grows.
    pub behind: u64,
}

/// A hub that has moved. Returned by [`Database::import`] and [`Database::export`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Moved {
    /// The id of the hub, which is the same before and after.
    pub hub: String,
    /// Number of rows that were written and compared.
    pub rows: u64,
    /// Size of their keys and values.
    pub bytes: u64,
    /// The newest commit.
    pub commits: u64,
}

impl Database {
    /// Returns the database with a URL such as `postgres://user:password@host:5432/database`. It connects when one of the
    /// methods is called.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            patience: PATIENCE,
        }
    }

    /// The time for which each method waits for a database that cannot be reached (default: 30 seconds).
    #[must_use]
    pub fn open_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns the states of all hubs, in the order of their names.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Io`] if the database cannot be reached, or [`ErrorKind::Configuration`] if the
    /// URL is invalid or the database refuses the connection.
    pub async fn hubs(&self) -> Result<Vec<ClusterStatus>> {
        let (address, patience) = (Address::parse(&self.url)?, self.patience);
        let hubs = blocking(move || status::hubs(&Session::new(address)?, None, patience)).await?;
        Ok(hubs.into_iter().map(ClusterStatus::from).collect())
    }

    /// Returns the state of a hub.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if the database has no hub of this name, and the same errors as
    /// [`hubs`](Self::hubs).
    pub async fn hub(&self, name: &str) -> Result<ClusterStatus> {
        let (address, name, patience) = (Address::parse(&self.url)?, name.to_owned(), self.patience);
        blocking(move || status::hub_named(&Session::new(address)?, &name, patience).map(ClusterStatus::from)).await
    }

    /// Moves the hub of a directory into the database, under a name. It keeps its id, so that activities that are repeated
    /// have the same idempotency keys. All rows are read back and compared. The hub gets one shard in the database, or
    /// [more](Import::shards).
    ///
    /// The hub moves when this is awaited. No process may have the directory open. Afterwards,
    /// [`Hub::cluster`](crate::Hub::cluster) opens it, and an open of the directory is refused with [`ErrorKind::Moved`]. If
    /// the import is interrupted, repeat it.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::AlreadyExists`] if the database has this hub already or another one of this
    /// name, of kind [`ErrorKind::Moved`] if the directory was imported before or is older than what the database had, and
    /// the errors of [`HubBuilder::open`](crate::HubBuilder::open).
    pub fn import(&self, directory: impl AsRef<Path>, name: &str) -> Import {
        Import {
            database: self.clone(),
            directory: directory.as_ref().to_owned(),
            name: name.to_owned(),
            shards: 1,
        }
    }

    /// Moves a hub from the database into a directory, which has to be empty or missing. All rows are compared.
    ///
    /// All nodes of the hub have to be shut down. Afterwards, [`Hub::builder`](crate::Hub::builder) opens the directory, and
    /// nodes are refused with [`ErrorKind::Moved`]. In the directory, the hub has one shard. The export works in a hidden
    /// directory beside the target. If it is interrupted, repeat it with the same directory.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if the database has no hub of this name, of kind
    /// [`ErrorKind::Locked`] if a node runs it or waits for it, of kind [`ErrorKind::Configuration`] if the directory is not
    /// empty, and the errors of [`HubBuilder::open`](crate::HubBuilder::open).
    pub async fn export(&self, name: &str, directory: impl AsRef<Path>) -> Result<Moved> {
        let export = |how: &MoveOptions| replicated::export(how, arrive);
        self.moves(directory.as_ref().to_owned(), name, export).await
    }

    /// Holds an entity from the next open of the hub on, whichever node opens it, as [`HubBuilder::hold`] does for one open.
    /// Use it if an operation on the entity kills one node after the other. Returns `false` if it was held already.
    ///
    /// The id is written `@name@key`.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the id is invalid, of kind [`ErrorKind::NotFound`] if the database
    /// has no hub of this name, and the same errors as [`hubs`](Self::hubs).
    ///
    /// [`HubBuilder::hold`]: crate::HubBuilder::hold
    pub async fn hold(&self, name: &str, entity: &str) -> Result<bool> {
        self.holds(name, entity, holds::hold).await
    }

    /// Ends a [`hold`](Self::hold) from the next open of the hub on. A node that runs the hub releases the entity at once
    /// with [`Admin::release_quarantine`](crate::admin::Admin::release_quarantine). Returns `false` if it was not held.
    ///
    /// # Errors
    /// Returns the same errors as [`hold`](Self::hold).
    pub async fn release(&self, name: &str, entity: &str) -> Result<bool> {
        self.holds(name, entity, holds::release).await
    }

    /// Lets a hub continue after its database has lost acknowledged data, which makes nodes refuse to open it. What the
    /// database has counts from now on, and the copies of all nodes are replaced. Returns the incarnation that begins. It is a
    /// part of the idempotency keys of activities, so an activity that was done in the lost part may be done again, with
    /// another key.
    ///
    /// Look for the lost data first: a server that was primary before may still have it.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if the database has no hub of this name, of kind
    /// [`ErrorKind::Moved`] if the hub is not open, and the same errors as [`hubs`](Self::hubs).
    pub async fn accept_loss(&self, name: &str) -> Result<u64> {
        let (address, name, patience) = (Address::parse(&self.url)?, name.to_owned(), self.patience);
        blocking(move || loss::accept(&Session::new(address)?, &name, patience)).await
    }

    /// Makes a node leave the hub to the others until its process ends or [`undrain`](Self::undrain) is called: if it runs the
    /// hub, it closes it, and another node continues at once. The node goes on answering requests, which it forwards.
    /// `node` is its id or its name, as in [`ClusterStatus::nodes`].
    ///
    /// The node has to [listen](crate::HubBuilder::listen). One that does not is shut down instead.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if the database has no such hub or node, of kind
    /// [`ErrorKind::Configuration`] if it does not listen, or if no other node could take over, and the same errors as
    /// [`hubs`](Self::hubs).
    pub async fn drain(&self, name: &str, node: &str) -> Result<()> {
        self.drains(name, node, drain::drain).await
    }

    /// Ends a [`drain`](Self::drain). The node may run the hub again.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if the database has no such hub or node, and the same errors as
    /// [`hubs`](Self::hubs).
    pub async fn undrain(&self, name: &str, node: &str) -> Result<()> {
        self.drains(name, node, drain::undrain).await
    }

    async fn drains(
        &self,
        name: &str,
        node: &str,
        change: fn(&Session, &str, &str, Duration) -> Result<()>,
    ) -> Result<()> {
        let (address, patience) = (Address::parse(&self.url)?, self.patience);
        let (name, node) = (name.to_owned(), node.to_owned());
        blocking(move || change(&Session::new(address)?, &name, &node, patience)).await
    }

    async fn holds(
        &self,
        name: &str,
        entity: &str,
        change: fn(&Session, &str, &str, Duration) -> Result<bool>,
    ) -> Result<bool> {
        let entity = entity.parse::<EntityId>()?.to_string();
        let (address, name, patience) = (Address::parse(&self.url)?, name.to_owned(), self.patience);
        blocking(move || change(&Session::new(address)?, &name, &entity, patience)).await
    }

    async fn moves(
        &self,
        directory: PathBuf,
        name: &str,
        run: impl FnOnce(&MoveOptions) -> Result<replicated::Moved> + Send + 'static,
    ) -> Result<Moved> {
        // The caller may give up.
        let canceled = Canceled::default();
        let how = MoveOptions {
            address: Address::parse(&self.url)?,
            name: name.to_owned(),
            directory,
            memory_budget: MEMORY,
            patience: self.patience,
            canceled: Arc::clone(&canceled.0),
        };
        let moved = blocking(move || run(&how)).await?;
        Ok(Moved {
            hub: moved.id.to_string(),
            rows: moved.rows,
            bytes: moved.bytes,
            commits: moved.commit,
        })
    }
}

/// The move of a hub from a directory into a database. Created by [`Database::import`].
#[derive(Clone, Debug)]
#[must_use = "a hub moves when this is awaited"]
pub struct Import {
    database: Database,
    directory: PathBuf,
    name: String,
    shards: u16,
}

impl Import {
    /// Sets the number of shards that the hub has in the database (default: 1). The nodes open it with the same number, see
    /// [`HubBuilder::shards`](crate::HubBuilder::shards). It is at most the number of partitions of the hub.
    pub fn shards(mut self, count: u16) -> Self {
        self.shards = count;
        self
    }
}

impl IntoFuture for Import {
    type Output = Result<Moved>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            database,
            directory,
            name,
            shards,
        } = self;
        Box::pin(async move {
            let import = move |how: &MoveOptions| replicated::import(how, shards);
            database.moves(directory, &name, import).await
        })
    }
}

impl Admin {
    /// Returns the state of the hub in its database, and its nodes. See [`ClusterStatus`].
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if the hub is not in a database, of kind [`ErrorKind::Io`] if the
    /// database cannot be reached within some seconds, or any [hub error](crate::Error).
    pub async fn cluster(&self) -> Result<ClusterStatus> {
        let place = self.client().runtime()?.database.clone();
        let Some((url, name)) = place else {
            let text = "this hub is in a directory or in memory, so it has no other nodes";
            return Err(Error::new(ErrorKind::NotFound, text));
        };
        let database = Database::at(&*url).open_patience(STATUS_PATIENCE);
        database.hub(&name).await
    }
}

impl std::fmt::Debug for Database {
    /// Leaves out the URL, which may have a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

/// Runs work that waits for the database on a thread for it.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    let done = current_runtime()?.spawn_blocking(work).await;
    done.map_err(|error| {
        let text = "the work was not done: the tokio runtime is shutting down";
        Error::new(ErrorKind::Closed, text).with_source(error)
    })?
}

impl From<HubRow> for ClusterStatus {
    fn from(hub: HubRow) -> Self {
        Self {
            name: hub.name,
            hub: hub.id.to_string(),
            incarnation: hub.incarnation,
            partitions: hub.partitions,
            format: hub.format,
            stage: hub.stage,
            held: hub.held,
            nodes: hub
                .nodes
                .into_iter()
                .map(|node| NodeStatus::of(node, &hub.shards))
                .collect(),
            shards: hub.shards.into_iter().map(ShardStatus::from).collect(),
        }
    }
}

impl From<ShardRow> for ShardStatus {
    fn from(shard: ShardRow) -> Self {
        Self {
            number: shard.number,
            owner: shard.owner.map(|owner| owner.to_string()),
            epoch: shard.epoch,
            records: shard.head,
            commits: shard.commit,
            snapshot: shard.snapshot,
            log_bytes: shard.log_bytes,
            crashes: shard.crashes,
        }
    }
}

impl NodeStatus {
    fn of(node: NodeRow, shards: &[ShardRow]) -> Self {
        let owned = shards.iter().filter(|shard| shard.owner == Some(node.id));
        Self {
            id: node.id.to_string(),
            name: node.name,
            build: node.build,
            address: node.address,
            is_draining: node.is_draining,
            is_connected: node.is_connected,
            is_ready: node.is_ready,
            shards: owned.map(|shard| shard.number).collect(),
            behind: node.behind,
        }
    }
}
