//! The local copy: it is checked against the log, and replaced if it does not agree.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::mark::Mark;
use super::replay::{Replay, damaged};
use super::snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, io_error, is_absent_or_empty, sync_parent};
use crate::log::replicated::{Appended, Place, RECORD_BYTES};
use crate::log::shared::{Chain, LogError, LogState, Record, SharedLog};
use crate::store::directory::database;
use crate::store::durable::{Base, Bounds};
use crate::store::front::Front;
use crate::store::rocks::base::RocksBase;
use crate::store::rocks::open::{commit_in, number, open_writable};
use crate::store::rocks::options::{front_bytes, options};
use crate::store::{Reader, Visitor};

/// Least time between two moves of the mark of a copy that follows a busy log.
const NOTE: Duration = Duration::from_secs(5);

/// Bytes of records that are read at once.
const READ: usize = 4 << 20;

/// The memory of a copy, and the part of the log that it may lack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) memory_budget: usize,
    pub(super) bounds: Bounds,
    pub(super) note_interval: Duration,
    pub(super) read_bytes: usize,
    /// Size above which a record ends, in bytes before compression.
    pub(super) record_bytes: usize,
}

impl Limits {
    /// `wal_limit` is the size of the log that a reopened copy may have to read, in bytes.
    pub(super) fn new(memory_budget: usize, wal_limit: u64) -> Self {
        Self {
            memory_budget,
            bounds: Bounds {
                front_bytes: front_bytes(memory_budget),
                log_bytes: wal_limit / 2,
            },
            note_interval: NOTE,
            read_bytes: READ,
            record_bytes: RECORD_BYTES,
        }
    }
}

/// RocksDB, and the file that says how far it agrees with the log.
#[derive(Debug)]
pub(super) struct Copy {
    directory: PathBuf,
    pub(super) base: RocksBase,
    /// Held while the mark is written.
    marked: Mutex<Marked>,
    pub(super) appended: Arc<Appended>,
}

/// The mark of a copy, and whether RocksDB has found damage.
#[derive(Debug)]
struct Marked {
    mark: Mark,
    is_damaged: bool,
}

impl Base for Copy {
    /// Takes a front whose commits the log has. The mark is written first: it must never be behind the rows.
    fn take(&self, front: &Front) -> Result<()> {
        let place = self.appended.of(front.commit());
        let place = place.expect("the log has every commit that is moved to the copy");
        if self.marked().is_damaged {
            let text = "the copy is damaged; the next open of the hub replaces it";
            return Err(Error::new(ErrorKind::Corrupted, text));
        }
        self.advance_mark(place)?;
        self.noted(self.base.take(front))
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(View {
            copy: self,
            base: self.base.snapshot(),
        })
    }

    fn stop(&self) {
        self.base.stop();
    }
}

impl Copy {
    fn new(directory: &Path, base: RocksBase, mark: Mark) -> Self {
        Self {
            directory: directory.to_owned(),
            base,
            marked: Mutex::new(Marked {
                mark,
                is_damaged: false,
            }),
            appended: Arc::default(),
        }
    }

    /// Returns the mark.
    pub(super) fn mark(&self) -> Mark {
        self.marked().mark.clone()
    }

    /// Moves the mark to the newest record that the log has acknowledged, so that the next open misses this record if it is
    /// gone.
    ///
    /// # Errors
    /// Returns an error if the mark cannot be written.
    pub(super) fn note_acknowledged(&self) -> Result<()> {
        self.appended.newest().map_or(Ok(()), |place| self.advance_mark(place))
    }

    fn advance_mark(&self, place: Place) -> Result<()> {
        let mut marked = self.marked();
        let Mark { position, is_void, .. } = marked.mark;
        // A new copy counts from the record of its mark on.
        let counts_now = is_void && place.position == position && !marked.is_damaged;
        if place.position > position || counts_now {
            let mark = marked.mark.at(place);
            let mark = if marked.is_damaged { mark.void() } else { mark };
            mark.write(&self.directory)?;
            marked.mark = mark;
        }
        Ok(())
    }

    /// If RocksDB has found damage, makes the next open replace the copy.
    pub(super) fn noted<T>(&self, read: Result<T>) -> Result<T> {
        if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupted) {
            let mut marked = self.marked();
            marked.is_damaged = true;
            marked.mark = marked.mark.clone().void();
            // If this fails, the hub still fails with the error, and the next open finds the damage again.
            let _ = marked.mark.write(&self.directory);
        }
        read
    }

    /// Ignores poisoning: each change is one assignment.
    fn marked(&self) -> MutexGuard<'_, Marked> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for Copy {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.noted(self.base.get(key))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.noted(self.base.get_many(keys))
    }

    fn visit(&self, range: std::ops::Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.noted(self.base.visit(range, visitor))
    }
}

/// A snapshot of the rows of a copy.
struct View<'a> {
    copy: &'a Copy,
    base: Box<dyn Reader + 'a>,
}

impl Reader for View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.copy.noted(self.base.get(key))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.copy.noted(self.base.get_many(keys))
    }

    fn visit(&self, range: std::ops::Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.copy.noted(self.base.visit(range, visitor))
    }
}

/// Opens the copy in a directory, or replaces it if it does not agree with the log. It has no record after `state` yet
/// that it had not before. A copy is removed only when there is another one in its place.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if the log has lost records that it acknowledged, or if the log itself
/// is damaged, of kind [`ErrorKind::Configuration`] if the directory has a copy of another hub, or something that is no copy, and of kind
/// [`ErrorKind::Closed`] if it was `canceled`.
pub(super) fn open(
    directory: &Path,
    hub: Uuid,
    state: &LogState,
    log: &dyn SharedLog,
    limits: Limits,
    canceled: &AtomicBool,
) -> Result<Replay> {
    let (old, gone) = (directory.with_extension("old"), directory.with_extension("gone"));
    remove_all(&gone)?;
    if old.exists() {
        // A replacement was interrupted.
        remove_all(directory)?;
        rename(&old, directory)?;
    }
    let mark = Mark::read(directory)?;
    if let Some(mark) = &mark {
        check_hub(mark, hub, state, directory)?;
    }
    let mark = mark.filter(|mark| mark.incarnation == state.incarnation);
    if let Some(mark) = &mark {
        check_log(mark.position, mark.chain(), state, log)?;
        let base = if mark.is_void {
            let text = "a read has found damage, or the copy was not complete";
            Err(Error::new(ErrorKind::Corrupted, text))
        } else {
            open_base(directory, limits.memory_budget)
        };
        match base {
            Ok(base) => match start(&base, mark, state, log)? {
                Some(start) => {
                    return replay(directory, base, mark.clone(), start, limits);
                }
                None => tracing::info!("the copy is older than the log reaches back; replacing it"),
            },
            // The log has everything that it has.
            Err(error) if error.kind() == ErrorKind::Corrupted => {
                tracing::warn!(%error, "the copy cannot be used; replacing it");
            }
            Err(error) => return Err(error),
        }
    }
    if directory.exists() {
        check_ours(directory)?;
        rename(directory, &old)?;
    }
    // If this fails, the next open returns to the old copy.
    let replay = restore(directory, hub, mark, state, log, limits, canceled)?;
    if old.exists() {
        // From here on, the new copy is the one that counts, although the old one is still being removed.
        rename(&old, &gone)?;
        sync_parent(&gone)?;
        remove_all(&gone)?;
    }
    Ok(replay)
}

/// Checks that a copy is one of this hub, perhaps from before a loss that was accepted. Another hub of the same name in the
/// database may mean that the database is the wrong one, or was lost.
fn check_hub(mark: &Mark, hub: Uuid, state: &LogState, directory: &Path) -> Result<()> {
    if mark.hub == hub && mark.incarnation <= state.incarnation {
        return Ok(());
    }
    if mark.hub == hub {
        return Err(LogError::WentBack {
            acknowledged: mark.position,
            found: state.head.min(mark.position.saturating_sub(1)),
        }
        .into());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "{} has a copy of the hub {}, but the hub of this name in the database is {}; correct the URL or the name, \
             or remove the copy if the hub that it belongs to is gone",
            directory.display(),
            mark.hub,
            hub
        ),
    ))
}

/// Checks that a directory that will be replaced is a copy, and not something of the user.
fn check_ours(directory: &Path) -> Result<()> {
    if database(directory).exists() || is_absent_or_empty(directory)? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "{} is not empty and is no copy of a hub; give the hub a directory of its own",
            directory.display()
        ),
    ))
}

fn remove_all(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", directory, error)),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| io_error("rename", from, error))
}

/// Checks that the log still has a record that it acknowledged. A record that a snapshot has replaced is not missing.
pub(super) fn check_log(position: u64, chain: Chain, state: &LogState, log: &dyn SharedLog) -> Result<()> {
    if position == 0 || position < state.first() {
        return Ok(());
    }
    let found = if position <= state.head {
        log.read(position, 1)?
    } else {
        Vec::new()
    };
    let is_there = found
        .first()
        .is_some_and(|record| (record.position, record.chain) == (position, chain));
    if is_there {
        return Ok(());
    }
    Err(LogError::WentBack {
        acknowledged: position,
        found: state.head.min(position - 1),
    }
    .into())
}

fn open_base(directory: &Path, memory_budget: usize) -> Result<RocksBase> {
    let base = open_writable(&database(directory), &options(memory_budget))?;
    base.remove_leftover()?;
    commit_in(&base)?;
    Ok(base)
}

/// Returns the first record that a copy needs, and the chain before it. Returns `None` if the log no longer has all records
/// that it lacks.
fn start(base: &RocksBase, mark: &Mark, state: &LogState, log: &dyn SharedLog) -> Result<Option<(u64, Chain)>> {
    let kept = number(commit_in(base)?);
    let first = state.first();
    if mark.position < first {
        return Ok(None);
    }
    // Records before the snapshot may be of a state that was exported, and have other commits with the same numbers.
    let Some(position) = log.find(kept, first)? else {
        return Ok(None);
    };
    let found = log.read(position, 1)?;
    // The mark may be ahead of the rows, so a snapshot may have replaced the records in between.
    let follows = |record: &Record| record.position == position && record.first <= kept + 1;
    if found.first().is_some_and(follows) {
        return Ok(Some((position, chain_before(position, state, log)?)));
    }
    Ok(None)
}

/// Makes a copy of the newest snapshot. `remembered` is the mark of the copy that it replaces.
fn restore(
    directory: &Path,
    hub: Uuid,
    remembered: Option<Mark>,
    state: &LogState,
    log: &dyn SharedLog,
    limits: Limits,
    canceled: &AtomicBool,
) -> Result<Replay> {
    create_private_directory(&database(directory))?;
    let mut options = options(limits.memory_budget);
    options.create_if_missing(true);
    let base = open_writable(&database(directory), &options)?;
    let (start, (position, chain)) = match state.snapshot {
        Some(snapshot) => {
            snapshot::restore(&base, snapshot, log, canceled)?;
            let position = snapshot.position;
            // The rows may have commits of the record at which the snapshot was made.
            ((position, snapshot.before), (position, chain_of(position, log)?))
        }
        None => ((1, Chain::default()), (0, Chain::default())),
    };
    // What the node knew of the log, it still knows.
    let mark = match remembered {
        Some(mark) if mark.position > position => mark.void(),
        _ => Mark::new(hub, state.incarnation, position, chain),
    };
    mark.write(directory)?;
    replay(directory, base, mark, start, limits)
}

/// Begins the replay of a copy at a record, with the chain before it.
fn replay(directory: &Path, base: RocksBase, mark: Mark, start: (u64, Chain), limits: Limits) -> Result<Replay> {
    let kept = number(commit_in(&base)?);
    Ok(Replay::new(Copy::new(directory, base, mark), kept, start, limits))
}

/// Returns the chain before a record.
fn chain_before(position: u64, state: &LogState, log: &dyn SharedLog) -> Result<Chain> {
    if position == 1 {
        return Ok(Chain::default());
    }
    if let Some(snapshot) = state.snapshot.filter(|snapshot| snapshot.position == position) {
        return Ok(snapshot.before);
    }
    chain_of(position - 1, log)
}

/// Returns the chain after a record.
fn chain_of(position: u64, log: &dyn SharedLog) -> Result<Chain> {
    let found = log.read(position, 1)?;
    let record = found.first().filter(|record| record.position == position);
    record
        .map(|record| record.chain)
        .ok_or_else(|| damaged(position, "is missing"))
}
