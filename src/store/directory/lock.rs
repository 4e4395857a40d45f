//! The lock on a hub's directory, which only one process can hold.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{io_error, open_private};

/// The file of the lock. It contains the process id of the holder, for the error of a refused open.
const LOCK: &str = "LOCK";

/// Maximum number of attempts to take the lock. More than one is needed because others lock the file briefly to check
/// it.
const ATTEMPTS: usize = 1_000;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// The exclusive lock on a hub's directory. The kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock, or fails with an error that names the holder. Another hub of the same process is also refused.
    pub(crate) fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(LOCK);
        let file = open_private(&path)?;
        if !lock(&file).map_err(|error| io_error("lock", &path, error))? {
            return Err(held(directory, &named(&file)));
        }
        let lock = Self { file };
        let mut file = &lock.file;
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|error| io_error("write", &path, error))?;
        Ok(lock)
    }
}

impl Drop for DirectoryLock {
    /// Unlocks the file explicitly. Closing it is not enough, because a child process that is just being started
    /// briefly has a copy of the file and with it the lock.
    fn drop(&mut self) {
        // The file is closed next, so an error needs no handling.
        let _ = self.file.unlock();
    }
}

/// Takes the lock. Returns `false` if another hub holds it. A concurrent check of the lock only delays the call.
fn lock(file: &File) -> io::Result<bool> {
    for _ in 0..ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        match file.try_lock_shared() {
            Ok(()) => {
                file.unlock()?;
                std::thread::park_timeout(PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// Fails if a process holds the directory. Changes nothing.
pub(crate) fn check_free(directory: &Path) -> Result<()> {
    match holder(directory)? {
        Some(holder) => Err(held(directory, &holder)),
        None => Ok(()),
    }
}

/// Returns a description of the holder of a directory, or `None` if it is not locked. Changes nothing.
pub(crate) fn holder(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", &path, error)),
    };
    match file.try_lock_shared() {
        // Unlock explicitly, because a child process may have a copy of the file.
        Ok(()) => match file.unlock() {
            Ok(()) => Ok(None),
            Err(error) => Err(io_error("unlock", &path, error)),
        },
        Err(TryLockError::WouldBlock) => Ok(Some(named(&file))),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path, error)),
    }
}

/// An upper bound on the number of bytes of a process id.
const LONGEST_ID: u64 = 16;

fn named(file: &File) -> String {
    let mut holder = String::new();
    // The holder may not have written its id yet, and the file may have any other content. The error is correct without
    // an id.
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
            "directory {} is locked by {holder}; a hub can be opened only once, so close the other one first",
            directory.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lock on the file decides, not its content: a file left by a dead process does not block an open.
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

    /// A child process that was just started has a copy of every file of its parent until it executes its own program.
    #[test]
    fn a_lock_ends_with_its_holder_whoever_has_a_copy_of_its_file() {
        let place = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::take(place.path()).unwrap();
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        DirectoryLock::take(place.path()).unwrap();
        drop(copy);
    }

    /// A check of the lock briefly locks the file itself, and a concurrent open waits for it.
    #[test]
    fn a_check_keeps_no_hub_from_opening() {
        let place = tempfile::tempdir().unwrap();
        drop(DirectoryLock::take(place.path()).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    holder(place.path()).unwrap();
                }
            });
            for open in 0..300 {
                let taken = DirectoryLock::take(place.path());
                if taken.is_err() {
                    done.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                taken.unwrap_or_else(|error| panic!("open {open}: {error}"));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
