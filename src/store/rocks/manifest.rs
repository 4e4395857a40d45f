//! Guards RocksDB's MANIFEST against what RocksDB does not see.
//!
//! The MANIFEST ends where the file ends, so RocksDB takes one that was cut between two edits for a whole one. It then has an older
//! state, and the log goes on behind that one or has a gap, which is found. But edits that became zeros are skipped just as silently,
//! and later ones applied: then RocksDB would know of newer commits and not of older ones. So they are looked for.
//!
//! A MANIFEST is never recycled. RocksDB's reader does not come to an end at a fragment that says that it is.

use std::fs;
use std::path::{Path, PathBuf};

use super::edits::Edits;
use crate::error::{Error, ErrorKind, Result};

/// Whether RocksDB's reader would come to an end with the current MANIFEST.
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
            "{} is broken: what is at byte {} belongs to a log; restore a backup",
            path.display(),
            edits.end()
        ),
    ))
}

/// Whether no edit is missing before another one.
pub(super) fn check_whole(database: &Path) -> Result<()> {
    let (path, number) = named(database)?;
    let mut edits = Edits::open(&path, number)?;
    while edits.next()? {
        if let Some(zeros) = edits.zeros() {
            return Err(Error::new(
                ErrorKind::Corrupted,
                format!(
                    "{} has lost a part: there are zeros at byte {zeros} and edits behind them; acknowledged commits may be \
                     missing, so restore a backup, or open with accept_loss to go on with what is there",
                    path.display()
                ),
            ));
        }
    }
    Ok(())
}

/// The MANIFEST that CURRENT names, and its number. It need not be there.
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
