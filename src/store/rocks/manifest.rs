//! Detects damage to RocksDB's MANIFEST that RocksDB does not detect.
//!
//! The MANIFEST ends where the file ends, so RocksDB accepts a MANIFEST that was cut between two edits. RocksDB then
//! has an older state. Either the log continues after that state, or it has a gap, which is detected. However, RocksDB
//! also silently skips edits that became zeros and applies later ones. It would then have newer commits but not older
//! ones, so this module checks for zeros.
//!
//! A MANIFEST is never recycled. RocksDB's reader does not terminate at a fragment that claims to be recycled.

use std::fs;
use std::path::{Path, PathBuf};

use super::edits::Edits;
use crate::error::{Error, ErrorKind, Result};

/// Checks that RocksDB's reader would terminate on the current MANIFEST.
pub(super) fn check_readable(database: &Path) -> Result<()> {
    let (path, number) = named(database)?;
    let mut edits = Edits::open(&path, number)?;
    while edits.next()? {}
    if !edits.is_recycled() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupted,
        format!(
            "{} is broken: the data at byte {} belongs to a log; restore a backup",
            path.display(),
            edits.end()
        ),
    ))
}

/// Checks that no edit is missing before another one.
pub(super) fn check_whole(database: &Path) -> Result<()> {
    let (path, number) = named(database)?;
    let mut edits = Edits::open(&path, number)?;
    while edits.next()? {
        if let Some(zeros) = edits.zeros() {
            return Err(Error::new(
                ErrorKind::Corrupted,
                format!(
                    "{} has lost data: zeros at byte {zeros} are followed by edits; acknowledged commits may be \
                     missing, so restore a backup, or open with accept_loss to continue with the remaining data",
                    path.display()
                ),
            ));
        }
    }
    Ok(())
}

/// Returns the path and the number of the MANIFEST that CURRENT names. The file itself may be missing.
fn named(database: &Path) -> Result<(PathBuf, u64)> {
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
    Ok((database.join(name), number))
}
