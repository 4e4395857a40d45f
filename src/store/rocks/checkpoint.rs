//! A copy of a running hub.

use std::path::Path;

use rocksdb::DB;
use rocksdb::checkpoint::Checkpoint;

use super::error::error;
use super::manifest::ManifestWatch;
use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::{
    Acknowledged, Format, Sidecar, create_private_directory, database, is_absent_or_empty, make_private,
    sync_directory, sync_parent,
};

/// Copies everything that is written into `directory`. The copy becomes a hub with its last file, so a half-made one
/// is none.
pub(super) fn create(source: &DB, format: &Format, directory: &Path, commit: u64) -> Result<()> {
    if !is_absent_or_empty(directory)? {
        let message = format!(
            "cannot make a checkpoint in {}: the directory is not empty; name a new one",
            directory.display()
        );
        return Err(Error::new(ErrorKind::Configuration, message));
    }
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
            manifest: ManifestWatch::new(&copy)?.durable()?,
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
