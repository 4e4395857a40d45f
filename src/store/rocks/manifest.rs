//! Guards the length of RocksDB's MANIFEST.
//!
//! The MANIFEST ends where the file ends, so RocksDB takes one that was cut between two edits for a whole one. It then
//! forgets a flushed table whose log is gone already, and plays the later logs over the hole: the newest commit's row
//! is there and older commits are not. The sidecar therefore remembers how long the MANIFEST was.

use std::fs;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::Manifest;

/// The MANIFEST that is current and its length now.
pub(super) fn current(database: &Path) -> Result<Manifest> {
    let path = database.join("CURRENT");
    let name = fs::read_to_string(&path).map_err(|error| {
        let message = format!("cannot read {}, which names the MANIFEST: {error}", path.display());
        Error::new(ErrorKind::Corrupted, message).with_source(error)
    })?;
    let name = name.trim_end();
    let number = name.strip_prefix("MANIFEST-").and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| {
        let message = format!("{} is broken: it does not name a MANIFEST", path.display());
        Error::new(ErrorKind::Corrupted, message)
    })?;
    let manifest = database.join(name);
    let metadata = fs::metadata(&manifest).map_err(|error| {
        let message = format!("cannot find {}, which CURRENT names: {error}", manifest.display());
        Error::new(ErrorKind::Corrupted, message).with_source(error)
    })?;
    Ok(Manifest {
        number,
        length: metadata.len(),
    })
}

/// Whether the current MANIFEST holds everything that it held when `recorded` was written. A later one repeats it.
pub(super) fn check(database: &Path, recorded: Manifest) -> Result<()> {
    let current = current(database)?;
    if current >= recorded {
        return Ok(());
    }
    let name = |manifest: Manifest| format!("MANIFEST-{:06}", manifest.number);
    Err(Error::new(
        ErrorKind::Corrupted,
        format!(
            "{} has lost its end: {} with {} bytes was recorded, and {} with {} bytes is there; acknowledged commits \
             may be missing, so restore a backup, or open with accept_loss to go on with what is there",
            database.join(name(current)).display(),
            name(recorded),
            recorded.length,
            name(current),
            current.length,
        ),
    ))
}
