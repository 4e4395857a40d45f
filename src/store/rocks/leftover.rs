//! The file of a front that an unfinished ingestion has left behind.
//!
//! RocksDB gives the file of a front a second name, which is that of a table, records the table in its MANIFEST, and
//! removes the first name. If the sync of the MANIFEST fails, RocksDB removes the second name instead. However, the
//! MANIFEST may name the table nevertheless, and then RocksDB does not open. The file is still there under its first
//! name, so [`restore_table`] gives it the name of the table again.
//!
//! RocksDB misses the table at every open: a front has the row of the newest commit, so its table is in level 0, of which
//! RocksDB opens all tables.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::{Error, Result};
use crate::files::{io_error, sync_directory};

/// The name of the file that a front is written to.
const FRONT: &str = "front.tmp";

/// Returns the path of the file that a front is written to.
pub(super) fn front(database: &Path) -> PathBuf {
    database.join(FRONT)
}

/// Removes the file that a crash or an error has left behind. A file that a crash has left is never read, because it
/// may be the second name of a table.
pub(super) fn remove(database: &Path) -> Result<()> {
    let path = front(database);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path, error)),
        _ => Ok(()),
    }
}

/// Restores the table without which RocksDB has failed to open, if the file of a front is left. Returns the path of the
/// table. RocksDB knows the size and the id of each table, so it does not accept another one in its place.
pub(super) fn restore_table(database: &Path, failed: &Error) -> Result<Option<PathBuf>> {
    let front = front(database);
    let Some(table) = missing_table(database, &failed.to_string()).filter(|_| front.exists()) else {
        return Ok(None);
    };
    fs::hard_link(&front, &table).map_err(|error| io_error("create", &table, error))?;
    sync_directory(database)?;
    Ok(Some(table))
}

/// Adds to an error of an inspection, which changes nothing, that [`restore_table`] would help.
pub(super) fn advise(database: &Path, failed: Error) -> Error {
    let front = front(database);
    if missing_table(database, &failed.to_string()).is_none() || !front.exists() {
        return failed;
    }
    let text = format!(
        "{failed}; the table may be {}, and an open of the hub restores it",
        front.display()
    );
    Error::new(failed.kind(), text).with_source(failed)
}

/// Returns the table that an error of RocksDB names and that does not exist.
fn missing_table(database: &Path, error: &str) -> Option<PathBuf> {
    let words = error.split(|character: char| !character.is_ascii_alphanumeric() && character != '.');
    let is_table = |word: &&str| {
        let number = word.strip_suffix(".sst").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let tables = words.filter(is_table).map(|name| database.join(name));
    tables.into_iter().find(|table| !table.exists())
}
