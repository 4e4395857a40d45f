//! A hub that has lost data refuses to open, changes nothing, and offers a way out.

use super::*;
use crate::store::directory::{Acknowledged, Format, Sidecar};

fn accepting() -> OpenOptions {
    OpenOptions {
        accept_loss: true,
        ..small()
    }
}

/// A killed hub with 50 acknowledged commits whose log has lost its last third.
fn cut_hub() -> (TempDir, PathBuf) {
    let (place, directory) = killed_hub(50);
    let log = logs(&directory).pop().unwrap();
    let bytes = fs::read(&log).unwrap();
    // The first block of a segment is its header.
    let records = used(&bytes) - 4096;
    fs::write(&log, &bytes[..4096 + records * 2 / 3]).unwrap();
    (place, directory)
}

/// The error reports the number of missing commits. Every byte remains unchanged, so a better recovery is still
/// possible.
#[test]
fn a_refusal_counts_what_is_missing_and_changes_nothing() {
    let (_place, directory) = cut_hub();
    let before = contents(&directory);
    for _ in 0..2 {
        let error = refused(&directory, &small());
        assert_kind(
            &error,
            ErrorKind::Corrupted,
            &["has lost 17 acknowledged commits", "50 were", "accept_loss"],
        );
        assert!(contents(&directory) == before, "the refusal changed the directory");
    }
}

/// The same check applies after a clean close: a table that is lost together with its list is a loss, too.
#[test]
fn a_loss_after_a_clean_close_is_refused_too() {
    let (_place, directory) = closed_hub(10);
    let promise = Sidecar::read(&directory).unwrap().unwrap();
    let more = Acknowledged { commit: 12, ..promise };
    drop(Sidecar::begin(&directory, more).unwrap());
    let before = contents(&directory);
    assert_kind(
        &refused(&directory, &small()),
        ErrorKind::Corrupted,
        &["has lost 2 acknowledged commits"],
    );
    assert!(contents(&directory) == before, "the refusal changed the directory");
}

/// If the loss is accepted, the hub continues with the remaining data, and later opens succeed.
#[test]
fn an_accepted_loss_opens_with_what_is_there() {
    let (_place, directory) = cut_hub();
    let opened = open(&directory, &accepting()).unwrap();
    assert_eq!(newest(&opened), 33);
    assert_holds(&opened.store, 33);
    // Commit numbers are reused, so the ids known to external services must change.
    assert_eq!(opened.incarnation, 2);
    acknowledged(&opened.store, 34..=36);
    drop(opened);
    assert_eq!(newest(&open(&directory, &small()).unwrap()), 36);
}

#[test]
fn a_missing_or_broken_sidecar_is_refused_and_can_be_accepted() {
    for (damage, text) in [(None, "is missing"), (Some(vec![7; 8192]), "is broken")] {
        let (_place, directory) = killed_hub(5);
        let sidecar = directory.join("ACKNOWLEDGED");
        match damage {
            None => fs::remove_file(&sidecar).unwrap(),
            Some(bytes) => fs::write(&sidecar, bytes).unwrap(),
        }
        let before = contents(&directory);
        assert_kind(
            &refused(&directory, &small()),
            ErrorKind::Corrupted,
            &["ACKNOWLEDGED", text, "accept_loss"],
        );
        assert!(contents(&directory) == before, "the refusal changed the directory");
        assert_eq!(newest(&open(&directory, &accepting()).unwrap()), 5);
        assert_eq!(newest(&open(&directory, &small()).unwrap()), 5);
    }
}

/// A hub without commits has not promised anything, so a missing sidecar is not a loss.
#[test]
fn an_empty_hub_needs_no_sidecar() {
    let (_place, directory) = closed_hub(0);
    fs::remove_file(directory.join("ACKNOWLEDGED")).unwrap();
    open(&directory, &small()).unwrap();
}

/// A MANIFEST that was cut between two edits looks complete to RocksDB, which then has an older state. The log has the
/// missing commits.
#[test]
fn a_manifest_that_lost_its_last_edits_loses_nothing() {
    let (_place, directory) = flushed_and_killed(95, &small());
    let mut older = 0;
    for manifest in cut_manifests(&directory) {
        let (_place, copy) = killed(&directory);
        fs::write(copy.join(manifest.0), manifest.1).unwrap();
        match kept(&copy) {
            None => continue,
            Some(kept) => older += u64::from(kept == 0),
        }
        let opened = open(&copy, &small()).unwrap();
        assert_eq!(newest(&opened), 99);
        assert_holds(&opened.store, 99);
    }
    assert!(older > 0, "RocksDB had all commits");
}

/// If RocksDB has lost commits that were trimmed from the log, the open reports the gap.
#[test]
fn a_gap_between_rocksdb_and_the_log_is_refused() {
    let tiny = OpenOptions {
        wal_limit: 64 << 10,
        ..small()
    };
    let (_place, directory) = flushed_and_killed(400, &tiny);
    let mut older = 0;
    for manifest in cut_manifests(&directory) {
        let (_place, copy) = killed(&directory);
        fs::write(copy.join(manifest.0), manifest.1).unwrap();
        if kept(&copy).is_none_or(|kept| kept == 400) {
            continue;
        }
        older += 1;
        let before = contents(&copy);
        assert_kind(
            &refused(&copy, &small()),
            ErrorKind::Corrupted,
            &[".log", "the commits 1 to ", "accept_loss"],
        );
        assert!(contents(&copy) == before, "the refusal changed the directory");
        assert_eq!(newest(&open(&copy, &accepting()).unwrap()), 0);
        assert_eq!(newest(&open(&copy, &small()).unwrap()), 0);
    }
    assert!(older > 0, "RocksDB had all commits");
}

/// Returns the newest commit that RocksDB has, if RocksDB is readable at all.
fn kept(directory: &Path) -> Option<u64> {
    let database = rocksdb::DB::open_for_read_only(&rocksdb::Options::default(), directory.join("db"), false).ok()?;
    let row = database.get(schema::COMMIT).unwrap();
    Some(row.map_or(0, |row| model::decode::<CommitRecord>(&row, "commit").unwrap().number))
}

/// A killed hub in which RocksDB has `flushed` commits and the log has four more.
fn flushed_and_killed(flushed: u64, how: &OpenOptions) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let hub = place.path().join("hub");
    let store = open(&hub, how).unwrap().store;
    acknowledged(&store, 1..=flushed);
    store.flush();
    acknowledged(&store, flushed + 1..=flushed + 4);
    killed(&hub)
}

/// Returns all variants of the MANIFEST without its last edits. Each keeps the first two edits, without which the file
/// is invalid.
fn cut_manifests(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let manifest = database_files(directory, |name| name.starts_with("MANIFEST"))
        .pop()
        .unwrap();
    let bytes = fs::read(&manifest).unwrap();
    let edits = record_ends(&bytes);
    let name = manifest.strip_prefix(directory).unwrap();
    let cuts = edits[1..edits.len() - 1].iter();
    cuts.map(|end| (name.to_owned(), bytes[..*end].to_vec())).collect()
}

/// Returns the offsets at which the records of a short MANIFEST end. A CRC (4 bytes), a length (2) and a type (1)
/// precede each.
fn record_ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at + 7 <= bytes.len() {
        at += 7 + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        ends.push(at);
    }
    ends
}

/// A broken table is detected when it is read, and the error names the file.
#[test]
fn a_broken_table_fails_the_read_and_is_named() {
    let (_place, directory) = closed_hub(200);
    let table = database_files(&directory, |name| name.ends_with(".sst")).pop().unwrap();
    let mut bytes = fs::read(&table).unwrap();
    let name = table.file_name().unwrap().to_str().unwrap();
    // The first block holds the commit row. A later block is only read on demand.
    bytes[3000] ^= 1;
    fs::write(&table, bytes).unwrap();
    let outcome = open(&directory, &small()).map(|opened| {
        let one_by_one: Result<Vec<_>, _> = (1..=200).map(|number| opened.store.get(&row(number))).collect();
        let scanned = opened.store.scan(row(0)..row(u64::MAX), 1000).unwrap_err();
        let keys: Vec<_> = (1..=200).map(row).collect();
        let at_once = opened.store.get_many(&keys).unwrap_err();
        [one_by_one.unwrap_err(), scanned, at_once]
    });
    match outcome {
        Ok(errors) => errors
            .iter()
            .for_each(|error| assert_kind(error, ErrorKind::Corrupted, &[name])),
        Err(error) => assert_kind(&error, ErrorKind::Corrupted, &[name]),
    }
}

/// A `FORMAT` file with a wrong number of partitions and a valid checksum would place every row wrongly. The store
/// records the number that it was written with, so the open is refused and nothing changes.
#[test]
fn another_number_of_partitions_is_refused() {
    let (_place, directory) = closed_hub(5);
    let format = Format::find(&directory).unwrap().unwrap();
    let partitions = format.partitions / 2;
    Format {
        partitions,
        ..format.clone()
    }
    .write(&directory)
    .unwrap();
    let before = contents(&directory);
    assert_kind(
        &refused(&directory, &small()),
        ErrorKind::Corrupted,
        &[
            "FORMAT",
            "specifies 32 partitions",
            "was written with 64",
            "restore a backup",
        ],
    );
    assert!(contents(&directory) == before, "the refusal changed the directory");
    format.write(&directory).unwrap();
    assert_eq!(newest(&open(&directory, &small()).unwrap()), 5);
}
