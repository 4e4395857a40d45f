//! Checkpoints: copies of a running hub.

use std::path::Path;

use rocksdb::DB;
use rocksdb::checkpoint::Checkpoint;

use super::error::error;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, is_absent_or_empty, make_private, sync_directory, sync_parent};
use crate::store::directory::{Acknowledged, Format, Sidecar, database};

/// Refuses a directory that is not empty.
pub(super) fn check_empty(directory: &Path) -> Result<()> {
    if !is_absent_or_empty(directory)? {
        let message = format!(
            "cannot create a checkpoint in {}: the directory is not empty; specify a new one",
            directory.display()
        );
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    Ok(())
}

/// Copies the data of RocksDB to `directory`, which must be empty. The file that marks the copy as a hub is written
/// last, so an unfinished copy is not a hub. No crash has happened since the batch `calm_since`: 0 for a copy, because
/// activities that run in the original did not run during a crash of the copy.
pub(super) fn create(source: &DB, format: &Format, directory: &Path, commit: u64, calm_since: u64) -> Result<()> {
    check_empty(directory)?;
    create_private_directory(directory)?;
    make_private(directory)?;
    let copy = database(directory);
    Checkpoint::new(source)
        .and_then(|checkpoint| checkpoint.create_checkpoint(&copy))
        .map_err(|failed| error("create a checkpoint", failed))?;
    make_private(&copy)?;
    Sidecar::begin(
        directory,
        Acknowledged {
            commit,
            clean: true,
            left: true,
            calm_since,
        },
    )?;
    sync_directory(directory)?;
    let format = Format {
        copy: true,
        ..format.clone()
    };
    format.write(directory)?;
    sync_parent(directory)
}
