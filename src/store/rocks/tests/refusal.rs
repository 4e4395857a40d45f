//! A hub that has lost something refuses, changes nothing, and has a way out.

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
    // The first block of a segment says what it is.
    let records = used(&bytes) - 4096;
    fs::write(&log, &bytes[..4096 + records * 2 / 3]).unwrap();
    (place, directory)
}

/// The refusal says how much is missing, and every byte is as before, so that a better recovery can still be tried.
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

/// After a clean close the same check is made: a table that went missing with its list is a loss too.
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

/// Who accepts the loss goes on with what is there, and is not asked again.
#[test]
fn an_accepted_loss_opens_with_what_is_there() {
    let (_place, directory) = cut_hub();
    let opened = open(&directory, &accepting()).unwrap();
    assert_eq!(newest(&opened), 33);
    assert_holds(&opened.store, 33);
    // Numbers are given out again, so the ids that outside services know must not be.
    assert_eq!(opened.incarnation, 2);
    acknowledged(&opened.store, 34..=36);
    drop(opened);
    assert_eq!(newest(&open(&directory, &small()).unwrap()), 36);
}

#[test]
fn a_missing_or_broken_sidecar_is_refused_and_can_be_accepted() {
    for (damage, says) in [(None, "is missing"), (Some(vec![7; 8192]), "is broken")] {
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
            &["ACKNOWLEDGED", says, "accept_loss"],
        );
        assert!(contents(&directory) == before, "the refusal changed the directory");
        assert_eq!(newest(&open(&directory, &accepting()).unwrap()), 5);
        assert_eq!(newest(&open(&directory, &small()).unwrap()), 5);
    }
}

/// A hub without commits has promised nothing, so a missing sidecar is no loss.
#[test]
fn an_empty_hub_needs_no_sidecar() {
    let (_place, directory) = closed_hub(0);
    fs::remove_file(directory.join("ACKNOWLEDGED")).unwrap();
    open(&directory, &small()).unwrap();
}

/// A MANIFEST that was cut between two edits looks whole to RocksDB, which then has an older state: the log has what is missing.
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

/// Where the log has been trimmed because RocksDB had the commits, and RocksDB has lost them, the gap is told.
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

/// The newest commit that RocksDB has, if it can be read at all.
fn kept(directory: &Path) -> Option<u64> {
    let database = rocksdb::DB::open_for_read_only(&rocksdb::Options::default(), directory.join("db"), false).ok()?;
    let row = database.get(keys::COMMIT).unwrap();
    Some(row.map_or(0, |row| records::decode::<CommitRecord>(&row, "commit").unwrap().number))
}

/// A killed hub in which RocksDB has so many commits, and the log four more.
fn flushed_and_killed(flushed: u64, how: &OpenOptions) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let hub = place.path().join("hub");
    let store = open(&hub, how).unwrap().store;
    acknowledged(&store, 1..=flushed);
    store.flush();
    acknowledged(&store, flushed + 1..=flushed + 4);
    killed(&hub)
}

/// The MANIFEST without its last edits, in every way that leaves the first two, without which it is none.
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

/// Where the records of a short MANIFEST end: each has a CRC (4 bytes), a length (2) and a type (1) before it.
fn record_ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at + 7 <= bytes.len() {
        at += 7 + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        ends.push(at);
    }
    ends
}

/// A broken table is found when it is read, and the error names the file.
#[test]
fn a_broken_table_fails_the_read_and_is_named() {
    let (_place, directory) = closed_hub(200);
    let table = database_files(&directory, |name| name.ends_with(".sst")).pop().unwrap();
    let mut bytes = fs::read(&table).unwrap();
    let name = table.file_name().unwrap().to_str().unwrap();
    // The first block holds the commit row; a later one is met by its readers only.
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

/// A `FORMAT` file that says another number of partitions, with a checksum that is right, would have every row looked for in
/// a wrong place: the store knows how many it was written with, and nothing changes.
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
            "says 32 partitions",
            "was written with 64",
            "restore a backup",
        ],
    );
    assert!(contents(&directory) == before, "the refusal changed the directory");
    format.write(&directory).unwrap();
    assert_eq!(newest(&open(&directory, &small()).unwrap()), 5);
}
