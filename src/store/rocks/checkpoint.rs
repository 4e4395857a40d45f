//! A copy of a running hub.

use std::path::Path;

use rocksdb::DB;
use rocksdb::checkpoint::Checkpoint;

use super::error::error;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, is_absent_or_empty, make_private, sync_directory, sync_parent};
use crate::store::directory::{Acknowledged, Format, Sidecar, database};

/// Refuses a directory with something in it.
pub(super) fn check_empty(directory: &Path) -> Result<()> {
    if !is_absent_or_empty(directory)? {
        let message = format!(
            "cannot make a checkpoint in {}: the directory is not empty; name a new one",
            directory.display()
        );
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    Ok(())
}

/// Copies everything that RocksDB has into `directory`, which has to be empty. The copy becomes a hub with its last file, so a
/// half-made one is none.
pub(super) fn create(source: &DB, format: &Format, directory: &Path, commit: u64) -> Result<()> {
    check_empty(directory)?;
    create_private_directory(directory)?;
    make_private(directory)?;
    let copy = database(directory);
    Checkpoint::new(source)
        .and_then(|checkpoint| checkpoint.create_checkpoint(&copy))
        .map_err(|failed| error("make a checkpoint", failed))?;
    make_private(&copy)?;
    Sidecar::begin(
        directory,
        Acknowledged {
            commit,
            clean: true,
            // What runs in the original was not running in a crash.
            left: true,
            calm_since: 0,
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
