//! Opening a hub's directory: nothing on disk changes before it is known that nothing acknowledged is missing.

use std::ops::Range;
use std::path::Path;

use rocksdb::{ColumnFamilyDescriptor, DB, Options, ReadOptions};
use uuid::Uuid;

use super::RocksStore;
use super::error::{error, open_error};
use super::gap::Gap;
use super::options::{forgetting_logs, options};
use super::promise::Promise;
use super::reader;
use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::{
    DirectoryLock, Format, check_free, create_private_directory, database, make_private, sync_parent,
};
use crate::store::records::{self, CommitRecord};
use crate::store::{Reader, Visitor, keys};

/// How a directory is opened.
#[derive(Clone, Debug)]
pub(crate) struct OpenOptions {
    /// Bytes for RocksDB's block cache and memtables together.
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
    /// The log's limit is what an open after a kill takes: two cores replayed 10 to 30 MB/s of small rows, twice, and
    /// opened a hub of a million rows in 0.1 to 0.9 s at 64 MiB, in 0.4 to 1.3 s at 128 and in 0.9 to 3.4 s at 256; after
    /// a clean close in 20 to 110 ms at any. Larger memtables wrote no faster: 100 000 keys at random took 360 000 puts a
    /// second at 64 MiB and 210 000 to 300 000 at 128, because a smaller memtable stays in the processor's cache.
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
    let path = database(directory);
    let options = options(memory_budget, OpenOptions::default().wal_limit);
    let family = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, options.clone());
    let opened = DB::open_cf_descriptors_read_only(&options, &path, [family], false);
    let db = match opened {
        Ok(db) => db,
        // What the promise says of a store that does not open says more.
        Err(failed) => return Err(promise.err().unwrap_or_else(|| open_error(&path, failed))),
    };
    let last_commit = last_commit(&db, directory, &format).map(number);
    let promise = promise.and_then(|promise| promise.check(directory, last_commit.clone()?));
    Ok((
        Inspected {
            store: ReadOnlyStore(db),
            partitions: format.partitions,
            hub: format.hub,
            incarnation: format.incarnation,
            copy: format.copy,
            last_commit: last_commit.unwrap_or_default(),
        },
        promise,
    ))
}

/// Whether there is no hub in `directory`, not even a broken one.
pub(crate) fn is_no_hub(directory: &Path) -> bool {
    !Format::is_marked(directory) && !database(directory).exists()
}

/// A database that is only read.
pub(crate) struct ReadOnlyStore(DB);

impl Reader for ReadOnlyStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        reader::get(&self.0, key, &ReadOptions::default())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        reader::get_many(&self.0, keys, &ReadOptions::default())
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        reader::visit(&self.0, range, visitor, ReadOptions::default())
    }
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
    let mut options = options(how.memory_budget, how.wal_limit);
    options.create_if_missing(true);
    let db = open_writable(&path, &options)?;
    let format = Format::new(how.partitions);
    let last_commit = last_commit(&db, directory, &format)?;
    let calm_since = first_batch(last_commit);
    let store = RocksStore::new(directory, lock, db, number(last_commit), calm_since, format.clone())?;
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
    let mut options = options(how.memory_budget, how.wal_limit);
    if how.accept_loss {
        options = forgetting_logs(&options);
    }
    let promise = Promise::read(directory, how.accept_loss)?;
    if let Some(gap) = check_untouched(directory, &format, &options, &promise)? {
        gap.cut()?;
        options = forgetting_logs(&options);
    }

    let db = open_writable(&path, &options)?;
    let last_commit = last_commit(&db, directory, &format)?;
    promise.check(directory, number(last_commit))?;
    make_private(&path)?;
    // The numbers of lost commits are given out again, and what the lost ones did outside must not count for the new ones.
    let is_new_life = format.copy || promise.is_broken(number(last_commit));
    let released = if is_new_life {
        format.next_life()
    } else {
        format.clone()
    };
    if released != format {
        // Before the new promise, with which nobody would see the loss any more.
        released.write(directory)?;
    }
    let calm_since = promise.calm_since(first_batch(last_commit));
    let store = RocksStore::new(directory, lock, db, number(last_commit), calm_since, released.clone())?;
    Ok(Opened {
        clean: promise.was_closed(),
        ..opened(store, last_commit, calm_since, &released)
    })
}

/// Looks whether the promise is kept, and changes nothing. What lies behind the gap that it returns was never promised.
///
/// A writable open would cut the log at its first broken byte and delete the rest, and a refusal would come too late
/// for whoever could mend it. A read-only one replays the log into memory.
fn check_untouched(directory: &Path, format: &Format, options: &Options, promise: &Promise) -> Result<Option<Gap>> {
    let path = database(directory);
    let db = DB::open_for_read_only(options, &path, false).map_err(|failed| open_error(&path, failed))?;
    promise.check(directory, number(last_commit(&db, directory, format)?))?;
    let first_log = db.property_int_value(rocksdb::properties::MIN_LOG_NUMBER_TO_KEEP);
    let first_log = first_log.map_err(|failed| error("name its first log", failed))?;
    drop(db);
    let gap = Gap::find(&path, first_log.unwrap_or(0))?;
    match &gap {
        Some(Gap {
            newest: Some(newest), ..
        }) => promise.check(directory, *newest)?,
        Some(gap) => promise.accept(gap.error())?,
        None => {}
    }
    Ok(gap)
}

fn open_writable(path: &Path, options: &Options) -> Result<DB> {
    // The family is named so that its handle exists, which reads of many keys need.
    let family = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, options.clone());
    DB::open_cf_descriptors(options, path, [family]).map_err(|failed| open_error(path, failed))
}

/// The newest commit. Its rows lie where the number of partitions put them, so it has to be the one that `format` says.
fn last_commit(db: &DB, directory: &Path, format: &Format) -> Result<Option<CommitRecord>> {
    let row = db.get(keys::COMMIT);
    let Some(row) = row.map_err(|failed| error("read the commit row", failed))? else {
        return Ok(None);
    };
    let commit: CommitRecord = records::decode(&row, "commit")?;
    if commit.partitions == format.partitions {
        return Ok(Some(commit));
    }
    Err(Error::new(
        ErrorKind::Corrupted,
        format!(
            "the FORMAT file of {} says {} partitions and its store was written with {}; put the FORMAT file of this hub \
             back, or restore a backup",
            directory.display(),
            format.partitions,
            commit.partitions
        ),
    ))
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
