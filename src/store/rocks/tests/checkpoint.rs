//! Checkpoints of a running hub.

use super::*;

fn restoring() -> OpenOptions {
    OpenOptions {
        restore: true,
        ..small()
    }
}

/// A copy has all acknowledged commits, and the original continues independently.
#[test]
fn a_restored_copy_is_the_hub_at_its_moment() {
    let place = tempfile::tempdir().unwrap();
    let (directory, copy) = (place.path().join("hub"), place.path().join("copy"));
    let original = open(&directory, &small()).unwrap();
    acknowledged(&original.store, 1..=30);
    original.store.checkpoint(&copy, 30).unwrap();
    acknowledged(&original.store, 31..=40);

    let restored = open(&copy, &restoring()).unwrap();
    assert_eq!(newest(&restored), 30);
    assert_holds(&restored.store, 30);
    assert!(restored.store.get(&row(31)).unwrap().is_none());
    // The copy has its own hub id, because another copy of the same hub may also be released.
    assert_ne!(restored.hub, original.hub);
    assert_eq!(restored.partitions, original.partitions);
    assert_eq!((original.incarnation, restored.incarnation), (1, 2));
    acknowledged(&restored.store, 31..=32);
    restored.store.close(32).unwrap();
    drop(restored);
    // The copy was released permanently and no longer needs a restore. Restoring a hub that is not a copy changes
    // nothing.
    assert_eq!(open(&copy, &small()).unwrap().incarnation, 2);
    assert_eq!(open(&copy, &restoring()).unwrap().incarnation, 2);
}

#[test]
fn a_copy_is_not_opened_for_work_by_accident() {
    let place = tempfile::tempdir().unwrap();
    let (directory, copy) = (place.path().join("hub"), place.path().join("copy"));
    let original = open(&directory, &small()).unwrap();
    acknowledged(&original.store, 1..=3);
    original.store.checkpoint(&copy, 3).unwrap();
    let before = contents(&copy);
    let error = refused(&copy, &small());
    assert_kind(&error, ErrorKind::Copy, &["made by a checkpoint", ".restore()"]);
    assert!(before == contents(&copy), "the refusal changed the copy");
}

/// A copy of a copy is possible. It includes unsynced writes, because a checkpoint syncs first.
#[test]
fn a_checkpoint_syncs_first() {
    let place = tempfile::tempdir().unwrap();
    let (directory, copy) = (place.path().join("hub"), place.path().join("copy"));
    let original = open(&directory, &small()).unwrap();
    commit(&original.store, 1);
    original.store.checkpoint(&copy, 0).unwrap();
    let again = place.path().join("again");
    let restored = open(&copy, &restoring()).unwrap();
    assert_eq!(newest(&restored), 1);
    restored.store.checkpoint(&again, 1).unwrap();
    assert_eq!(newest(&open(&again, &restoring()).unwrap()), 1);
}

#[test]
fn a_checkpoint_writes_over_nothing() {
    let place = tempfile::tempdir().unwrap();
    let original = open(&place.path().join("hub"), &small()).unwrap();
    let taken = place.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("notes.txt"), "mine").unwrap();
    let error = original.store.checkpoint(&taken, 0).unwrap_err();
    assert_kind(&error, ErrorKind::Configuration, &["taken", "not empty"]);
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 1);
}

/// A copy whose creation was killed is not a hub, because its FORMAT file is written last.
#[test]
fn a_half_made_copy_is_not_a_hub() {
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let original = open(&place.path().join("hub"), &small()).unwrap();
    acknowledged(&original.store, 1..=3);
    original.store.checkpoint(&copy, 3).unwrap();
    fs::remove_file(copy.join("FORMAT")).unwrap();
    assert_kind(&refused(&copy, &restoring()), ErrorKind::Format, &["is not a hub"]);
}
