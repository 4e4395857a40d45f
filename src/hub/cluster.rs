//! The configuration of a hub whose log is in PostgreSQL.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::{HubBuilder, OpenStore, Place};
use crate::id::{EntityId, Shard};
use crate::log::postgres::Address;
use crate::store::rocks::replicated::{self, OpenOptions, Opened};

/// Default time for which an open waits for a database that cannot be reached.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The place of a hub whose log is in PostgreSQL.
#[derive(Clone)]
pub(super) struct ClusterPlace {
    url: String,
    name: String,
    directory: PathBuf,
    requires_standby: bool,
    patience: Duration,
    listen: Option<String>,
    advertised: Option<String>,
}

impl ClusterPlace {
    pub(super) fn new(url: String, name: String) -> Self {
        Self {
            directory: PathBuf::from(format!("abide-{name}")),
            url,
            name,
            requires_standby: false,
            patience: PATIENCE,
            listen: None,
            advertised: None,
        }
    }

    /// Returns the URL of the database, and the name of the hub in it.
    pub(super) fn in_database(&self) -> (Arc<str>, Arc<str>) {
        (self.url.as_str().into(), self.name.as_str().into())
    }

    /// Returns the address on which this node listens, if it does, and the one at which the others reach it.
    pub(super) fn listens(&self) -> Option<(&str, Option<&str>)> {
        Some((self.listen.as_deref()?, self.advertised.as_deref()))
    }

    /// Returns the options for joining the hub.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if the URL is invalid.
    pub(super) fn options(
        &self,
        memory_budget: usize,
        wal_limit: u64,
        partitions: u16,
        shards: u16,
        canceled: Arc<AtomicBool>,
    ) -> Result<OpenOptions> {
        let mut address = Address::parse(&self.url)?;
        address.requires_standby = self.requires_standby;
        Ok(OpenOptions {
            address,
            name: self.name.clone(),
            directory: self.directory.clone(),
            memory_budget,
            wal_limit,
            partitions,
            patience: self.patience,
            canceled,
            shards,
            endpoint: None,
        })
    }
}

impl fmt::Debug for ClusterPlace {
    /// Leaves out the URL, which may have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterPlace")
            .field("name", &self.name)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// The place of the copies of hubs that tests move into a database, in the directory for temporary files.
#[cfg(feature = "testing")]
const TEST_COPIES: &str = "abide-tests";

/// The configuration of a hub whose log is in PostgreSQL; see [`Hub::cluster`](crate::Hub::cluster).
impl HubBuilder {
    /// Turns a hub in memory into a new hub over the database that the environment names.
    #[cfg(feature = "testing")]
    pub(super) fn move_for_tests(&mut self) -> Result<()> {
        let Some(url) = std::env::var_os("ABIDE_CLUSTER").filter(|_| matches!(self.place, Place::Memory)) else {
            return Ok(());
        };
        let invalid = || {
            let text = "the environment variable `ABIDE_CLUSTER` must be the URL of a PostgreSQL database";
            Error::new(ErrorKind::Configuration, text)
        };
        let url = url.into_string().map_err(|_| invalid())?;
        Address::parse(&url).map_err(|_| invalid())?;
        let name = format!("test-{}", crate::random::uuid());
        let directory = std::env::temp_dir().join(TEST_COPIES).join(&name);
        self.place = Place::Cluster(ClusterPlace {
            directory,
            listen: (self.shards > 1).then(|| "127.0.0.1:0".to_owned()),
            ..ClusterPlace::new(url, name)
        });
        Ok(())
    }

    /// Directory for the copy of this node (default: `abide-` and the name of the hub, in the current directory). The copy
    /// may be lost at any time. Two nodes on one machine need two directories.
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        self.in_cluster("directory", |place| place.directory = directory.into())
    }

    /// Refuses a database without a synchronous standby. Such a database loses acknowledged data with its disk.
    pub fn require_synchronous_standby(self) -> Self {
        self.in_cluster("require_synchronous_standby", |place| place.requires_standby = true)
    }

    /// The time for which [`open`](Self::open) waits for a database that cannot be reached (default: 30 seconds). The wait
    /// for another node that runs the hub has no limit.
    pub fn open_patience(self, patience: Duration) -> Self {
        self.in_cluster("open_patience", |place| place.patience = patience)
    }

    /// The address on which this node listens for the other nodes of the hub, such as `10.0.0.5:7400`. With it, every node
    /// works: [`open`](Self::open) returns on each of them, and a request is forwarded to the node that runs the hub. Reads
    /// use the copy of this node. If the node that runs the hub ends, another one continues, and all of them remain open.
    ///
    /// Without an address, only one node works: `open` waits until this node runs the hub.
    ///
    /// The nodes use TLS with certificates that they make when they start. The database has the fingerprints, so only who
    /// can write the tables of the hub can connect. Port 0 stands for any free port.
    ///
    /// ```no_run
    /// # use abide::Hub;
    /// # #[tokio::main]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::cluster("postgres://abide:secret@db.example.com/app", "orders")
    ///     .directory("./copy")
    ///     .listen("10.0.0.5:7400")
    ///     .open()
    ///     .await?;
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn listen(self, address: impl Into<String>) -> Self {
        self.in_cluster("listen", |place| place.listen = Some(address.into()))
    }

    /// The address at which the other nodes reach this one, if it is another one than that on which it
    /// [listens](Self::listen), such as the name of a pod.
    pub fn advertise(self, address: impl Into<String>) -> Self {
        self.in_cluster("advertise", |place| place.advertised = Some(address.into()))
    }

    fn in_cluster(mut self, method: &str, set: impl FnOnce(&mut ClusterPlace)) -> Self {
        match &mut self.place {
            Place::Cluster(place) => set(place),
            _ => {
                let text = format!("`{method}` is only for a hub that was created by `Hub::cluster`");
                self.error.get_or_insert(Error::new(ErrorKind::Configuration, text));
            }
        }
        self
    }
}

/// Waits until this node owns the hub, which has one shard, and opens its store.
pub(super) fn open_store(how: &OpenOptions) -> Result<OpenStore> {
    let opened = replicated::open(how)?;
    Ok(opened_store(&how.name, Shard::WHOLE, opened))
}

/// Reports an open shard, and returns its store.
pub(super) fn opened_store(name: &str, shard: Shard, opened: Opened) -> OpenStore {
    tracing::info!(
        hub = name,
        shard = shard.id.0,
        epoch = opened.epoch,
        incarnation = opened.incarnation,
        "this node runs a shard of the hub"
    );
    let is_here = |id: &String| {
        // Ids are checked when they are stored. One that is not valid is reported by the open.
        let id = id.parse::<EntityId>();
        id.is_ok_and(|id| shard.has(id.instance().partition(opened.partitions)))
    };
    for entity in opened.held.iter().filter(|id| is_here(id)) {
        tracing::warn!(
            entity,
            "the entity is held, because the database says so; its messages wait"
        );
    }
    OpenStore {
        held: opened.held,
        shard,
        ..OpenStore::new(
            opened.store,
            opened.last_commit,
            opened.partitions,
            opened.calm_since,
            format!("{}-{}", opened.hub, opened.incarnation),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hub;

    /// A builder and an error are printed, and the URL may have a password.
    #[test]
    fn the_password_is_not_printed() {
        let builder = Hub::cluster("postgres://abide:secret@db/app", "orders");
        assert!(!format!("{builder:?}").contains("secret"));
        for url in [
            "postgress://abide:secret@db/app?sslmode=require",
            "postgres://abide:secret@db:x/app",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(std::error::Error::source(&error).is_none());
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    /// A larger message would never reach another node.
    #[test]
    fn nodes_send_no_payload_that_is_too_large() {
        let builder = || {
            Hub::cluster("postgres://db/app", "orders")
                .directory("data")
                .payload_limit((64 << 20) + 1)
        };
        let error = builder().listen("127.0.0.1:0").check().unwrap_err();
        assert!(error.to_string().contains("at most 64 MiB"), "{error}");
        builder().check().unwrap();
    }

    #[test]
    fn the_options_of_a_cluster_are_for_a_cluster() {
        let mut builder = Hub::in_memory().open_patience(Duration::ZERO);
        let error = builder.check().unwrap_err();
        assert!(error.to_string().contains("`open_patience` is only for"), "{error}");
    }
}
