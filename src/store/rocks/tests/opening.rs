//! The behavior of an open on each kind of directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::store::{MEMORY_BUDGET, is_no_hub, open_read_only};

/// After a clean close, all acknowledged commits exist, and the hub has the same identity.
#[test]
fn a_closed_hub_opens_with_everything() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("hub");
    let made = open(&directory, &small()).unwrap();
    assert!(made.created && made.clean);
    assert_eq!(made.last_commit, None);
    acknowledged(&made.store, 1..=20);
    made.store.close(20).unwrap();
    drop(made.store);

    let other = OpenOptions {
        partitions: 7,
        ..small()
    };
    let again = open(&directory, &other).unwrap();
    assert!(!again.created && again.clean);
    assert_eq!(newest(&again), 20);
    assert_eq!((again.hub, again.partitions, again.incarnation), (made.hub, 64, 1));
    assert_holds(&again.store, 20);
}

/// After a kill, all acknowledged commits exist. The test opens a copy of the live directory after each commit.
#[test]
fn a_killed_hub_opens_with_everything_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("hub");
    let opened = open(&directory, &small()).unwrap();
    for number in 1..=5 {
        acknowledged(&opened.store, number..=number);
        let (_place, copy) = killed(&directory);
        let again = open(&copy, &small()).unwrap();
        assert!(!again.clean);
        assert_eq!(newest(&again), number);
        // Each commit was a batch, and the kill happened in the last one.
        assert_eq!(again.calm_since, number);
        assert_holds(&again.store, number);
    }
}

/// A kill always loses unsynced writes, because they exist only in the process.
#[test]
fn a_kill_loses_what_was_not_synced() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("hub");
    let opened = open(&directory, &small()).unwrap();
    acknowledged(&opened.store, 1..=3);
    commit(&opened.store, 4);
    let (_place, copy) = killed(&directory);
    assert_eq!(newest(&open(&copy, &small()).unwrap()), 3);
}

/// Returns a killed hub whose last table has only the name of the front that it was made of. RocksDB removes the name of
/// the table if the sync of its MANIFEST fails, but the MANIFEST may name the table.
fn killed_after_a_failed_ingestion() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("hub");
    let store = open(&directory, &small()).unwrap().store;
    for tenth in 0..3 {
        acknowledged(&store, tenth * 10 + 1..=tenth * 10 + 10);
        store.flush();
    }
    let (place, copy) = killed(&directory);
    let tables = database_files(&copy, |name| name.ends_with(".sst"));
    fs::rename(tables.last().unwrap(), copy.join("db/front.tmp")).unwrap();
    (place, copy)
}

/// A table that RocksDB has removed after a failed sync of its MANIFEST is restored from the front.
#[test]
fn a_table_that_rocksdb_has_removed_is_restored() {
    let (_place, directory) = killed_after_a_failed_ingestion();
    let error = open_read_only(&directory, MEMORY_BUDGET).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(
        error
            .to_string()
            .contains("front.tmp, and an open of the hub restores it"),
        "{error}"
    );
    let opened = open(&directory, &small()).unwrap();
    assert_eq!(newest(&opened), 30);
    assert_holds(&opened.store, 30);
    assert!(!directory.join("db/front.tmp").exists());
}

/// A front never takes the place of a table that it was not made of.
#[test]
fn another_front_does_not_replace_a_missing_table() {
    let (_place, directory) = killed_after_a_failed_ingestion();
    let tables = database_files(&directory, |name| name.ends_with(".sst"));
    for front in [b"garbage".to_vec(), fs::read(&tables[0]).unwrap()] {
        fs::write(directory.join("db/front.tmp"), front).unwrap();
        let error = refused(&directory, &small());
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
        assert_eq!(database_files(&directory, |name| name.ends_with(".sst")), tables);
    }
}

/// A crash may leave the file of a front as a second name of its ingested table. Writing the next front changes neither
/// the table nor a copy of it.
#[test]
fn a_table_with_a_second_name_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let (directory, copy) = (place.path().join("hub"), place.path().join("copy"));
    let store = open(&directory, &small()).unwrap().store;
    acknowledged(&store, 1..=50);
    store.flush();
    store.checkpoint(&copy, 50).unwrap();
    let table = database_files(&directory, |name| name.ends_with(".sst")).pop().unwrap();
    let second = directory.join("db/front.tmp");
    fs::hard_link(&table, &second).unwrap();
    acknowledged(&store, 51..=51);
    store.flush();
    assert_holds(&store, 51);
    drop(store);
    fs::hard_link(&table, &second).unwrap();
    let again = open(&directory, &small()).unwrap();
    assert!(!second.exists());
    acknowledged(&again.store, 52..=60);
    again.store.flush();
    assert_holds(&again.store, 60);
    let how = OpenOptions {
        restore: true,
        ..small()
    };
    assert_holds(&open(&copy, &how).unwrap().store, 50);
}

/// The logs of many lives are read as one, even if some lives ended without a write.
#[test]
fn a_hub_that_is_killed_again_and_again_keeps_everything() {
    let place = tempfile::tempdir().unwrap();
    let mut kept = (place, PathBuf::new());
    kept.1 = kept.0.path().join("hub");
    let mut number = 0;
    for life in 0..12 {
        let opened = open(&kept.1, &small()).unwrap();
        assert_eq!(newest(&opened), number);
        assert_holds(&opened.store, number);
        if life % 3 > 0 {
            acknowledged(&opened.store, number + 1..=number + 5);
            number += 5;
        }
        if life % 4 == 3 {
            opened.store.flush();
        }
        let copy = killed(&kept.1);
        drop(opened);
        kept = copy;
    }
}

#[test]
fn a_directory_that_is_no_hub_is_refused_untouched() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("notes.txt"), "mine").unwrap();
    let error = refused(place.path(), &small());
    assert_kind(&error, ErrorKind::Format, &["is not a hub", "no FORMAT file"]);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_directory_becomes_a_hub() {
    let place = tempfile::tempdir().unwrap();
    assert!(open(place.path(), &small()).unwrap().created);
}

/// A creation that was killed at any point is repeated.
#[test]
fn an_unfinished_creation_is_finished() {
    for left in [
        &["FORMAT"][..],
        &["FORMAT", "ACKNOWLEDGED"],
        &["FORMAT", "ACKNOWLEDGED", "db"],
    ] {
        let (_place, directory) = closed_hub(0);
        fs::write(directory.join("CREATING"), []).unwrap();
        for name in left {
            let path = directory.join(name);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap()
            } else {
                fs::remove_file(path).unwrap()
            }
        }
        assert!(open(&directory, &small()).unwrap().created, "{left:?}");
        assert!(!open(&directory, &small()).unwrap().created);
    }
}

#[test]
fn a_second_open_is_refused_and_names_the_holder() {
    let place = tempfile::tempdir().unwrap();
    let first = open(place.path(), &small()).unwrap();
    let error = refused(place.path(), &small());
    let holder = format!("process {}", std::process::id());
    assert_kind(&error, ErrorKind::Locked, &[&holder, place.path().to_str().unwrap()]);
    drop(first);
    open(place.path(), &small()).unwrap();
}

/// Only the owner can read the files, in a directory that the hub created and in an existing one that is open to all.
#[test]
fn only_the_owner_can_read_a_hub() {
    let place = tempfile::tempdir().unwrap();
    let ours = place.path().join("ours");
    let theirs = place.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, Permissions::from_mode(0o755)).unwrap();
    for directory in [&ours, &theirs] {
        let opened = open(directory, &small()).unwrap();
        acknowledged(&opened.store, 1..=2);
        let copy = directory.with_extension("copy");
        opened.store.checkpoint(&copy, 2).unwrap();
        assert_eq!(mode(&copy), 0o700);
        assert_eq!(mode(&copy.join("db")), 0o700);
        for entry in fs::read_dir(directory).unwrap().chain(fs::read_dir(&copy).unwrap()) {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
        }
    }
    assert_eq!(mode(&ours), 0o700);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_closed_store_takes_no_more() {
    let place = tempfile::tempdir().unwrap();
    let opened = open(place.path(), &small()).unwrap();
    opened.store.close(0).unwrap();
    let error = opened.store.write(&Batch::default()).unwrap_err();
    assert_kind(&error, ErrorKind::Closed, &["open the hub again"]);
    assert_eq!(opened.store.sync().unwrap_err().kind(), ErrorKind::Closed);
}

/// A directory with a part of a hub is not free for other purposes.
#[test]
fn a_part_of_a_hub_is_recognized() {
    let (_place, directory) = closed_hub(0);
    assert!(!is_no_hub(&directory));
    fs::remove_file(directory.join("FORMAT")).unwrap();
    assert!(!is_no_hub(&directory), "the database is left");
    fs::remove_dir_all(directory.join("db")).unwrap();
    assert!(is_no_hub(&directory));
    fs::write(directory.join("FORMAT"), []).unwrap();
    assert!(!is_no_hub(&directory), "a broken file is left");
}
