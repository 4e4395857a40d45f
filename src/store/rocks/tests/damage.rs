//! Damage to any file: the hub either opens with all acknowledged commits or fails with a reason.

use std::fs::OpenOptions as FileOptions;
use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::error::Result;
use crate::store::directory::Sidecar;

/// The newest commit of the hubs in these tests.
const NEWEST: u64 = 240;

/// Maximum number of commits of the hubs in these tests.
const WRITTEN: u64 = 3000;

/// Returns the number of trials for each file and kind of damage. `ABIDE_DAMAGE_TRIALS` raises it for a wider search.
fn trials() -> u64 {
    let wanted = std::env::var("ABIDE_DAMAGE_TRIALS").ok();
    wanted.and_then(|number| number.parse().ok()).unwrap_or(12)
}

/// Returns options with segments of 16 KiB, so a small log has several.
fn with_small_segments() -> OpenOptions {
    OpenOptions {
        wal_limit: 128 << 10,
        ..small()
    }
}

/// A killed hub with several tables, whose segments have been recycled and still end in older records.
fn killed_with_tables() -> &'static Path {
    static HUB: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, directory) = HUB.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("hub");
        let store = open(&directory, &with_small_segments()).unwrap().store;
        for tenth in 0..6 {
            acknowledged(&store, tenth * 30 + 1..=(tenth + 1) * 30);
            store.flush();
        }
        acknowledged(&store, 181..=NEWEST);
        let copy = killed(&directory);
        drop(store);
        drop(place);
        copy
    });
    directory
}

/// A killed hub with three segments that are all needed.
fn killed_with_logs() -> &'static Path {
    static HUB: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, directory) = HUB.get_or_init(|| with_three_logs(|number| number <= WRITTEN));
    directory
}

/// Like [`killed_with_logs`], but the commits after [`NEWEST`] were not acknowledged.
fn killed_before_acknowledgment() -> &'static Path {
    static HUB: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, directory) = HUB.get_or_init(|| with_three_logs(|number| number <= NEWEST));
    directory
}

fn with_three_logs(is_acknowledged: impl Fn(u64) -> bool) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("hub");
    let store = open(&directory, &with_small_segments()).unwrap().store;
    let mut number = 1;
    while logs(&directory).len() < 3 || number <= NEWEST + 20 {
        commit(&store, number);
        store.sync().unwrap();
        if is_acknowledged(number) {
            store.acknowledge(number).unwrap();
        }
        number += 1;
    }
    assert!(number <= WRITTEN);
    assert!(database_files(&directory, |name| name.ends_with(".sst")).is_empty());
    killed(&directory)
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip,
    Cut,
    Zero,
}

/// Damages `file` at a position that is derived from `seed`.
fn damage(file: &Path, how: Damage, seed: u64) {
    let mut bytes = fs::read(file).unwrap();
    if bytes.is_empty() {
        return;
    }
    let random = xxh3_64(&seed.to_be_bytes());
    // Bytes after the used part hold no data.
    let at = usize::try_from(random >> 8).unwrap() % used(&bytes);
    match how {
        Damage::Flip => bytes[at] ^= 1 << (random % 8),
        Damage::Cut => bytes.truncate(at),
        Damage::Zero => bytes[at..].iter_mut().take(600).for_each(|byte| *byte = 0),
    }
    FileOptions::new().write(true).truncate(true).open(file).unwrap();
    fs::write(file, bytes).unwrap();
}

/// Returns the commit that the sidecar of an intact hub promises.
fn promise(directory: &Path) -> u64 {
    Sidecar::read(directory).unwrap().unwrap().commit
}

/// Checks that the hub has every row up to `promised`, or that the open or a read fails with an actionable error.
fn check_honest(directory: &Path, promised: u64) -> std::result::Result<&'static str, String> {
    let opened = match open(directory, &small()) {
        Ok(opened) => opened,
        Err(error) => return explained(&error).map(|()| "refused"),
    };
    let found = newest(&opened);
    if found < promised {
        return Err(format!("opened silently with {found} of {promised} commits"));
    }
    let read: Result<Vec<_>> = (1..=WRITTEN).map(|number| opened.store.get(&row(number))).collect();
    let rows = match read {
        Err(error) => return explained(&error).map(|()| "refused a read"),
        Ok(rows) => rows,
    };
    // A crash loses a suffix: the row of the newest commit marks the end, and no rows follow.
    let kept = rows.iter().take_while(|row| row.is_some()).count() as u64;
    let there = rows.iter().flatten().count() as u64;
    match (kept, there) {
        (kept, there) if kept == found && there == found => Ok("whole"),
        _ => Err(format!(
            "commit {found} is the newest, but {there} commits have a row, of which the first {kept} are contiguous"
        )),
    }
}

/// Checks that an error names a file or a number of commits.
fn explained(error: &Error) -> std::result::Result<(), String> {
    let text = error.to_string();
    let kinds = [ErrorKind::Corrupted, ErrorKind::Io, ErrorKind::Format];
    let names = [
        "acknowledged commits",
        "MANIFEST",
        ".sst",
        ".log",
        "CURRENT",
        "ACKNOWLEDGED",
        "FORMAT",
        "format version",
        "WAL",
    ];
    if kinds.contains(&error.kind()) && names.iter().any(|name| text.contains(name)) {
        return Ok(());
    }
    Err(format!("the error lacks details: {error:?}"))
}

/// Damages each file that `wanted` selects, in every way, many times.
fn damage_all(hub: &Path, wanted: impl Fn(&Path) -> bool) {
    let promised = promise(hub);
    let mut outcomes = std::collections::BTreeMap::<_, u64>::new();
    let mut failures = Vec::new();
    let files: Vec<_> = contents(hub)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| wanted(path))
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let name = file.strip_prefix(hub).unwrap();
        for how in [Damage::Flip, Damage::Cut, Damage::Zero] {
            for seed in 0..trials() {
                let (_place, copy) = killed(hub);
                damage(&copy.join(name), how, seed);
                match check_honest(&copy, promised) {
                    Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
                    Err(failure) => failures.push(format!("{how:?} of {} with seed {seed}: {failure}", name.display())),
                }
            }
        }
    }
    println!("{outcomes:?}");
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

#[test]
fn a_damaged_log_is_never_silently_less() {
    damage_all(killed_with_tables(), |path| has_extension(path, "log"));
}

#[test]
fn damage_to_one_of_several_logs_is_never_silently_less() {
    damage_all(killed_with_logs(), |path| has_extension(path, "log"));
}

/// A gap in unacknowledged commits costs only a suffix. The hub opens, and no commit before the gap is lost.
#[test]
fn damage_behind_what_was_acknowledged_takes_a_suffix() {
    damage_all(killed_before_acknowledgment(), |path| has_extension(path, "log"));
}

#[test]
fn a_damaged_table_is_never_silently_less() {
    damage_all(killed_with_tables(), |path| has_extension(path, "sst"));
}

#[test]
fn a_damaged_manifest_is_never_silently_less() {
    let is_list = |path: &Path| path.to_str().unwrap().contains("MANIFEST-") || path.ends_with("CURRENT");
    damage_all(killed_with_tables(), is_list);
    damage_all(killed_with_logs(), is_list);
}

/// Each edit of the MANIFEST in turn is damaged in two ways. It claims to belong to a recycled log, at which RocksDB's
/// reader would never terminate, or to be longer than the file, which RocksDB takes for the end. In the second case,
/// the log has the missing commits or reports them.
#[test]
fn a_broken_edit_is_told() {
    let hub = killed_with_tables();
    let is_manifest = |(path, _): &(PathBuf, Vec<u8>)| path.to_str().unwrap().contains("MANIFEST-");
    let (manifest, bytes) = contents(hub).into_iter().find(is_manifest).unwrap();
    let mut at = 0;
    while at < bytes.len() {
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        for (byte, value) in [(at + 6, 5), (at + 5, 0xff)] {
            let (_place, copy) = killed(hub);
            let mut broken = bytes.clone();
            broken[byte] = value;
            fs::write(copy.join(manifest.strip_prefix(hub).unwrap()), broken).unwrap();
            let outcome = check_honest(&copy, NEWEST).unwrap();
            assert!(value == 0xff || outcome == "refused", "a recycled edit was read");
        }
        at += 7 + length;
    }
}

#[test]
fn a_damaged_sidecar_or_format_is_never_silently_less() {
    damage_all(killed_with_tables(), |path| {
        path.ends_with("ACKNOWLEDGED") || path.ends_with("FORMAT")
    });
}

/// A missing file is never a silent loss.
#[test]
fn a_missing_file_is_never_silently_less() {
    for hub in [killed_with_tables(), killed_with_logs()] {
        let promised = promise(hub);
        for (path, _) in contents(hub) {
            let (_place, copy) = killed(hub);
            let name = path.strip_prefix(hub).unwrap();
            fs::remove_file(copy.join(name)).unwrap();
            if let Err(failure) = check_honest(&copy, promised) {
                panic!("{} removed: {failure}", name.display());
            }
        }
    }
}
