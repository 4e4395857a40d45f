//! Snapshots: all rows of a hub in the database, so that the log before them can go.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rocksdb::properties;

use super::copy::Copy;
use crate::error::{Error, ErrorKind, Result};
use crate::log::replicated::{Appended, ReplicatedLog};
use crate::log::shared::{SharedLog, Snapshot};
use crate::spawn::spawn;
use crate::store::durable::{Base, Durable};
use crate::store::rocks::base::RocksBase;
use crate::store::rocks::open::{commit_in, number};

/// Size of a part before compression, in bytes.
const PART: usize = 1 << 20;

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

/// Fills an empty base with a snapshot.
pub(super) fn restore(base: &RocksBase, snapshot: Snapshot, log: &dyn SharedLog) -> Result<()> {
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
        base.load(&rows)?;
    }
    Ok(())
}

/// Writes a snapshot of the copy to the database and makes it the newest one. Returns its position, or `None` if the copy
/// has moved on in the meantime.
pub(super) fn make(copy: &Copy, appended: &Appended, epoch: u64, log: &dyn SharedLog) -> Result<Option<u64>> {
    let view = copy.snapshot();
    let commit = number(commit_in(view.as_ref())?);
    // A record after this commit would leave a gap: the copy has taken a front, and the place of the commit is forgotten.
    let Some(place) = appended.of(commit).filter(|place| place.first <= commit + 1) else {
        return Ok(None);
    };
    let (mut part, mut parts, mut failed) = (Vec::with_capacity(PART), 0, None);
    let mut write = |part: &mut Vec<u8>| {
        let body = lz4_flex::compress_prepend_size(part);
        part.clear();
        parts += 1;
        log.put_part(epoch, place.position, parts - 1, &body)
    };
    view.visit(Vec::new()..vec![0xff; 64], &mut |key, value| {
        put(&mut part, key, value);
        if part.len() >= PART
            && let Err(error) = write(&mut part)
        {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if failed.is_none() && !part.is_empty() {
        failed = write(&mut part).err();
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    let snapshot = Snapshot {
        epoch,
        position: place.position,
        parts,
        before: place.before,
    };
    // Read back before anything older is discarded.
    for number in 0..parts {
        log.part(snapshot, number)?;
    }
    log.publish(epoch, snapshot)?;
    tracing::info!(commit, parts, "stored a snapshot of the hub in the database");
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
        store: Arc<Durable<ReplicatedLog, Copy>>,
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
    store: &Durable<ReplicatedLog, Copy>,
    appended: &Appended,
    epoch: u64,
    shared: &dyn SharedLog,
    mut log_bytes: u64,
    stopped: &Receiver<()>,
) {
    let mut counted = 0;
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let now = store.log().stored_bytes();
        log_bytes += now - std::mem::replace(&mut counted, now);
        let state = store.base().base.property(properties::TOTAL_SST_FILES_SIZE);
        if log_bytes < LEAST.max(state) {
            continue;
        }
        // The rows of the log have to be in the copy.
        let made = store
            .materialize()
            .and_then(|()| make(store.base(), appended, epoch, shared));
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
