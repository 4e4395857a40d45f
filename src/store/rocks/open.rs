//! Opens a hub's directory. Nothing on disk changes until it is known that no acknowledged commit is missing. Only a table
//! that an unfinished ingestion has removed receives its name again before; see `leftover.rs`.

use std::ops::Range;
use std::path::Path;

use rocksdb::{ColumnFamilyDescriptor, DB, Options};
use uuid::Uuid;

use super::RocksStore;
use super::base::RocksBase;
use super::durability::DurabilityCheck;
use super::error::open_error;
use super::exit::before_the_end;
use super::leftover;
use super::options::{front_bytes, options};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, make_private, sync_parent};
use crate::log::{self, FileLog, Reading};
use crate::model::{self, CommitRecord};
use crate::schema;
use crate::store::directory::{DirectoryLock, Format, check_free, commit_log, database, moved};
use crate::store::durable::{Base, Bounds, Durable};
use crate::store::front::{Fronts, View};
use crate::store::{Changes, LOG_LIMIT, MEMORY_BUDGET, Reader, USUAL_PARTITIONS, Visitor};

/// Options for opening a directory.
#[derive(Clone, Debug)]
pub(crate) struct OpenOptions {
    /// Memory for RocksDB's block cache and the fronts together, in bytes.
    pub(crate) memory_budget: usize,
    /// Size of the log that an open after a crash may have to replay, in bytes.
    pub(crate) wal_limit: u64,
    /// Number of partitions of a new hub. An existing hub keeps its number.
    pub(crate) partitions: u16,
    /// Releases a copy for work. Has no effect on a hub that is not a copy.
    pub(crate) restore: bool,
    /// Opens the hub even if acknowledged commits are missing, as the way out after a disk lost them.
    pub(crate) accept_loss: bool,
    /// Opens a directory whose hub moves into a database.
    pub(crate) moves: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            memory_budget: MEMORY_BUDGET,
            wal_limit: LOG_LIMIT,
            partitions: USUAL_PARTITIONS,
            restore: false,
            accept_loss: false,
            moves: false,
        }
    }
}

/// An open directory and its description.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: RocksStore,
    /// The newest commit, if there is one.
    pub(crate) last_commit: Option<CommitRecord>,
    pub(crate) hub: Uuid,
    pub(crate) partitions: u16,
    pub(crate) incarnation: u64,
    /// The first batch since which no crash has happened. Activities started in this batch or later never ran during a
    /// crash.
    pub(crate) calm_since: u64,
    /// True if this call created the hub.
    pub(crate) created: bool,
    /// True if the last process closed the hub. Otherwise the process was killed or the machine stopped.
    pub(crate) clean: bool,
}

/// Opens the hub in `directory`, or creates one if the directory is missing or empty.
pub(crate) fn open(directory: &Path, how: &OpenOptions) -> Result<Opened> {
    match Format::find(directory)? {
        Some(format) => check_released(directory, &format, how)?,
        None => {
            create_private_directory(directory)?;
            Format::begin(directory)?;
        }
    }
    let lock = DirectoryLock::take(directory)?;
    // Read again, because the previous holder of the lock may have created or released the hub.
    match Format::find(directory)? {
        Some(format) => {
            check_released(directory, &format, how)?;
            if !how.moves {
                moved::check(directory)?;
            }
            open_existing(directory, format, lock, how)
        }
        None => create(directory, lock, how),
    }
}

/// A directory that is open for inspection only.
pub(crate) struct Inspected {
    pub(crate) store: ReadOnlyStore,
    pub(crate) partitions: u16,
    pub(crate) hub: Uuid,
    pub(crate) incarnation: u64,
    /// True if the directory is a copy made by a checkpoint and has not been released for work.
    pub(crate) copy: bool,
    /// The newest commit, or 0 if there is none.
    pub(crate) last_commit: u64,
}

/// Opens the directory of a hub or a checkpoint for inspection, without changing it.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Locked`] if a process has the hub open (a checkpoint can be inspected
/// instead), [`ErrorKind::Format`] if the directory is not a hub, or [`ErrorKind::Corrupted`] if acknowledged commits
/// are missing.
pub(crate) fn open_read_only(directory: &Path, memory_budget: usize) -> Result<Inspected> {
    let (inspected, promise) = open_unchecked(directory, memory_budget)?;
    promise?;
    Ok(inspected)
}

/// Like [`open_read_only`], but also opens a directory in which acknowledged commits are or may be missing. The second
/// value reports the loss.
pub(crate) fn open_unchecked(directory: &Path, memory_budget: usize) -> Result<(Inspected, Result<()>)> {
    let Some(format) = Format::find(directory)? else {
        return Err(Error::new(
            ErrorKind::Format,
            format!(
                "{} is not a hub: the directory is empty or does not exist",
                directory.display()
            ),
        ));
    };
    check_free(directory)?;
    let promise = DurabilityCheck::read(directory, false);
    let (store, newest) = match ReadOnlyStore::open(directory, &format, memory_budget, promise.as_ref().ok()) {
        Ok(opened) => opened,
        // If the store does not open, an error of the promise is more informative.
        Err(failed) => {
            return Err(promise
                .err()
                .unwrap_or_else(|| leftover::advise(&database(directory), failed)));
        }
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

/// Returns `true` if `directory` contains no hub, not even a broken one.
pub(crate) fn is_no_hub(directory: &Path) -> bool {
    !Format::is_marked(directory) && !database(directory).exists()
}

/// A read-only store: RocksDB and the later commits of the log.
pub(crate) struct ReadOnlyStore {
    base: RocksBase,
    fronts: Fronts,
    reading: Reading,
    /// The newest commit that RocksDB has.
    kept: u64,
}

impl ReadOnlyStore {
    /// Opens the store and reads the log. Returns the store and its newest commit.
    fn open(
        directory: &Path,
        format: &Format,
        memory_budget: usize,
        promise: Option<&DurabilityCheck>,
    ) -> Result<(Self, Result<Option<CommitRecord>>)> {
        let path = database(directory);
        let options = options(memory_budget);
        // The family is named so that its handle exists, which reads of many keys need.
        let family = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, options.clone());
        let end = before_the_end();
        let db = DB::open_cf_descriptors_read_only(&options, &path, [family], false);
        drop(end);
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

impl ReadOnlyStore {
    /// As [`open`](Self::open), but restores a table that an unfinished ingestion has removed.
    fn open_or_restore(
        directory: &Path,
        format: &Format,
        memory_budget: usize,
        promise: &DurabilityCheck,
    ) -> Result<(Self, Result<Option<CommitRecord>>)> {
        let open = || Self::open(directory, format, memory_budget, Some(promise));
        let failed = match open() {
            Ok(opened) => return Ok(opened),
            Err(failed) => failed,
        };
        let Some(table) = leftover::restore_table(&database(directory), &failed)? else {
            return Err(failed);
        };
        open()
            .inspect_err(|_| {
                // It was not the missing table. The first error names that one.
                let _ = std::fs::remove_file(&table);
            })
            .map_err(|_| failed)
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

/// Applies a commit of the log to the fronts.
fn replay(fronts: &Fronts, log: &Path, commit: u64, bytes: &[u8]) -> Result<()> {
    let mut changes = Changes::of(bytes);
    fronts.apply(&mut changes, |_| {});
    if changes.is_at_end() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupted,
        format!(
            "the record of commit {commit} in {} has changes that this build does not support; \
             use the build that wrote it",
            log.display()
        ),
    ))
}

/// Checks that the hub may run. A copy may not run until it is released.
fn check_released(directory: &Path, format: &Format, how: &OpenOptions) -> Result<()> {
    if !format.copy || how.restore {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Copy,
        format!(
            "{} is a copy made by a checkpoint; running it would repeat the work of the original; \
             open it with .restore() to replace the original",
            directory.display()
        ),
    ))
}

/// Creates a hub. The directory becomes a hub with its `FORMAT` file. Until then, the next open restarts the creation.
fn create(directory: &Path, lock: DirectoryLock, how: &OpenOptions) -> Result<Opened> {
    let path = database(directory);
    create_private_directory(&path)?;
    let mut options = options(how.memory_budget);
    options.create_if_missing(true);
    let base = open_writable(&path, &options)?;
    let format = Format::new(how.partitions);
    // An unfinished creation may have left an empty log of another hub.
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
    let promise = DurabilityCheck::read(directory, how.accept_loss)?;
    // A writable open would change files, and a later refusal would come too late for a repair of the damage.
    let (read, last_commit) = ReadOnlyStore::open_or_restore(directory, &format, how.memory_budget, &promise)?;
    let last_commit = last_commit?;
    let newest = number(last_commit);
    promise.check(directory, newest, read.reading.damage.as_deref())?;
    let is_damaged = read.reading.damage.is_some();
    let (fronts, mut reading, mut kept) = (read.fronts, read.reading, read.kept);
    drop(read.base);

    let base = open_writable(&path, &options(how.memory_budget))?;
    base.remove_leftover()?;
    make_private(&path)?;
    // The numbers of lost commits are reused, and external effects of the lost commits must not count for the new ones.
    let is_new_life = format.copy || promise.is_broken(newest) || is_damaged;
    let released = if is_new_life {
        format.next_life()
    } else {
        format.clone()
    };
    if released != format {
        // Written before the new promise, which hides the loss.
        released.write(directory)?;
    }
    if is_damaged {
        // Records after the damage must not be found again. Until they are removed, the next open finds the same
        // damage.
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

/// Creates the open store, which continues after the part of the log that was read. The base has the commits up to
/// `kept`.
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

/// Minimum and maximum size of a segment, in bytes. A large segment takes long to create, and a small one holds few
/// records.
const SEGMENT_BYTES: (usize, usize) = (16 << 10, 64 << 20);

/// Number of segments of a log of maximum length.
const SEGMENTS: u64 = 8;

/// Minimum number of segments that a log may have, however short its limit. A segment is released only when RocksDB has
/// all of its commits.
const LEAST_SEGMENTS: u64 = 4;

pub(super) fn open_writable(path: &Path, options: &Options) -> Result<RocksBase> {
    // The family is named so that its handle exists, which reads of many keys need.
    let family = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, options.clone());
    let _end = before_the_end();
    let db = DB::open_cf_descriptors(options, path, [family]);
    let db = db.map_err(|failed| open_error(path, failed))?;
    Ok(RocksBase::writable(db, options.clone()))
}

/// Returns the newest commit that a reader has.
pub(super) fn commit_in(reader: &dyn Reader) -> Result<Option<CommitRecord>> {
    let row = reader.get(&schema::COMMIT)?;
    row.map(|row| model::decode(&row, "commit")).transpose()
}

/// Checks that the store was written with the number of partitions in `format`, which determines the placement of all
/// rows.
fn check_partitions(commit: Option<CommitRecord>, directory: &Path, format: &Format) -> Result<Option<CommitRecord>> {
    match commit {
        Some(commit) if commit.partitions != format.partitions => Err(Error::new(
            ErrorKind::Corrupted,
            format!(
                "the FORMAT file of {} specifies {} partitions, but its store was written with {}; \
                 restore the FORMAT file of this hub, or restore a backup",
                directory.display(),
                format.partitions,
                commit.partitions
            ),
        )),
        commit => Ok(commit),
    }
}

/// Returns the first batch of the life that begins after this commit.
fn first_batch(last: Option<CommitRecord>) -> u64 {
    last.map_or(1, |commit| commit.next_batch)
}

/// Returns the number of the newest commit, or 0 if there is none.
pub(super) fn number(commit: Option<CommitRecord>) -> u64 {
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
