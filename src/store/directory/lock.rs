//! One process at a time: the lock on a hub's directory.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use super::files::{io_error, open_private};
use crate::error::{Error, ErrorKind, Result};

/// The lock's file; its content is the holder's process id, for whoever is turned away.
const LOCK: &str = "LOCK";

/// The exclusive right to a hub's directory. The kernel takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock or says who has it; also another hub of this process is turned away.
    pub(crate) fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(LOCK);
        let file = open_private(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(directory, &named(&file))),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &path, error)),
        }
        let written = file.set_len(0).and_then(|()| writeln!(&file, "{}", std::process::id()));
        written.map_err(|error| io_error("write", &path, error))?;
        Ok(Self { _file: file })
    }
}

/// Refuses a directory that somebody holds, and changes nothing.
pub(crate) fn check_free(directory: &Path) -> Result<()> {
    match holder(directory)? {
        Some(holder) => Err(held(directory, &holder)),
        None => Ok(()),
    }
}

/// Who holds a directory, in words; nothing if it is free. Changes nothing.
pub(crate) fn holder(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", &path, error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(named(&file))),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path, error)),
    }
}

/// More bytes than a process id has.
const LONGEST_ID: u64 = 16;

fn named(file: &File) -> String {
    let mut holder = String::new();
    // The holder may be about to write its id, and the file may hold anything else; the refusal is right without an id.
    let read = file.take(LONGEST_ID).read_to_string(&mut holder);
    match (read, holder.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("process {id}"),
        _ => "another process".to_owned(),
    }
}

fn held(directory: &Path, holder: &str) -> Error {
    Error::new(
        ErrorKind::Locked,
        format!(
            "{} is held by {holder}; a hub is open only once, so stop that one first",
            directory.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lock's own file descriptor decides, not its content: what a dead process left locks nobody out.
    #[test]
    fn a_dead_holder_locks_nobody_out() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join(LOCK), "1\n").unwrap();
        let lock = DirectoryLock::take(place.path()).unwrap();
        let error = DirectoryLock::take(place.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(
            error.to_string().contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        drop(lock);
        DirectoryLock::take(place.path()).unwrap();
    }
}
