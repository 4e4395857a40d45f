//! The files of a hub's directory that are ours, around RocksDB's own directory `db`.
//!
//! ```text
//! FORMAT         who the hub is; read before anything else is touched
//! LOCK           held by the process that has the hub open
//! ACKNOWLEDGED   the newest commit that somebody may know of, outside the log
//! CREATING       only while the directory is made
//! log/           the commit log
//! db/            RocksDB, which has what the log had some time ago
//! ```

mod format;
mod lock;
mod sidecar;

use std::path::{Path, PathBuf};

pub(crate) use format::Format;
pub(crate) use lock::{DirectoryLock, check_free, holder};
pub(crate) use sidecar::{Acknowledged, Sidecar};

/// RocksDB's directory within the hub's.
pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join("db")
}

/// The directory of the commit log within the hub's.
pub(crate) fn commit_log(directory: &Path) -> PathBuf {
    directory.join("log")
}
