//! Snapshots: all rows of a hub in the database, so that the log before them can go.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rocksdb::properties;
use xxhash_rust::xxh3::Xxh3;

use super::claim::check_canceled;
use super::copy::Copy;
use super::replay::damaged_or_replaced;
use super::store::OwnedStore;
use crate::error::{Error, ErrorKind, Result};
use crate::log::replicated::Appended;
use crate::log::shared::{Chain, SharedLog, Snapshot};
use crate::spawn::spawn;
use crate::store::Reader;
use crate::store::durable::Base;
use crate::store::rocks::base::RocksBase;
use crate::store::rocks::open::{commit_in, number};

/// Size of a part before compression, in bytes.
pub(super) const PART: usize = 1 << 20;

/// Least number of bytes of log between two snapshots.
const LEAST: u64 = 256 << 20;

/// Interval between two looks at the size of the log.
const LOOK: Duration = Duration::from_secs(5);

/// Appends a row to a part.
fn put(part: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for bytes in [key, value] {
        part.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        part.extend_from_slice(bytes);
    }
}

/// Takes a row from the beginning of a part.
fn take<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut bytes = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        *rest = after;
        Some(bytes)
    };
    Some((bytes()?, bytes()?))
}

/// Fills an empty base with a snapshot, unless it is `canceled`.
pub(super) fn restore(base: &RocksBase, snapshot: Snapshot, log: &dyn SharedLog, canceled: &AtomicBool) -> Result<()> {
    each_part(snapshot, log, &mut |rows| {
        check_canceled(canceled)?;
        base.load(rows)
    })
}

/// A snapshot whose parts are in the database, and what it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) snapshot: Snapshot,
    pub(super) content: Content,
}

/// The rows of a hub in short: how many there are, and a checksum of all of them in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) rows: u64,
    /// Size of keys and values.
    pub(super) bytes: u64,
    checksum: u128,
}

/// Computes the [`Content`] of rows.
#[derive(Default)]
struct Counting {
    content: Content,
    hasher: Xxh3,
}

impl Counting {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.content.rows += 1;
        self.content.bytes += (key.len() + value.len()) as u64;
        for bytes in [key, value] {
            self.hasher.update(&(bytes.len() as u64).to_le_bytes());
            self.hasher.update(bytes);
        }
    }

    fn end(self) -> Content {
        Content {
            checksum: self.hasher.digest128(),
            ..self.content
        }
    }
}

/// Returns the content of a store.
pub(super) fn content(view: &dyn Reader) -> Result<Content> {
    let mut counting = Counting::default();
    view.visit(all_rows(), &mut |key, value| {
        counting.add(key, value);
        ControlFlow::Continue(())
    })?;
    Ok(counting.end())
}

pub(super) fn all_rows() -> Range<Vec<u8>> {
    Vec::new()..vec![0xff; 64]
}

/// Writes the rows of a view in some ranges to the database as the parts of a snapshot, reads them back and compares.
/// Nobody sees the snapshot before it is published.
pub(super) fn store(
    view: &dyn Reader,
    ranges: &[Range<Vec<u8>>],
    epoch: u64,
    position: u64,
    before: Chain,
    log: &dyn SharedLog,
    part_bytes: usize,
) -> Result<Stored> {
    let (mut part, mut parts, mut failed) = (Vec::with_capacity(part_bytes), 0, None);
    let mut counting = Counting::default();
    let mut write = |part: &mut Vec<u8>| {
        let body = lz4_flex::compress_prepend_size(part);
        part.clear();
        parts += 1;
        log.put_part(epoch, position, parts - 1, &body)
    };
    let mut take = |key: &[u8], value: &[u8]| {
        counting.add(key, value);
        put(&mut part, key, value);
        if part.len() >= part_bytes
            && let Err(error) = write(&mut part)
        {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    for range in ranges {
        view.visit(range.clone(), &mut take)?;
    }
    if failed.is_none() && !part.is_empty() {
        failed = write(&mut part).err();
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    let snapshot = Snapshot {
        epoch,
        position,
        parts,
        before,
    };
    let content = counting.end();
    let mut counting = Counting::default();
    each_part(snapshot, log, &mut |rows| {
        rows.iter().for_each(|(key, value)| counting.add(key, value));
        Ok(())
    })?;
    if counting.end() != content {
        let text = "the database returns other rows than were written to it; check its disk";
        return Err(Error::new(ErrorKind::Corrupted, text));
    }
    Ok(Stored { snapshot, content })
}

/// A key and its value.
type RowRef<'a> = (&'a [u8], &'a [u8]);

/// Passes the rows of each part of a snapshot to `take_rows`.
fn each_part(
    snapshot: Snapshot,
    log: &dyn SharedLog,
    take_rows: &mut dyn FnMut(&[RowRef<'_>]) -> Result<()>,
) -> Result<()> {
    for number in 0..snapshot.parts {
        let invalid = || {
            Error::new(
                ErrorKind::Corrupted,
                format!(
                    "part {number} of the snapshot at position {} is invalid",
                    snapshot.position
                ),
            )
        };
        let body = log.part(snapshot, number)?;
        let part = lz4_flex::decompress_size_prepended(&body).map_err(|_| invalid())?;
        let (mut rest, mut rows) = (&part[..], Vec::new());
        while !rest.is_empty() {
            rows.push(take(&mut rest).ok_or_else(invalid)?);
        }
        take_rows(&rows)?;
    }
    Ok(())
}

/// Writes a snapshot of the copy to the database and makes it the newest one. Returns its position, or `None` if the copy
/// has moved on in the meantime.
pub(super) fn make(
    copy: &Copy,
    appended: &Appended,
    epoch: u64,
    log: &dyn SharedLog,
    part_bytes: usize,
) -> Result<Option<u64>> {
    let view = copy.snapshot();
    let commit = number(commit_in(view.as_ref())?);
    // A record after this commit would leave a gap: the copy has taken a front, and the place of the commit is forgotten.
    let Some(place) = appended.of(commit).filter(|place| place.first <= commit + 1) else {
        return Ok(None);
    };
    let stored = store(
        view.as_ref(),
        &[all_rows()],
        epoch,
        place.position,
        place.before,
        log,
        part_bytes,
    )
    .map_err(|error| damaged_or_replaced(error, epoch, log))?;
    log.publish(epoch, stored.snapshot, place.chain)?;
    tracing::info!(
        commit,
        parts = stored.snapshot.parts,
        "stored a snapshot of the hub in the database"
    );
    Ok(Some(place.position))
}

/// The thread that makes snapshots when the log has become long. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Snapshots {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Starts the thread. `log_bytes` is the size of the log since the newest snapshot.
    pub(super) fn start(
        store: Arc<OwnedStore>,
        appended: Arc<Appended>,
        epoch: u64,
        shared: Arc<dyn SharedLog>,
        log_bytes: u64,
    ) -> Result<Self> {
        let (stop, stopped) = channel();
        let run = move || keep(&store, &appended, epoch, shared.as_ref(), log_bytes, &stopped);
        Ok(Self {
            stop: Some(stop),
            thread: Some(spawn("abide-snapshot", run)?),
        })
    }
}

fn keep(
    store: &OwnedStore,
    appended: &Appended,
    epoch: u64,
    shared: &dyn SharedLog,
    mut log_bytes: u64,
    stopped: &Receiver<()>,
) {
    let mut counted = 0;
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        // So that a node that is killed remembers what it had acknowledged until then.
        if let Err(error) = store.base().note_acknowledged() {
            tracing::warn!(%error, "cannot note how far the copy agrees with the log; trying again");
        }
        let now = store.log().stored_bytes();
        log_bytes += now - std::mem::replace(&mut counted, now);
        let state = store.base().base.property(properties::TOTAL_SST_FILES_SIZE);
        if log_bytes < LEAST.max(state) {
            continue;
        }
        // The rows of the log have to be in the copy.
        let made = store
            .materialize()
            .and_then(|()| make(store.base(), appended, epoch, shared, PART));
        match made {
            Ok(Some(_)) => log_bytes = 0,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot store a snapshot; trying again"),
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported any panic.
            let _ = thread.join();
        }
    }
}
