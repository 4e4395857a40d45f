//! The properties of the store on RocksDB.

mod checkpoint;
mod damage;
mod likeness;
mod lives;
mod opening;
mod refusal;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod syscalls;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::open::Opened;
use super::{OpenOptions, RocksStore, open};
use crate::error::{Error, ErrorKind};
use crate::model::{self, CommitRecord};
use crate::schema;
use crate::store::{Batch, Reader, Store};

/// Returns options for small stores, so tests that open many stores are fast.
fn small() -> OpenOptions {
    OpenOptions {
        memory_budget: 8 << 20,
        wal_limit: 8 << 20,
        ..OpenOptions::default()
    }
}

fn refused(directory: &Path, how: &OpenOptions) -> Error {
    open(directory, how)
        .map(|_| ())
        .expect_err("the open should be refused")
}

/// Returns the number of the newest commit that an open found.
fn newest(opened: &Opened) -> u64 {
    opened.last_commit.map_or(0, |commit| commit.number)
}

/// Returns the key of the row that commit `number` writes in addition to the commit row.
fn row(number: u64) -> Vec<u8> {
    [b"r", &number.to_be_bytes()[..]].concat()
}

/// Writes a commit as the engine does: the commit row and one row that names the commit.
fn commit(store: &impl Store, number: u64) {
    let record = CommitRecord {
        number,
        next_batch: number,
        ..CommitRecord::before_the_first(64)
    };
    let mut batch = Batch::default();
    batch.put(&schema::COMMIT, &model::encode(&record).unwrap());
    batch.put(&row(number), format!("value of commit {number}").repeat(3).as_bytes());
    store.write(&batch).unwrap();
}

/// Commits `numbers` and acknowledges each.
fn acknowledged(store: &impl Store, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        commit(store, number);
        store.sync().unwrap();
        store.acknowledge(number).unwrap();
    }
}

/// Asserts that the rows of all commits up to `newest` exist.
fn assert_holds(store: &impl Reader, newest: u64) {
    for number in 1..=newest {
        assert!(
            store.get(&row(number)).unwrap().is_some(),
            "the row of commit {number} is missing"
        );
    }
}

/// Copies the files as the kernel has them, which is the state after a kill at this point, to a new directory.
fn killed(directory: &Path) -> (TempDir, PathBuf) {
    // RocksDB's background work may change the files during the copy. A copy counts if they are the same before and
    // after.
    loop {
        let place = tempfile::tempdir().unwrap();
        let copy = place.path().join("hub");
        let before = lengths(directory);
        if copy_directory(directory, &copy).is_ok() && lengths(directory) == before {
            return (place, copy);
        }
    }
}

fn copy_directory(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Returns every file of the hub with its length, except files that disappear during the listing.
fn lengths(directory: &Path) -> Vec<(PathBuf, u64)> {
    let parts = ["", "db", "log"].map(|part| directory.join(part));
    let entries = parts.iter().filter_map(|part| fs::read_dir(part).ok());
    let paths = entries.flatten().map(|entry| entry.unwrap().path());
    let mut lengths: Vec<_> = paths
        .filter_map(|path| Some((path.clone(), fs::metadata(&path).ok()?.len())))
        .collect();
    lengths.sort();
    lengths
}

/// Returns every file under `directory` with its bytes, except the lock, which only names its last holder.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else if !path.ends_with("LOCK") {
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}

/// A hub that was closed cleanly after `commits` acknowledged commits.
fn closed_hub(commits: u64) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("hub");
    let Opened { store, .. } = open(&directory, &small()).unwrap();
    acknowledged(&store, 1..=commits);
    store.close(commits).unwrap();
    drop(store);
    (place, directory)
}

/// A hub that was killed after `commits` acknowledged commits.
fn killed_hub(commits: u64) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("hub");
    let Opened { store, .. } = open(&directory, &small()).unwrap();
    acknowledged(&store, 1..=commits);
    killed(&directory)
}

/// The segments of the log in a hub's directory, oldest first.
fn logs(directory: &Path) -> Vec<PathBuf> {
    files_in(&directory.join("log"), |name| name.ends_with(".log"))
}

fn database_files(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    files_in(&directory.join("db"), wanted)
}

/// Returns the number of bytes up to the last nonzero one. A segment is longer than its content.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn files_in(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| wanted(path.file_name().unwrap().to_str().unwrap()))
        .collect();
    files.sort();
    files
}

fn assert_kind(error: &Error, kind: ErrorKind, texts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for text in texts {
        assert!(error.to_string().contains(text), "{error:?} does not contain {text:?}");
    }
}
