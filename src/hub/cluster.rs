//! The configuration of a hub whose log is in PostgreSQL.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::{HubBuilder, OpenStore, Place};
use crate::log::postgres::Address;
use crate::store::rocks::replicated;

/// Default time for which an open waits for a database that cannot be reached.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The place of a hub whose log is in PostgreSQL.
pub(super) struct ClusterPlace {
    url: String,
    name: String,
    directory: PathBuf,
    requires_standby: bool,
    patience: Duration,
}

impl ClusterPlace {
    pub(super) fn new(url: String, name: String) -> Self {
        Self {
            directory: PathBuf::from(format!("abide-{name}")),
            url,
            name,
            requires_standby: false,
            patience: PATIENCE,
        }
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

/// The configuration of a hub whose log is in PostgreSQL; see [`Hub::cluster`](crate::Hub::cluster).
impl HubBuilder {
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

/// Waits until this node owns the hub, and opens its store.
pub(super) fn open_store(
    place: &ClusterPlace,
    memory_budget: usize,
    wal_limit: u64,
    partitions: u16,
    canceled: Arc<AtomicBool>,
) -> Result<OpenStore> {
    let mut address = Address::parse(&place.url)?;
    address.requires_standby = place.requires_standby;
    let opened = replicated::open(&replicated::OpenOptions {
        address,
        name: place.name.clone(),
        directory: place.directory.clone(),
        memory_budget,
        wal_limit,
        partitions,
        patience: place.patience,
        canceled,
    })?;
    tracing::info!(
        hub = place.name,
        epoch = opened.epoch,
        incarnation = opened.incarnation,
        "this node runs the hub"
    );
    for entity in &opened.held {
        tracing::warn!(
            entity,
            "the entity is held, because the database says so; its messages wait"
        );
    }
    Ok(OpenStore {
        held: opened.held,
        ..OpenStore::new(
            opened.store,
            opened.last_commit,
            opened.partitions,
            opened.calm_since,
            format!("{}-{}", opened.hub, opened.incarnation),
        )
    })
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

    #[test]
    fn the_options_of_a_cluster_are_for_a_cluster() {
        let mut builder = Hub::in_memory().open_patience(Duration::ZERO);
        let error = builder.check().unwrap_err();
        assert!(error.to_string().contains("`open_patience` is only for"), "{error}");
    }
}
