//! The files in a hub's directory, next to RocksDB's own directory `db`.
//!
//! ```text
//! FORMAT         the identity of the hub; read before any other file is accessed
//! LOCK           held by the process that has the hub open
//! ACKNOWLEDGED   the newest acknowledged commit, kept outside the log
//! CREATING       exists only while the hub is created
//! MOVED          the hub is in a database now
//! log/           the commit log
//! db/            RocksDB, which lags behind the log
//! ```

mod format;
mod lock;
pub(crate) mod moved;
#[cfg(not(feature = "fuzzing"))]
mod sidecar;
#[cfg(feature = "fuzzing")]
pub(crate) mod sidecar;

use std::path::{Path, PathBuf};

pub(crate) use format::Format;
pub(crate) use lock::{DirectoryLock, check_free, holder};
pub(crate) use sidecar::{Acknowledged, Sidecar};

/// Returns RocksDB's directory within the hub's directory.
pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join("db")
}

/// Returns the directory of the commit log within the hub's directory.
pub(crate) fn commit_log(directory: &Path) -> PathBuf {
    directory.join("log")
}
