//! The files of a hub's directory that are ours, around RocksDB's own directory `db`.
//!
//! ```text
//! FORMAT         who the hub is; read before anything else is touched
//! LOCK           held by the process that has the hub open
//! ACKNOWLEDGED   the newest commit that somebody may know of, outside the log
//! CREATING       only while the directory is made
//! db/            RocksDB
//! ```

mod files;
mod format;
mod lock;
mod sidecar;

use std::path::{Path, PathBuf};

pub(crate) use files::{create_private_directory, is_absent_or_empty, make_private, sync_directory, sync_parent};
pub(crate) use format::Format;
pub(crate) use lock::{DirectoryLock, check_free, holder};
pub(crate) use sidecar::{Acknowledged, Manifest, Sidecar};

/// RocksDB's directory within the hub's.
pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join("db")
}
