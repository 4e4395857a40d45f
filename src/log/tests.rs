//! A log in files: synced records survive any crash, and damage is reported.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uuid::Uuid;

use super::disk::{Directory, Disk};
use super::segment::START;
use super::*;
use crate::error::ErrorKind;

mod lives;
pub(crate) mod memory;

pub(crate) const HUB: Uuid = Uuid::from_u128(7);

/// Small segments, so a log has several.
const SEGMENT: usize = 2 * START;

fn changes(commit: u64) -> Vec<u8> {
    let length = (commit * 137 % 800) as usize;
    let mut bytes = vec![commit as u8; length];
    bytes.extend_from_slice(&commit.to_be_bytes());
    bytes
}

/// A directory with a log, which is opened repeatedly.
struct Place {
    directory: TempDir,
    segment: usize,
}

impl Place {
    fn new() -> Self {
        Self::with_segments_of(SEGMENT)
    }

    fn with_segments_of(segment: usize) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            segment,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn open(&self, kept: u64) -> FileLog {
        let reading = read(&self.path(), HUB, kept, &mut |_, _| Ok(())).unwrap();
        assert!(reading.damage.is_none(), "{reading:?}");
        FileLog::open(&self.path(), HUB, self.segment, &reading, kept).unwrap()
    }

    /// Checks that the log has exactly the commits after `kept` up to `newest`.
    #[track_caller]
    fn holds(&self, kept: u64, newest: u64) {
        let (found, damage) = commits(&self.path(), kept);
        assert!(damage.is_none(), "{damage:?}");
        let expected: BTreeMap<u64, Vec<u8>> = (kept + 1..=newest).map(|commit| (commit, changes(commit))).collect();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        assert_eq!(found, expected);
    }

    fn segment(&self, number: u64) -> PathBuf {
        Directory::new(&self.path()).path(number)
    }

    fn numbers(&self) -> Vec<u64> {
        Directory::new(&self.path()).list().unwrap()
    }
}

/// Returns the commits after `kept`, and the damage that was found.
fn commits(directory: &Path, kept: u64) -> (BTreeMap<u64, Vec<u8>>, Option<String>) {
    let mut found = BTreeMap::new();
    let mut last = kept;
    let reading = read(directory, HUB, kept, &mut |commit, changes| {
        assert_eq!(commit, last + 1, "commits are in order and without gaps");
        last = commit;
        found.insert(commit, changes.to_vec());
        Ok(())
    });
    let reading = reading.unwrap();
    assert_eq!(reading.newest, last);
    (found, reading.damage)
}

fn append(log: &impl Log, commits: std::ops::RangeInclusive<u64>) {
    for commit in commits {
        log.append(commit, &changes(commit));
    }
}

/// Synced records are read in order, across segments and opens. Records that were only appended are not.
#[test]
fn what_was_synced_is_there() {
    let place = Place::new();
    place.holds(0, 0);
    let log = place.open(0);
    append(&log, 1..=3);
    assert_eq!(log.sync().unwrap(), 3);
    append(&log, 4..=90);
    assert_eq!(log.sync().unwrap(), 90);
    assert_eq!(log.sync().unwrap(), 90);
    assert!(place.numbers().len() > 5);
    append(&log, 91..=95);
    assert!(log.stats().unsynced_bytes > 0);
    drop(log);
    place.holds(0, 90);
    place.holds(50, 90);
    for life in 0..5 {
        let log = place.open(50);
        append(&log, 91 + 10 * life..=100 + 10 * life);
        assert_eq!(log.sync().unwrap(), 100 + 10 * life);
        place.holds(50, 100 + 10 * life);
    }
}

/// The log measures the records that the next open has to read. A store writes its tables when they are too many.
#[test]
fn needed_records_are_measured() {
    let place = Place::new();
    let log = place.open(0);
    append(&log, 1..=60);
    log.sync().unwrap();
    let needed = log.stats().live_bytes;
    assert_eq!(needed, log.stats().appended_bytes);
    drop(log);
    let log = place.open(0);
    assert_eq!(log.stats().live_bytes, needed);
    log.trim(60).unwrap();
    assert_eq!(log.stats().live_bytes, 0);
}

/// The records of a failed sync may be lost, so no later sync may report them as durable.
#[test]
fn a_failed_sync_is_final() {
    let disk = memory::Memory::default();
    let log = FileLog::open_on(disk.clone(), HUB, SEGMENT, &Reading::default(), 0).unwrap();
    append(&log, 1..=3);
    assert_eq!(log.sync().unwrap(), 3);
    append(&log, 4..=5);
    disk.set_fuse(Some(0));
    assert!(log.sync().unwrap_err().to_string().contains("the power is lost"));
    disk.set_fuse(None);
    for _ in 0..2 {
        let error = log.sync().unwrap_err();
        assert!(
            error.to_string().contains("an earlier sync of the log failed"),
            "{error}"
        );
        append(&log, 6..=6);
    }
}

/// A process was killed after a failed sync. The kernel shows its records, but does not write them any more. An open
/// that has read them makes them durable, even if the next segment already exists.
#[test]
fn what_an_open_has_read_is_durable() {
    let disk = memory::Memory::default();
    let log = FileLog::open_on(disk.clone(), HUB, SEGMENT, &Reading::default(), 0).unwrap();
    log.make_room().unwrap();
    append(&log, 1..=2);
    disk.set_fuse(Some(1));
    log.sync().unwrap_err();
    disk.set_fuse(None);
    drop(log);
    let read = |disk: &memory::Memory| read_on(disk, HUB, 0, &mut |_, _| Ok(())).unwrap();
    let reading = read(&disk);
    assert_eq!((reading.newest, reading.segments.len()), (2, 2));
    FileLog::open_on(disk.clone(), HUB, SEGMENT, &reading, 0).unwrap();
    assert_eq!(read(&disk.durable()).newest, 2);
}

/// A record that is larger than a segment receives a segment of its own size.
#[test]
fn a_large_commit_finds_room() {
    let place = Place::new();
    let log = place.open(0);
    append(&log, 1..=2);
    log.make_room().unwrap();
    log.append(3, &vec![3; 3 * SEGMENT]);
    log.append(4, &changes(4));
    log.sync().unwrap();
    drop(log);
    let (found, damage) = commits(&place.path(), 0);
    assert!(damage.is_none(), "{damage:?}");
    assert_eq!(found[&3], vec![3; 3 * SEGMENT]);
    assert_eq!(found[&4], changes(4));
}

/// Segments are recycled, and their old records are never taken for new ones.
#[test]
fn a_recycled_segment_is_never_read_as_new() {
    let place = Place::new();
    let mut log = place.open(0);
    let mut newest = 0;
    for round in 1..=40 {
        append(&log, newest + 1..=newest + 10);
        newest = log.sync().unwrap();
        let kept = newest.saturating_sub(15);
        log.trim(kept).unwrap();
        if log.wants_room() {
            log.make_room().unwrap();
        }
        place.holds(kept, newest);
        let files = place.numbers().len();
        assert!(files <= 8, "{files} segments in round {round}");
        if round % 7 == 0 {
            drop(log);
            log = place.open(kept);
        }
    }
    // A crash happens between the rename of a segment and the write of its new first block.
    drop(log);
    let numbers = place.numbers();
    fs::copy(place.segment(numbers[0]), place.segment(numbers.last().unwrap() + 1)).unwrap();
    place.holds(newest - 15, newest);
    let log = place.open(newest - 15);
    append(&log, newest + 1..=newest + 60);
    log.sync().unwrap();
    place.holds(newest - 15, newest + 60);
}

/// The last write may have reached the disk partially. All earlier synced records exist, and the log continues after
/// them.
#[test]
fn a_torn_write_is_the_end() {
    for pieces in [2, 5, 48] {
        for hole in 0..pieces {
            let place = Place::with_segments_of(16 * START);
            let log = place.open(0);
            append(&log, 1..=4);
            log.sync().unwrap();
            let path = place.segment(1);
            let before = fs::read(&path).unwrap();
            append(&log, 5..=9);
            log.sync().unwrap();
            drop(log);
            let mut bytes = fs::read(&path).unwrap();
            let changed: Vec<usize> = (0..before.len()).filter(|&at| before[at] != bytes[at]).collect();
            let (first, last) = (changed[0], changed[changed.len() - 1] + 1);
            let piece = (last - first).div_ceil(pieces);
            let start = (first + hole * piece).min(last);
            let lost = start..(start + piece).min(last);
            bytes[lost.clone()].copy_from_slice(&before[lost]);
            fs::write(&path, bytes).unwrap();
            let (found, damage) = commits(&place.path(), 0);
            assert!(damage.is_none(), "{damage:?}");
            let newest = found.len() as u64;
            assert!((4..=9).contains(&newest), "{newest} commits");
            // Records after the hole are old and are never read as new.
            let log = place.open(0);
            for commit in newest + 1..=newest + 6 {
                append(&log, commit..=commit);
                log.sync().unwrap();
                place.holds(0, commit);
            }
        }
    }
}

/// A log of several segments in which each commit was durable before the next one was written.
fn synced_one_by_one(newest: u64) -> Place {
    let place = Place::new();
    let log = place.open(0);
    for commit in 1..=newest {
        append(&log, commit..=commit);
        log.sync().unwrap();
    }
    drop(log);
    place.holds(0, newest);
    assert!(place.numbers().len() >= 3);
    place
}

/// A bit of every byte of a log is flipped, and the log is cut at every length. The log is read up to the damage. If a
/// record shows that later commits were durable, the damage is reported with the missing commits.
#[test]
fn damage_is_never_silently_less() {
    let place = synced_one_by_one(24);
    for number in place.numbers() {
        let path = place.segment(number);
        let whole = fs::read(&path).unwrap();
        let end = whole.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for at in (0..48).chain((48..START).step_by(97)).chain(START..end) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, &flipped).unwrap();
            check_damage(&place, &format!("bit {} of byte {at} of segment {number}", at % 8));
            fs::write(&path, &whole[..at]).unwrap();
            check_damage(&place, &format!("segment {number} cut at {at}"));
        }
        fs::remove_file(&path).unwrap();
        check_damage(&place, &format!("segment {number} is missing"));
        fs::write(&path, &whole).unwrap();
    }
    place.holds(0, 24);
}

/// Checks that the log is read up to the damage, and that a loss of durable commits is reported.
fn check_damage(place: &Place, what: &str) {
    let (found, damage) = commits(&place.path(), 0);
    for (commit, bytes) in &found {
        assert_eq!(*bytes, changes(*commit), "{what}");
    }
    let newest = found.len() as u64;
    match damage {
        None => assert_eq!(
            shown_to_be_durable(place).max(newest),
            newest,
            "{what}: the loss was not reported"
        ),
        Some(damage) => {
            let expected = format!("the commits {} to ", newest + 1);
            assert!(
                damage.contains(".log") && damage.contains(&expected),
                "{what}: {damage}"
            );
        }
    }
}

/// Returns the newest commit that any record shows to have been durable.
fn shown_to_be_durable(place: &Place) -> u64 {
    let mut durable = 0;
    for number in place.numbers() {
        let bytes = fs::read(place.segment(number)).unwrap();
        for at in (START..bytes.len()).step_by(record::ALIGN) {
            if let Some(record) = record::read(&bytes[at..], number) {
                durable = durable.max(record.header.durable);
            }
        }
    }
    durable
}

/// Swapped or duplicated segments are reported, and so is the log of another hub.
#[test]
fn segments_in_the_wrong_place_are_told() {
    let place = synced_one_by_one(40);
    let [first, second] = [1, 2].map(|number| place.segment(number));
    let [one, two] = [&first, &second].map(|path| fs::read(path).unwrap());
    for (in_first, in_second) in [(&two, &one), (&one, &one), (&two, &two)] {
        fs::write(&first, in_first).unwrap();
        fs::write(&second, in_second).unwrap();
        let (_, damage) = commits(&place.path(), 0);
        assert!(damage.unwrap().contains("is damaged at byte"));
    }
    fs::write(&first, &one).unwrap();
    fs::write(&second, &two).unwrap();
    place.holds(0, 40);
    let error = read(&place.path(), Uuid::from_u128(8), 0, &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(error.to_string().contains("another hub"), "{error}");
}

/// The log begins after the commits that are kept elsewhere, or reports the missing ones.
#[test]
fn the_log_is_complete_from_the_commit_that_is_kept_on() {
    let place = Place::new();
    let log = place.open(0);
    append(&log, 1..=60);
    log.sync().unwrap();
    log.trim(40).unwrap();
    log.make_room().unwrap();
    place.holds(40, 60);
    let (found, damage) = commits(&place.path(), 3);
    assert!(found.is_empty());
    let damage = damage.unwrap();
    assert!(damage.contains("the commits 4 to "), "{damage}");
}

/// If all commits of the log are kept elsewhere, no segment is needed, and the log begins anew after them.
#[test]
fn a_log_begins_anew_behind_what_is_kept() {
    let place = Place::new();
    let log = place.open(0);
    append(&log, 1..=20);
    log.sync().unwrap();
    drop(log);
    // More commits are kept than the log has.
    let log = place.open(30);
    append(&log, 31..=35);
    log.sync().unwrap();
    place.holds(30, 35);
    drop(log);
    // All commits are known to be kept, so the log is not read.
    let reading = skip(&place.path(), 35).unwrap();
    let log = FileLog::open(&place.path(), HUB, SEGMENT, &reading, 35).unwrap();
    append(&log, 36..=37);
    log.sync().unwrap();
    place.holds(35, 37);
}

/// Segments of an earlier life are recycled: those that are not needed at an open, and those that are trimmed later.
#[test]
fn segments_of_an_earlier_life_are_recycled() {
    let place = Place::new();
    let log = place.open(0);
    append(&log, 1..=60);
    log.sync().unwrap();
    drop(log);
    let files = place.numbers().len();
    assert!(files > 5, "{files} segments");
    // The last commit is needed, and the segments before it are not.
    let log = place.open(59);
    assert_eq!(place.numbers().len(), files, "the new segment is an old file");
    append(&log, 61..=61);
    log.sync().unwrap();
    log.trim(60).unwrap();
    let spare = place.numbers().len();
    assert_eq!(spare, 3, "two segments are spare");
    log.make_room().unwrap();
    assert_eq!(place.numbers().len(), spare, "the next segment is an old file");
    append(&log, 62..=90);
    log.sync().unwrap();
    place.holds(60, 90);
}

/// Nothing is left of a removed log, so the log of another hub can take its place.
/// Behind the records of a segment, a crash may leave others that never became durable. Such a segment is not recycled: if
/// a power loss tore its first block then, these records would look like lost ones.
#[test]
fn a_segment_with_leftovers_is_not_recycled() {
    for trims in [true, false] {
        let place = Place::with_segments_of(16 * START);
        let log = place.open(0);
        append(&log, 1..=7);
        log.sync().unwrap();
        let end = START + (1..=7).map(|commit| record::size(changes(commit).len())).sum::<usize>();
        append(&log, 8..=15);
        log.sync().unwrap();
        drop(log);
        // The second write was torn: its first record is missing.
        let mut bytes = fs::read(place.segment(1)).unwrap();
        bytes[end..end + record::size(changes(8).len())].fill(0);
        fs::write(place.segment(1), bytes).unwrap();
        place.holds(0, 7);

        let log = place.open(5);
        append(&log, 8..=9);
        log.sync().unwrap();
        if trims {
            log.trim(7).unwrap();
            log.make_room().unwrap();
        } else {
            drop(log);
            drop(place.open(7));
        }
        assert_eq!(place.numbers(), [2, 3]);
        let bytes = fs::read(place.segment(3)).unwrap();
        assert!(bytes[START..].iter().all(|byte| *byte == 0), "trims: {trims}");
    }
}

#[test]
fn a_removed_log_leaves_nothing() {
    let place = synced_one_by_one(24);
    remove_all(&place.path(), &skip(&place.path(), 24).unwrap()).unwrap();
    assert_eq!(place.numbers(), Vec::<u64>::new());
    let other = Uuid::from_u128(8);
    drop(FileLog::open(&place.path(), other, SEGMENT, &Reading::default(), 0).unwrap());
    let reading = read(&place.path(), other, 0, &mut |_, _| Ok(())).unwrap();
    assert_eq!((reading.newest, reading.damage), (0, None));
}

/// A log asks for the next segment when more than half of the current one is used.
#[test]
fn the_next_segment_is_wanted_in_time() {
    let place = Place::with_segments_of(2 * SEGMENT);
    let log = place.open(0);
    // The first block fills a quarter.
    log.append(1, &vec![1; START - record::HEADER]);
    log.sync().unwrap();
    assert!(!log.wants_room(), "half of the segment is used");
    log.append(2, &[2]);
    log.sync().unwrap();
    assert!(log.wants_room(), "more than half of the segment is used");
}

/// A segment has exactly the size that its record needs, even if its zeros are written in several parts.
#[test]
fn a_segment_is_as_large_as_needed() {
    let place = Place::new();
    let log = place.open(0);
    let bytes = (1 << 20) + 1_000;
    log.append(1, &vec![1; bytes]);
    log.sync().unwrap();
    let length = fs::metadata(place.segment(*place.numbers().last().unwrap()))
        .unwrap()
        .len();
    assert_eq!(length, (START + record::size(bytes)) as u64);
}
