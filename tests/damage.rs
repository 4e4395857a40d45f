//! A hub whose files were cut or changed opens with everything that was acknowledged, or fails and names what is
//! missing or broken. It never loses anything silently.
//!
//! A process that is killed creates one directory, and each case damages a copy of it.
//!
//! See docs/src/guarantees.md, "Durability".
#![cfg(feature = "rocksdb")]

#[path = "it/fixtures.rs"]
mod fixtures;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};

use abide::prelude::*;
use abide::{Error, ErrorKind};
use fixtures::{Journal, draw};
use worker::Worker;

const JOURNALS: u32 = 10;

async fn open(directory: &Path) -> abide::Result<Hub> {
    Hub::builder(directory).entity::<Journal>().open().await
}

#[test]
fn worker() {
    let Some((_, directory)) = worker::role() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let hub = open(&directory).await.unwrap();
        let client = hub.client();
        let mut order = worker::order();
        for n in 0.. {
            client.entity::<Journal>(n % JOURNALS).note(n).signal().await.unwrap();
            if order.as_deref() == Some(&n.to_string()) {
                worker::report(n);
                order = worker::order();
                if order.as_deref() == Some("shut down") {
                    return hub.shutdown().await.unwrap();
                }
            }
        }
    });
}

/// Creates a hub with tables and a log: one process writes `first` notes and closes it, and a second process writes
/// `second` notes and is killed.
fn make(directory: &Path, first: u32, second: u32) {
    let mut worker = Worker::start("write", directory);
    worker.send(first - 1);
    worker.expect(&(first - 1).to_string());
    worker.send("shut down");
    assert!(worker.wait().success());
    let mut worker = Worker::start("write", directory);
    worker.send(second - 1);
    worker.expect(&(second - 1).to_string());
    worker.kill();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Returns the largest file below `directory` whose name begins or ends with `name`. For `.log`, returns the segment in
/// use.
fn file(directory: &Path, name: &str) -> PathBuf {
    if name == ".log" {
        let segments = fs::read_dir(directory.join("log"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        return segments.max().unwrap();
    }
    let files = [directory.to_owned(), directory.join("db")]
        .into_iter()
        .flat_map(|directory| fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()));
    let like = |path: &PathBuf| {
        let file = path.file_name().unwrap().to_str().unwrap();
        file.starts_with(name) || file.ends_with(name)
    };
    let files = files.filter(|path| like(path) && path.is_file());
    files
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap_or_else(|| panic!("no file matches {name}"))
}

/// Opens the hub and reads everything. Returns an error if the hub does not open or cannot be read.
async fn look(directory: &Path, acknowledged: u32) -> Result<(), Error> {
    let hub = open(directory).await?;
    let client = hub.client();
    let mut notes = 0;
    for journal in 0..JOURNALS {
        let read = client.entity::<Journal>(journal).state().await;
        notes += read?.unwrap_or_default().notes.len() as u32;
    }
    // The killed worker may have stored more than it acknowledged.
    assert!(
        notes >= acknowledged,
        "the hub opened with {notes} of {acknowledged} notes"
    );
    client.entity::<Journal>("new").note(1).await?;
    hub.shutdown().await
}

/// Asserts that an error says how many commits are missing or names the broken file.
fn assert_names_the_damage(error: &Error, case: &str) {
    assert!(
        matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Format | ErrorKind::Io),
        "{case}: {error:?}"
    );
    let text = error.to_string();
    let names = [
        "acknowledged commits",
        "ACKNOWLEDGED",
        "FORMAT",
        "has format version",
        "CURRENT",
        "MANIFEST",
        ".sst",
        ".log",
        "OPTIONS",
    ];
    assert!(names.iter().any(|name| text.contains(name)), "{case}: {text}");
}

/// A hub whose files are truncated or have a flipped bit reports the damage or opens with everything.
#[test]
fn damage_is_reported_or_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (300, 300);
    let original = directory.path().join("original");
    make(&original, first, second);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut seed = 2;
    let mut outcomes = Vec::new();
    for (name, cuts, flips) in [
        (".log", 10, 14),
        ("ACKNOWLEDGED", 3, 6),
        ("MANIFEST-", 6, 8),
        (".sst", 4, 8),
        ("CURRENT", 2, 2),
        ("FORMAT", 2, 3),
        ("OPTIONS-", 1, 1),
    ] {
        for case in 0..cuts + flips {
            let damaged = directory.path().join("damaged");
            copy(&original, &damaged);
            let path = file(&damaged, name);
            let mut bytes = fs::read(&path).unwrap();
            // A segment of the log is preallocated, so its end is unused.
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let at = draw(&mut seed, used);
            let what = if case < cuts {
                bytes.truncate(at);
                format!("{name} cut at {at}")
            } else {
                let bit = draw(&mut seed, 8);
                bytes[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} of {name}")
            };
            fs::write(&path, bytes).unwrap();
            let looked = runtime.block_on(look(&damaged, first + second));
            if let Err(error) = &looked {
                assert_names_the_damage(error, &what);
            }
            outcomes.push((name, looked.is_ok()));
            fs::remove_dir_all(&damaged).unwrap();
        }
    }
    // The test would prove nothing if every damaged hub opened, or if none did.
    for name in [".log", "MANIFEST-", ".sst", "FORMAT"] {
        assert!(
            outcomes.contains(&(name, false)),
            "no damage of {name} was detected: {outcomes:?}"
        );
    }
    assert!(outcomes.iter().any(|(_, opened)| *opened), "{outcomes:?}");
}

/// A missing file is reported like a broken one. The error of a hub that lost commits says how many, and `accept_loss`
/// opens it with the rest.
#[test]
fn a_missing_file_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    make(&original, 50, 50);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for name in [".log", "ACKNOWLEDGED", "MANIFEST-", ".sst", "CURRENT", "FORMAT"] {
        let damaged = directory.path().join(name);
        copy(&original, &damaged);
        fs::remove_file(file(&damaged, name)).unwrap();
        let error = runtime.block_on(look(&damaged, 100)).unwrap_err();
        assert_names_the_damage(&error, name);
    }
    let damaged = directory.path().join("cut");
    copy(&original, &damaged);
    let log = file(&damaged, ".log");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..1_000]).unwrap();
    let error = runtime.block_on(look(&damaged, 100)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    let lost = error.to_string();
    let lost = lost
        .split_once(" has lost ")
        .and_then(|(_, rest)| rest.split_once(" acknowledged commits"));
    let lost: u32 = lost.unwrap_or_else(|| panic!("{error}")).0.parse().unwrap();
    // A failed open changes nothing, so the log can be restored.
    fs::write(&log, &bytes).unwrap();
    runtime.block_on(look(&damaged, 100)).unwrap();

    let accepted = directory.path().join("accepted");
    copy(&original, &accepted);
    fs::write(file(&accepted, ".log"), &bytes[..1_000]).unwrap();
    runtime.block_on(async {
        let hub = Hub::builder(&accepted)
            .entity::<Journal>()
            .accept_loss()
            .open()
            .await
            .unwrap();
        let mut notes = 0;
        for journal in 0..JOURNALS {
            let state = hub.client().entity::<Journal>(journal).state().await.unwrap().unwrap();
            notes += state.notes.len() as u32;
        }
        assert!(notes >= 50 && notes + lost >= 100, "{notes} and {lost}");
        hub.shutdown().await.unwrap();
        look(&accepted, notes).await.unwrap();
    });
}
