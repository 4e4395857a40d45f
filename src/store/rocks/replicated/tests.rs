//! The copy, its snapshots and its restore, over a real server.

#[path = "../../../../tests/cluster/server.rs"]
mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use server::Server;

use super::claim::check_canceled;
use super::copy::{self, Limits};
use super::mark::Mark;
use super::open::{Member, OpenOptions, Opened, Tenant, open};
use super::replay::{Replay, Step, Stopped};
use super::snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ShardId;
use crate::log::postgres::{Address, Endpoint, PostgresLog};
use crate::log::shared::{Chain, SharedLog, Snapshot};
use crate::model::{self, CommitRecord};
use crate::schema;
use crate::store::{Batch, Reader, Store};

fn options(server: &Server, directory: &Path) -> OpenOptions {
    OpenOptions {
        address: Address::parse(&server.url()).unwrap(),
        name: "snapshots".to_owned(),
        directory: directory.to_owned(),
        memory_budget: 4 << 20,
        wal_limit: 128 << 10,
        partitions: 8,
        patience: Duration::from_secs(10),
        canceled: Arc::default(),
        shards: 1,
        endpoint: None,
    }
}

/// Writes commits that each put a row, and some of which delete one.
fn write(opened: &Opened, commits: std::ops::Range<u64>) {
    for number in commits {
        let mut batch = Batch::default();
        batch.put(&key(number), &[number as u8; 700]);
        if number % 3 == 0 {
            batch.delete(&key(number / 2));
        }
        let record = CommitRecord {
            number,
            next_batch: number + 1,
            ..CommitRecord::before_the_first(8)
        };
        batch.put(&schema::COMMIT, &model::encode(&record).unwrap());
        opened.store.write(&batch).unwrap();
        if number % 10 == 0 {
            opened.store.sync().unwrap();
        }
    }
    opened.store.sync().unwrap();
}

fn key(number: u64) -> Vec<u8> {
    [&[0, 1][..], &number.to_be_bytes()].concat()
}

fn rows(opened: &Opened) -> Vec<(Vec<u8>, Vec<u8>)> {
    opened.store.scan(Vec::new()..vec![0xff; 64], usize::MAX).unwrap()
}

fn take_snapshot(opened: &Opened) -> Result<Option<u64>> {
    let store = &opened.store;
    store.durable.store.materialize()?;
    let copy = store.durable.store.base();
    snapshot::make(
        copy,
        &copy.appended,
        opened.epoch,
        store.shared.as_ref(),
        snapshot::PART,
    )
}

/// After a read has found damage, no row moves to the copy any more, so that the next open replaces it.
#[test]
fn a_damaged_copy_takes_nothing() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let opened = open(&options(&server, place.path())).unwrap();
    write(&opened, 1..30);
    let store = &opened.store.durable.store;
    store.materialize().unwrap();
    let mark = || Mark::read(&place.path().join("copy")).unwrap().unwrap();
    assert!(!mark().is_void);
    write(&opened, 30..40);
    let damage = store
        .base()
        .noted::<()>(Err(Error::new(ErrorKind::Corrupted, "a block is damaged")));
    assert!(damage.is_err());
    assert_eq!(store.materialize().unwrap_err().kind(), ErrorKind::Corrupted);
    assert!(mark().is_void, "the next open would keep the damaged copy");
    drop(opened);
    let opened = open(&options(&server, place.path())).unwrap();
    assert_eq!(opened.last_commit.map(|commit| commit.number), Some(39));
}

/// Wherever a table is damaged, and whichever read finds it, one of the next two opens replaces the copy.
#[test]
fn a_read_of_a_damaged_table_makes_the_next_open_replace_the_copy() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let options = options(&server, place.path());
    let opened = open(&options).unwrap();
    write(&opened, 1..60);
    opened.store.durable.store.materialize().unwrap();
    let expected = rows(&opened);
    drop(opened);
    let mut found_late = 0;
    for part in 0..6 {
        let files = std::fs::read_dir(place.path().join("copy/db")).unwrap().flatten();
        for table in files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|end| end == "sst"))
        {
            let mut bytes = std::fs::read(&table).unwrap();
            let at = bytes.len() * part / 6;
            bytes[at] ^= 1;
            std::fs::write(table, bytes).unwrap();
        }
        let opened = open(&options).unwrap();
        let read = opened.store.snapshot().scan(Vec::new()..vec![0xff; 64], usize::MAX);
        drop(opened);
        match read {
            Ok(read) => assert_eq!(read, expected),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
                found_late += 1;
            }
        }
        let opened = open(&options).unwrap();
        assert_eq!(rows(&opened), expected, "damage at {part}/6");
        // The next damage is one of a table, too.
        opened.store.durable.store.materialize().unwrap();
    }
    assert!(found_late > 0, "each damage was found by the open");
}

/// A snapshot replaces the log before it, and a node without a copy begins with it.
#[test]
fn a_node_without_a_copy_begins_with_the_snapshot() {
    let Some(server) = Server::start() else { return };
    let places = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = open(&options(&server, places[0].path())).unwrap();
    write(&first, 1..3_000);
    assert!(take_snapshot(&first).unwrap().is_some());
    let position: u64 = server.run("SELECT min(position) FROM abide.log").parse().unwrap();
    assert!(position > 1, "the log before the snapshot is gone");
    write(&first, 3_000..3_500);
    let expected = rows(&first);
    assert!(expected.len() > 2_000);
    first.store.close(3_499).unwrap();
    drop(first);

    let second = open(&options(&server, places[1].path())).unwrap();
    assert_eq!(rows(&second), expected);
    assert_eq!(second.last_commit.unwrap().number, 3_499);
    // A second snapshot replaces the first one.
    write(&second, 3_500..3_600);
    assert!(take_snapshot(&second).unwrap().is_some());
    assert_eq!(
        server.run("SELECT count(DISTINCT (epoch, position)) FROM abide.snapshot"),
        "1"
    );
    let expected = rows(&second);
    second.store.close(3_599).unwrap();
    drop(second);

    // The copy of the first node is older than the log reaches back.
    let first = open(&options(&server, places[0].path())).unwrap();
    assert_eq!(rows(&first), expected);
    first.store.close(3_599).unwrap();
    drop(first);

    server.run("UPDATE abide.snapshot SET body = '\\x00' WHERE part = 1");
    let error = open(&options(&server, places[2].path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(error.to_string().contains("part 1 of the snapshot"), "{error}");
}

/// A sync confirms that this node is still the owner, also if there is nothing to append: another thread may have appended
/// what a read waits for, before the read and before a takeover.
#[test]
fn a_sync_without_commits_confirms() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let first = open(&options(&server, place.path())).unwrap();
    write(&first, 1..10);
    first.store.sync().unwrap();
    server.run("UPDATE abide.shard SET epoch = epoch + 1");
    let error = first.store.sync().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Replaced, "{error}");
}

/// A record of the log that was changed, or is missing, is not applied.
#[test]
fn a_damaged_log_is_refused() {
    let Some(server) = Server::start() else { return };
    let places = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let first = open(&options(&server, places[0].path())).unwrap();
    write(&first, 1..200);
    first.store.close(199).unwrap();
    drop(first);
    for (statement, place) in [
        ("DELETE FROM abide.log WHERE position > 18", &places[3]),
        (
            "UPDATE abide.log SET body = set_byte(body, 20, 255 - get_byte(body, 20)) WHERE position = 5",
            &places[1],
        ),
        ("DELETE FROM abide.log WHERE position = 5", &places[2]),
    ] {
        server.run(statement);
        let error = open(&options(&server, place.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{statement}: {error}");
        let position = if statement.contains("18") { 19 } else { 5 };
        let text = format!("record {position} of the log");
        assert!(error.to_string().contains(&text), "{statement}: {error}");
    }
}

/// A copy that follows the log of an open hub, as that of a waiting node does.
fn following(server: &Server, opened: &Opened, directory: &Path) -> (Replay, PostgresLog) {
    let how = options(server, directory);
    let store = &opened.store;
    let log = PostgresLog::new(&how.address, store.seat).unwrap();
    (reopen(&how, opened, &log).unwrap(), log)
}

fn reopen(how: &OpenOptions, opened: &Opened, log: &dyn SharedLog) -> Result<Replay> {
    let limits = Limits::new(how.memory_budget, how.wal_limit);
    let state = log.state().unwrap();
    copy::open(
        &how.directory.join("copy"),
        opened.hub,
        &state,
        log,
        limits,
        &how.canceled,
    )
}

/// Makes the database lose the records after a position.
fn go_back_to(server: &Server, position: u64) {
    server.run(&format!(
        "DELETE FROM abide.log WHERE position > {position}; UPDATE abide.shard SET (head, commit, chain) = \
         (SELECT position, last_commit, chain FROM abide.log WHERE position = {position})"
    ));
}

/// Applies all records that the log has.
fn catch_up(replay: &mut Replay, log: &PostgresLog) {
    while replay.follow(log).unwrap() == Step::Applied {}
}

/// Values that do not become smaller when they are compressed.
fn write_noise(opened: &Opened, commits: std::ops::Range<u64>) {
    for number in commits {
        let mut batch = Batch::default();
        let value: Vec<u8> = (0..90u64)
            .flat_map(|part| xxhash_rust::xxh3::xxh3_64_with_seed(&part.to_le_bytes(), number).to_le_bytes())
            .collect();
        // The same rows over and over, so that the log is longer than the fronts are large.
        batch.put(&key(number % 10), &value);
        let record = CommitRecord {
            number,
            next_batch: number + 1,
            ..CommitRecord::before_the_first(8)
        };
        batch.put(&schema::COMMIT, &model::encode(&record).unwrap());
        opened.store.write(&batch).unwrap();
        if number % 10 == 0 {
            opened.store.sync().unwrap();
        }
    }
    opened.store.sync().unwrap();
}

/// A waiting node needs nothing of the log that it has followed: neither now nor after a restart, but for a bounded part.
#[test]
fn a_copy_that_follows_needs_only_the_end_of_the_log() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = open(&options(&server, places[0].path())).unwrap();
    let (mut replay, log) = following(&server, &first, places[1].path());
    write_noise(&first, 1..1_000);
    catch_up(&mut replay, &log);
    write_noise(&first, 1_000..1_020);
    let expected = rows(&first);
    server.run("DELETE FROM abide.log WHERE first_commit <= 800");
    let state = log.state().unwrap();
    let current = replay.finish(&state, &log).unwrap();
    assert_eq!(current.fronts.newest(), 1_019);
    assert!(current.kept > 800, "only {} commits reached RocksDB", current.kept);
    drop(current);

    // The copy on the disk needs no more than the limit says.
    let how = options(&server, places[1].path());
    let mut replay = reopen(&how, &first, &log).unwrap();
    catch_up(&mut replay, &log);
    let current = replay.finish(&state, &log).unwrap();
    assert!(current.kept > 800, "{}", current.kept);
    drop(current);
    first.store.close(1_019).unwrap();
    drop(first);
    let second = open(&how).unwrap();
    assert_eq!(rows(&second), expected);
}

/// While a node follows the log, a snapshot replaces records that it lacks. It begins with the snapshot then.
#[test]
fn a_copy_that_was_left_behind_is_replaced() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = open(&options(&server, places[0].path())).unwrap();
    write_noise(&first, 1..300);
    let (mut replay, log) = following(&server, &first, places[1].path());
    catch_up(&mut replay, &log);
    write_noise(&first, 300..900);
    assert!(take_snapshot(&first).unwrap().is_some());
    assert_eq!(replay.follow(&log).unwrap(), Step::LeftBehind);
    // A takeover in this moment does not use it either.
    assert!(!replay.fits(&log.state().unwrap()));
    drop(replay);
    let how = options(&server, places[1].path());
    let mut replay = reopen(&how, &first, &log).unwrap();
    assert!(!places[1].path().join("copy.old").exists(), "the old copy is left");
    catch_up(&mut replay, &log);
    drop(replay);
    // The copy has a mark, so it is kept.
    let replay = reopen(&how, &first, &log).unwrap();
    assert!(replay.fits(&log.state().unwrap()));
    drop(replay);
    let expected = rows(&first);
    first.store.close(899).unwrap();
    drop(first);
    let second = open(&how).unwrap();
    assert_eq!(rows(&second), expected);
}

/// A copy remembers records whose rows it does not have yet. If a snapshot has replaced these records, the copy is replaced.
#[test]
fn a_copy_that_remembers_more_than_it_has_is_replaced() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = open(&options(&server, places[0].path())).unwrap();
    // More than fits into the front, so RocksDB has a part.
    write_noise(&first, 1..300);
    let (mut replay, log) = following(&server, &first, places[1].path());
    catch_up(&mut replay, &log);
    drop(replay);
    // At the newest record, which the copy remembers.
    assert!(take_snapshot(&first).unwrap().is_some());
    let expected = rows(&first);
    first.store.close(299).unwrap();
    drop(first);
    let second = open(&options(&server, places[1].path())).unwrap();
    assert_eq!(rows(&second), expected);
}

/// The log has lost records that a waiting node has read. Neither the takeover nor any later open misses them silently.
#[test]
fn a_node_that_followed_notices_that_the_log_went_back() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = open(&options(&server, places[0].path())).unwrap();
    let (mut replay, log) = following(&server, &first, places[1].path());
    write(&first, 1..200);
    catch_up(&mut replay, &log);
    go_back_to(&server, 15);
    let Err(Stopped::Failed(error)) = replay.follow(&log) else {
        panic!("the loss was missed");
    };
    assert!(error.to_string().contains("has lost data"), "{error}");
    let error = replay.finish(&log.state().unwrap(), &log).map(drop).unwrap_err();
    assert!(error.to_string().contains("has lost data"), "{error}");
    let how = options(&server, places[1].path());
    let error = reopen(&how, &first, &log).unwrap_err();
    assert!(error.to_string().contains("has lost data"), "{error}");
    assert!(error.to_string().contains("only up to 15"), "{error}");
}

/// A log that went back has grown again, so it has other records than a waiting node has read.
#[test]
fn a_node_that_followed_notices_other_records() {
    let Some(server) = Server::start() else { return };
    let places = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = open(&options(&server, places[0].path())).unwrap();
    let (mut replay, log) = following(&server, &first, places[1].path());
    write(&first, 1..100);
    catch_up(&mut replay, &log);
    drop(first);
    go_back_to(&server, 8);
    server.run("UPDATE abide.shard SET owner = NULL");
    let second = open(&options(&server, places[2].path())).unwrap();
    let kept = second.last_commit.unwrap().number;
    write(&second, kept + 1..150);
    let Err(Stopped::Failed(error)) = replay.follow(&log) else {
        panic!("the loss was missed");
    };
    assert!(error.to_string().contains("has lost data"), "{error}");
    drop(replay);
    let error = reopen(&options(&server, places[1].path()), &second, &log).unwrap_err();
    assert!(error.to_string().contains("has lost data"), "{error}");
}

/// An owner that only reads notices that the log went back, and its next open does not miss it.
#[test]
fn an_idle_owner_notices_that_the_log_went_back() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let how = options(&server, place.path());
    let opened = open(&how).unwrap();
    write(&opened, 1..100);
    opened.store.confirm().unwrap();
    go_back_to(&server, 8);
    let error = opened.store.confirm().unwrap_err();
    assert!(error.to_string().contains("has lost data"), "{error}");
    drop(opened);
    let error = open(&how).unwrap_err();
    assert!(error.to_string().contains("has lost data"), "{error}");
}

/// A record that was read, and that the standby did not have when it became the database, is not settled. The node does not
/// miss it later, because it was never acknowledged.
#[test]
fn a_record_that_is_gone_is_not_settled() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let opened = open(&options(&server, place.path())).unwrap();
    write(&opened, 1..100);
    let log = &opened.store.shared;
    let read = log.read(9, 1).unwrap().remove(0);
    assert!(log.settle(read.position, read.chain).unwrap());
    assert_eq!(server.run("SELECT read FROM abide.copy"), "9");
    assert!(!log.settle(read.position, Chain::default()).unwrap(), "another record");
    go_back_to(&server, 8);
    assert!(!log.settle(read.position, read.chain).unwrap());
    go_back_to(&server, 7);
    server.run("UPDATE abide.copy SET read = 0");
    assert!(!log.settle(read.position, read.chain).unwrap());
    assert_eq!(server.run("SELECT read FROM abide.copy"), "0", "nothing was written");
}

/// While a snapshot is made, the database loses its record, or some of its parts. The snapshot does not count, and nothing
/// of the log is discarded for it.
#[test]
fn a_snapshot_that_the_database_has_lost_in_part_is_not_published() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let opened = open(&options(&server, place.path())).unwrap();
    write(&opened, 1..100);
    let (log, epoch) = (&opened.store.shared, opened.epoch);
    let record = log.read(9, 1).unwrap().remove(0);
    let snapshot = Snapshot {
        epoch,
        position: 9,
        parts: 2,
        before: Chain::default(),
    };
    let publish = |chain| log.publish(epoch, snapshot, chain).map_err(Error::from);
    log.put_part(epoch, 9, 0, b"one").unwrap();
    let error = publish(record.chain).unwrap_err();
    assert!(error.to_string().contains("has lost a part of a snapshot"), "{error}");
    log.put_part(epoch, 9, 1, b"two").unwrap();
    let error = publish(Chain::default()).unwrap_err();
    assert!(error.to_string().contains("has lost data"), "another record: {error}");
    go_back_to(&server, 8);
    let error = publish(record.chain).unwrap_err();
    assert!(error.to_string().contains("only up to 8"), "{error}");
    assert_eq!(log.state().unwrap().snapshot, None);
    assert_eq!(server.run("SELECT min(position) FROM abide.log"), "1");
}

/// An open that is canceled does not wait until a snapshot is restored.
#[test]
fn a_canceled_restore_ends() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = open(&options(&server, places[0].path())).unwrap();
    write_noise(&first, 1..100);
    assert!(take_snapshot(&first).unwrap().is_some());
    let how = options(&server, places[1].path());
    how.canceled.store(true, std::sync::atomic::Ordering::Relaxed);
    let canceled = check_canceled(&how.canceled).unwrap_err();
    let log = PostgresLog::new(&how.address, first.store.seat).unwrap();
    let error = reopen(&how, &first, &log).unwrap_err();
    assert_eq!(error.to_string(), canceled.to_string());
}

/// A certificate counts for the hub whose node has made it, until the node has another one.
#[test]
fn only_nodes_of_the_hub_are_admitted() {
    let Some(server) = Server::start() else { return };
    let places = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let join = |place: &Path, name: &str, fingerprint: u8| {
        let endpoint = Endpoint {
            address: "10.0.0.5:7400".to_owned(),
            fingerprint: [fingerprint; 32],
        };
        let how = OpenOptions {
            name: name.to_owned(),
            endpoint: Some(endpoint),
            ..options(&server, place)
        };
        Member::join(how).unwrap()
    };
    let admits = |member: &Member, fingerprint: u8| member.admits(&[fingerprint; 32]).unwrap();
    let one = join(places[0].path(), "orders", 1);
    let two = join(places[1].path(), "orders", 2);
    let stranger = join(places[2].path(), "others", 3);
    assert!(admits(&one, 1) && admits(&one, 2) && admits(&two, 1));
    assert!(!admits(&one, 3) && !admits(&one, 4));
    assert!(admits(&stranger, 3) && !admits(&stranger, 1));
    // A restarted node has another certificate, and the old one counts no more.
    drop(two);
    let two = join(places[1].path(), "orders", 5);
    assert!(admits(&one, 5) && !admits(&one, 2) && !admits(&two, 2));
}

/// The shards of one hub share nothing but its identity: each has an owner, commits and snapshots of its own.
#[test]
fn shards_have_logs_of_their_own() {
    let Some(server) = Server::start() else { return };
    let places = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let join = |shards, place: usize| {
        let how = OpenOptions {
            shards,
            ..options(&server, places[place].path())
        };
        Member::join(how).map(Arc::new)
    };
    let own = |member: &Arc<Member>, id| Tenant::new(member, ShardId(id)).own(false, &mut |_, _| Ok(())).unwrap();
    let node = join(2, 0).unwrap();
    let [first, second] = [0, 1].map(|id| own(&node, id));
    assert_eq!(first.hub, second.hub);
    write(&first, 1..30);
    write_noise(&second, 1..100);
    let (rows_of_first, position) = (rows(&first), take_snapshot(&first).unwrap());
    assert!(position.is_some() && rows_of_first != rows(&second));
    first.store.close(29).unwrap();
    drop(first);
    // The end of one tenure is not that of another one.
    write_noise(&second, 100..200);
    let again = own(&join(2, 1).unwrap(), 0);
    assert_eq!((rows(&again), again.last_commit.unwrap().number), (rows_of_first, 29));
    let error = join(3, 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    for part in [
        "`snapshots`",
        "has 2 shards",
        "opens it with 3",
        "export the hub and import it",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
