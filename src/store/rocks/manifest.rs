//! Guards RocksDB's MANIFEST against what RocksDB does not see.
//!
//! The MANIFEST ends where the file ends, so RocksDB takes one that was cut between two edits for a whole one. It then
//! forgets a flushed table whose log is gone already, and plays the later logs over the hole: the newest commit's row
//! is there and older commits are not. The sidecar therefore remembers how long the MANIFEST was. Edits that became zeros
//! are skipped just as silently; they are looked for. An edit whose length is wrong ends the MANIFEST as the end of the
//! file does.
//!
//! A MANIFEST is never recycled. RocksDB's reader does not come to an end at a fragment that says that it is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::log::Log;
use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::Manifest;

/// Follows the MANIFEST of an open store.
#[derive(Debug)]
pub(super) struct ManifestWatch {
    database: PathBuf,
    path: PathBuf,
    durable: Manifest,
}

impl ManifestWatch {
    pub(super) fn new(database: &Path) -> Result<Self> {
        let mut watch = Self {
            database: database.to_owned(),
            path: PathBuf::new(),
            durable: Manifest::default(),
        };
        watch.turn_over(sync)?;
        Ok(watch)
    }

    /// The MANIFEST as far as it is durable. It costs one `stat`, except after a flush or a compaction.
    pub(super) fn durable(&mut self) -> Result<Manifest> {
        self.durable_by(sync)
    }

    /// As [`durable`](Self::durable), where `sync` makes a file durable and says how long it is. RocksDB may begin a new
    /// MANIFEST and remove this one at any time, also between two of these lines.
    fn durable_by(&mut self, mut sync: impl FnMut(&Path) -> io::Result<u64>) -> Result<Manifest> {
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() == self.durable.length => return Ok(self.durable),
            // What RocksDB has just appended it may not have synced yet, and a promise must not run ahead of the disk.
            Ok(_) => match sync(&self.path) {
                Ok(length) => {
                    self.durable.length = length;
                    return Ok(self.durable);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(sync_error(&self.path, error)),
                Err(_) => {}
            },
            Err(_) => {}
        }
        self.turn_over(sync)?;
        Ok(self.durable)
    }

    /// Goes over to the MANIFEST that is current, which may change meanwhile.
    fn turn_over(&mut self, mut sync: impl FnMut(&Path) -> io::Result<u64>) -> Result<()> {
        for _ in 0..TURNS {
            let (path, number) = named(&self.database)?;
            match sync(&path) {
                Ok(length) => {
                    self.path = path;
                    self.durable = Manifest { number, length };
                    return Ok(());
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(sync_error(&path, error)),
                Err(_) => {}
            }
        }
        // It is still missing after all attempts: `current` reports that.
        current(&self.database).map(drop)
    }
}

/// How often a MANIFEST that is gone when it is opened may be a sign of a newer one. RocksDB begins one after a GiB.
const TURNS: usize = 8;

/// Makes durable what the file holds now, and says how much that is.
fn sync(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    file.sync_data()?;
    Ok(length)
}

fn sync_error(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot sync {}: {error}", path.display())).with_source(error)
}

/// The MANIFEST that is current, and its length now.
fn current(database: &Path) -> Result<(PathBuf, Manifest)> {
    let (manifest, number) = named(database)?;
    let metadata = fs::metadata(&manifest).map_err(|error| {
        let message = format!("cannot find {}, which CURRENT names: {error}", manifest.display());
        Error::new(ErrorKind::Corrupted, message).with_source(error)
    })?;
    let length = metadata.len();
    Ok((manifest, Manifest { number, length }))
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

/// Whether RocksDB's reader would come to an end with the current MANIFEST.
pub(super) fn check_readable(database: &Path) -> Result<()> {
    let (path, current) = current(database)?;
    let mut edits = Log::open(&path, current.number)?;
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

/// Whether the current MANIFEST holds everything that it held when `recorded` was written. A later one repeats it.
pub(super) fn check(database: &Path, recorded: Manifest) -> Result<()> {
    let (path, current) = current(database)?;
    if current < recorded {
        let lost = format!(
            "its end: it has {} bytes, and MANIFEST-{:06} had {}",
            current.length, recorded.number, recorded.length
        );
        return Err(has_lost(&path, &lost));
    }
    let durable = if current.number == recorded.number {
        recorded.length
    } else {
        0
    };
    let mut edits = Log::open(&path, current.number)?;
    while edits.next()? {
        if let Some(zeros) = edits.zeros() {
            return Err(has_lost(
                &path,
                &format!("a part: there are zeros at byte {zeros} and edits behind them"),
            ));
        }
    }
    match edits.zeros() {
        Some(zeros) if zeros < durable => Err(has_lost(
            &path,
            &format!("its end: there are zeros from byte {zeros} on"),
        )),
        None if edits.end() < durable => Err(has_lost(
            &path,
            &format!("its end: the edit at byte {} is broken", edits.end()),
        )),
        _ => Ok(()),
    }
}

fn has_lost(manifest: &Path, what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!(
            "{} has lost {what}; acknowledged commits may be missing, so restore a backup, or open with accept_loss to \
             go on with what is there",
            manifest.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(database: &Path, number: u64, edits: &[u8]) {
        let name = format!("MANIFEST-{number:06}");
        fs::write(database.join(&name), edits).unwrap();
        fs::write(database.join("CURRENT"), format!("{name}\n")).unwrap();
    }

    /// The watch follows a MANIFEST that grows, and goes over to the next one, also where the old one lives on by another name.
    #[test]
    fn the_next_manifest_is_followed() {
        for linked in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let database = directory.path();
            put(database, 1, b"edit");
            let first = database.join("MANIFEST-000001");
            let mut watch = ManifestWatch::new(database).unwrap();
            assert_eq!(watch.durable().unwrap(), Manifest { number: 1, length: 4 });
            fs::write(&first, b"edit edit").unwrap();
            assert_eq!(watch.durable().unwrap(), Manifest { number: 1, length: 9 });
            if linked {
                fs::hard_link(&first, database.join("backup")).unwrap();
                assert_eq!(watch.durable().unwrap(), Manifest { number: 1, length: 9 });
            }
            put(database, 2, b"all edits");
            fs::remove_file(&first).unwrap();
            assert_eq!(watch.durable().unwrap(), Manifest { number: 2, length: 9 });
        }
    }

    /// RocksDB goes over to the next MANIFEST between the look at the old one and its sync, and again between the look at
    /// CURRENT and the sync of what it names: the watch follows both times.
    #[test]
    fn a_manifest_may_go_while_it_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path();
        put(database, 1, b"edit");
        let mut watch = ManifestWatch::new(database).unwrap();
        fs::write(database.join("MANIFEST-000001"), b"edit edit").unwrap();
        let mut turns = 0;
        let sync_late = |path: &Path| {
            turns += 1;
            if turns < 3 {
                put(database, turns + 1, b"all edits");
                fs::remove_file(path).unwrap();
            }
            sync(path)
        };
        assert_eq!(watch.durable_by(sync_late).unwrap(), Manifest { number: 3, length: 9 });
        fs::remove_file(database.join("MANIFEST-000003")).unwrap();
        let error = watch.durable().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(error.to_string().contains("MANIFEST-000003"), "{error}");
    }
}
