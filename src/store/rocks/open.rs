//! Opening a hub's directory: nothing on disk changes before it is known that nothing acknowledged is missing.

use std::ops::Range;
use std::path::Path;

use rocksdb::{ColumnFamilyDescriptor, DB, Options};
use uuid::Uuid;

use super::RocksStore;
use super::base::RocksBase;
use super::error::open_error;
use super::options::{front_bytes, options};
use super::promise::Promise;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, make_private, sync_parent};
use crate::log::{self, FileLog, Reading};
use crate::store::directory::{DirectoryLock, Format, check_free, commit_log, database};
use crate::store::durable::{Base, Bounds, Durable};
use crate::store::front::{Fronts, View};
use crate::store::records::{self, CommitRecord};
use crate::store::{Changes, Reader, Visitor, keys};

/// How a directory is opened.
#[derive(Clone, Debug)]
pub(crate) struct OpenOptions {
    /// Bytes for RocksDB's block cache and the fronts together.
    pub(crate) memory_budget: usize,
    /// Bytes of log that an open after a crash may have to replay.
    pub(crate) wal_limit: u64,
    /// The number of partitions of a hub that is created; an existing one keeps its own.
    pub(crate) partitions: u16,
    /// Releases a copy for work. On a hub that is no copy it does nothing.
    pub(crate) restore: bool,
    /// Opens although acknowledged commits are missing: the way out after a disk lost them.
    pub(crate) accept_loss: bool,
}

impl Default for OpenOptions {
    /// The log's limit bounds what an open after a kill has to read. Half of it, 32 MiB of small rows, took 0.06 to 0.07 s on two
    /// cores.
    fn default() -> Self {
        Self {
            memory_budget: 256 << 20,
            wal_limit: 64 << 20,
            partitions: 64,
            restore: false,
            accept_loss: false,
        }
    }
}

/// An open directory and what it says about itself.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: RocksStore,
    /// The newest commit, if there is one.
    pub(crate) last_commit: Option<CommitRecord>,
    pub(crate) hub: Uuid,
    pub(crate) partitions: u16,
    pub(crate) incarnation: u64,
    /// Whatever began in this batch or later was not running in a crash.
    pub(crate) calm_since: u64,
    /// Whether the hub was made by this call.
    pub(crate) created: bool,
    /// Whether the last process closed the hub; else it was killed, or the machine stopped.
    pub(crate) clean: bool,
}

/// Opens the hub in `directory`, or makes one if there is nothing.
pub(crate) fn open(directory: &Path, how: &OpenOptions) -> Result<Opened> {
    match Format::find(directory)? {
        Some(format) => check_released(directory, &format, how)?,
        None => {
            create_private_directory(directory)?;
            Format::begin(directory)?;
        }
    }
    let lock = DirectoryLock::take(directory)?;
    // Read again: whoever held the lock until now may have made or released the hub.
    match Format::find(directory)? {
        Some(format) => {
            check_released(directory, &format, how)?;
            open_existing(directory, format, lock, how)
        }
        None => create(directory, lock, how),
    }
}

/// A directory that is only looked at.
pub(crate) struct Inspected {
    pub(crate) store: ReadOnlyStore,
    pub(crate) partitions: u16,
    pub(crate) hub: Uuid,
    pub(crate) incarnation: u64,
    /// Whether it is a copy made by a checkpoint that was not released for work.
    pub(crate) copy: bool,
    /// The newest commit that is there, 0 for none.
    pub(crate) last_commit: u64,
}

/// Opens a hub's directory, or a checkpoint of one, to look at it. Nothing in it changes.
///
/// # Errors
/// [`ErrorKind::Locked`] if a process has it open: a checkpoint of it can be looked at. [`ErrorKind::Format`] if it is no
/// hub, and [`ErrorKind::Corrupted`] if acknowledged commits are missing.
pub(crate) fn open_read_only(directory: &Path, memory_budget: usize) -> Result<Inspected> {
    let (inspected, promise) = open_unchecked(directory, memory_budget)?;
    promise?;
    Ok(inspected)
}

/// As [`open_read_only`], also where acknowledged commits are missing or nobody can tell: that is told beside.
pub(crate) fn open_unchecked(directory: &Path, memory_budget: usize) -> Result<(Inspected, Result<()>)> {
    let Some(format) = Format::find(directory)? else {
        return Err(Error::new(
            ErrorKind::Format,
            format!("{} is not a hub: there is nothing in it", directory.display()),
        ));
    };
    check_free(directory)?;
    let promise = Promise::read(directory, false);
    let (store, newest) = match ReadOnlyStore::open(directory, &format, memory_budget, promise.as_ref().ok()) {
        Ok(opened) => opened,
        // What the promise says of a store that does not open says more.
        Err(failed) => return Err(promise.err().unwrap_or(failed)),
    };
    let newest = newest.map(number);
    let promise =
        promise.and_then(|promise| promise.check(directory, newest.clone()?, store.reading.damage.as_deref()));
    Ok((
        Inspected {
            store,
            partitions: format.partitions,
            hub: format.hub,
            incarnation: format.incarnation,
            copy: format.copy,
            last_commit: newest.unwrap_or_default(),
        },
        promise,
    ))
}

/// Whether there is no hub in `directory`, not even a broken one.
pub(crate) fn is_no_hub(directory: &Path) -> bool {
    !Format::is_marked(directory) && !database(directory).exists()
}

/// A store that is only read: RocksDB, and what the log has behind it.
pub(crate) struct ReadOnlyStore {
    base: RocksBase,
    fronts: Fronts,
    reading: Reading,
    /// The newest commit that RocksDB has.
    kept: u64,
}

impl ReadOnlyStore {
    /// Opens what is there and reads the log. Says which commit is the newest.
    fn open(
        directory: &Path,
        format: &Format,
        memory_budget: usize,
        promise: Option<&Promise>,
    ) -> Result<(Self, Result<Option<CommitRecord>>)> {
        let path = database(directory);
        let options = options(memory_budget);
        // The family is named so that its handle exists, which reads of many keys need.
        let family = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, options.clone());
        let db = DB::open_cf_descriptors_read_only(&options, &path, [family], false);
        let base = RocksBase::new(db.map_err(|failed| open_error(&path, failed))?, options);
        let kept = number(commit_in(&base)?);
        let fronts = Fronts::over(kept);
        let log = commit_log(directory);
        let reading = if promise.is_some_and(|promise| promise.was_closed_with(kept)) {
            log::skip(&log, kept)?
        } else {
            log::read(&log, format.hub, kept, &mut |commit, changes| {
                replay(&fronts, &log, commit, changes)
            })?
        };
        let store = Self {
            base,
            fronts,
            reading,
            kept,
        };
        let newest = commit_in(&store).and_then(|commit| check_partitions(commit, directory, format));
        Ok((store, newest))
    }
}

impl Reader for ReadOnlyStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.fronts.get(key).map_or_else(|| self.base.get(key), Ok)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.fronts.get_many(keys, &self.base)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        View::newest(&self.fronts, || self.base.snapshot()).visit(range, visitor)
    }
}

/// Takes a commit of the log into the fronts.
fn replay(fronts: &Fronts, log: &Path, commit: u64, bytes: &[u8]) -> Result<()> {
    let mut changes = Changes::of(bytes);
    fronts.apply(&mut changes, |_| {});
    if changes.is_at_end() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupted,
        format!(
            "the record of commit {commit} in {} has changes that this build does not know; use the build that wrote it",
            log.display()
        ),
    ))
}

/// Whether the hub may work: a copy may not, until somebody says so.
fn check_released(directory: &Path, format: &Format, how: &OpenOptions) -> Result<()> {
    if !format.copy || how.restore {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Copy,
        format!(
            "{} is a copy made by a checkpoint, and working on it would repeat what the original does; \
             open it with .restore() if it is to take the original's place",
            directory.display()
        ),
    ))
}

/// Makes a hub. It becomes one with its `FORMAT` file; until then the next open begins again.
fn create(directory: &Path, lock: DirectoryLock, how: &OpenOptions) -> Result<Opened> {
    let path = database(directory);
    create_private_directory(&path)?;
    let mut options = options(how.memory_budget);
    options.create_if_missing(true);
    let base = open_writable(&path, &options)?;
    let format = Format::new(how.partitions);
    // An unfinished creation has left a log of another hub, in which nothing is.
    let left = log::skip(&commit_log(directory), 0)?;
    log::remove_all(&commit_log(directory), &left)?;
    let last_commit = check_partitions(commit_in(&base)?, directory, &format)?;
    let newest = number(last_commit);
    let durable = durable(
        directory,
        &format,
        base,
        Fronts::over(newest),
        &Reading::ending_with(newest),
        newest,
        how,
    )?;
    let calm_since = first_batch(last_commit);
    let store = RocksStore::new(directory, lock, durable, newest, calm_since, format.clone())?;
    format.write(directory)?;
    Format::finish(directory)?;
    sync_parent(directory)?;
    Ok(Opened {
        created: true,
        ..opened(store, last_commit, calm_since, &format)
    })
}

fn open_existing(directory: &Path, format: Format, lock: DirectoryLock, how: &OpenOptions) -> Result<Opened> {
    let path = database(directory);
    let promise = Promise::read(directory, how.accept_loss)?;
    // A writable open would begin to change things, and a refusal would come too late for whoever could mend what is broken.
    let (read, last_commit) = ReadOnlyStore::open(directory, &format, how.memory_budget, Some(&promise))?;
    let last_commit = last_commit?;
    let newest = number(last_commit);
    promise.check(directory, newest, read.reading.damage.as_deref())?;
    let is_damaged = read.reading.damage.is_some();
    let (fronts, mut reading, mut kept) = (read.fronts, read.reading, read.kept);
    drop(read.base);

    let base = open_writable(&path, &options(how.memory_budget))?;
    base.remove_leftover()?;
    make_private(&path)?;
    // The numbers of lost commits are given out again, and what the lost ones did outside must not count for the new ones.
    let is_new_life = format.copy || promise.is_broken(newest) || is_damaged;
    let released = if is_new_life {
        format.next_life()
    } else {
        format.clone()
    };
    if released != format {
        // Before the new promise, with which nobody would see the loss any more.
        released.write(directory)?;
    }
    if is_damaged {
        // What lies behind the damage must not be found once more. Until it is gone, the next open meets the same damage.
        if let (_, Some(front)) = fronts.freeze() {
            base.take(&front)?;
            fronts.retire();
        }
        log::remove_all(&commit_log(directory), &reading)?;
        (reading, kept) = (Reading::ending_with(newest), newest);
    }
    let durable = durable(directory, &released, base, fronts, &reading, kept, how)?;
    let calm_since = promise.calm_since(first_batch(last_commit));
    let store = RocksStore::new(directory, lock, durable, newest, calm_since, released.clone())?;
    Ok(Opened {
        clean: promise.was_closed(),
        ..opened(store, last_commit, calm_since, &released)
    })
}

/// The open store behind what was read of its log. The base has the commits up to `kept`.
fn durable(
    directory: &Path,
    format: &Format,
    base: RocksBase,
    fronts: Fronts,
    reading: &Reading,
    kept: u64,
    how: &OpenOptions,
) -> Result<Durable<FileLog, RocksBase>> {
    let segment_bytes = usize::try_from(how.wal_limit / SEGMENTS)
        .unwrap_or(usize::MAX)
        .clamp(SEGMENT_BYTES.0, SEGMENT_BYTES.1);
    let log = FileLog::open(&commit_log(directory), format.hub, segment_bytes, reading, kept)?;
    let bounds = Bounds {
        front_bytes: front_bytes(how.memory_budget),
        log_bytes: (how.wal_limit / 2).max(LEAST_SEGMENTS * segment_bytes as u64),
    };
    Ok(Durable::new(log, base, fronts, kept, bounds))
}

/// The bytes of a segment. A large one would be long in the making, and a small one would have room for little.
const SEGMENT_BYTES: (usize, usize) = (16 << 10, 64 << 20);

/// The segments of a log as long as it may be.
const SEGMENTS: u64 = 8;

/// The segments that a log may have, however short it is to be: one is given up only when all of it is in RocksDB.
const LEAST_SEGMENTS: u64 = 4;

fn open_writable(path: &Path, options: &Options) -> Result<RocksBase> {
    // The family is named so that its handle exists, which reads of many keys need.
    let family = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, options.clone());
    let db = DB::open_cf_descriptors(options, path, [family]);
    let db = db.map_err(|failed| open_error(path, failed))?;
    Ok(RocksBase::new(db, options.clone()))
}

/// The newest commit that a reader shows.
fn commit_in(reader: &dyn Reader) -> Result<Option<CommitRecord>> {
    let row = reader.get(&keys::COMMIT)?;
    row.map(|row| records::decode(&row, "commit")).transpose()
}

/// The rows of a store lie where the number of partitions put them, so it has to be the one that `format` says.
fn check_partitions(commit: Option<CommitRecord>, directory: &Path, format: &Format) -> Result<Option<CommitRecord>> {
    match commit {
        Some(commit) if commit.partitions != format.partitions => Err(Error::new(
            ErrorKind::Corrupted,
            format!(
                "the FORMAT file of {} says {} partitions and its store was written with {}; put the FORMAT file of this hub \
                 back, or restore a backup",
                directory.display(),
                format.partitions,
                commit.partitions
            ),
        )),
        commit => Ok(commit),
    }
}

/// The first batch of the life that begins after this commit.
fn first_batch(last: Option<CommitRecord>) -> u64 {
    last.map_or(1, |commit| commit.next_batch)
}

/// The number of the newest commit; before the first one it is 0.
fn number(commit: Option<CommitRecord>) -> u64 {
    commit.map_or(0, |commit| commit.number)
}

fn opened(store: RocksStore, last_commit: Option<CommitRecord>, calm_since: u64, format: &Format) -> Opened {
    Opened {
        store,
        last_commit,
        hub: format.hub,
        partitions: format.partitions,
        incarnation: format.incarnation,
        calm_since,
        created: false,
        clean: true,
    }
}
