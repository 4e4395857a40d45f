//! RocksDB as the base below the fronts.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use rocksdb::{
    DB, Error as RocksError, ErrorKind as RocksErrorKind, IngestExternalFileOptions, Options, ReadOptions,
    SstFileWriter, WaitForCompactOptions, properties,
};

use super::error::error;
use super::exit::{Database, Writes, before_the_end};
use super::leftover;
use super::reader::{self, Snapshot};
use crate::error::Result;
use crate::store::durable::Base;
use crate::store::front::Front;
use crate::store::{Reader, Visitor};

/// Number of overlapping tables that makes reads slow. At this number, a front waits until RocksDB has compacted some
/// of them.
const UNSORTED_TABLES: u64 = 16;

/// Interval between two counts of the tables, in microseconds.
const COUNT_AGAIN: u64 = 100_000;

/// RocksDB as a base. It ingests only whole tables and therefore needs neither a log nor a memtable.
pub(super) struct RocksBase {
    pub(super) database: Database,
    writes: Writes,
    /// The options with which the database was opened. Tables are written with the same options.
    options: Options,
}

impl RocksBase {
    pub(super) fn new(database: DB, options: Options) -> Self {
        Self {
            database: Database::new(database),
            writes: Writes::default(),
            options,
        }
    }

    /// As [`new`](Self::new), for a database that is open for writing.
    pub(super) fn writable(database: DB, options: Options) -> Self {
        let base = Self::new(database, options);
        base.writes.register(&base.database);
        base
    }

    /// Returns an integer property of RocksDB, or 0 if it is unavailable.
    pub(super) fn property(&self, name: impl rocksdb::CStrLike) -> u64 {
        self.database.property_int_value(name).ok().flatten().unwrap_or(0)
    }

    /// Removes the front file that a crash or an error left behind.
    pub(super) fn remove_leftover(&self) -> Result<()> {
        leftover::remove(self.database.path())
    }

    /// Waits until few tables overlap, or RocksDB has nothing left to compact.
    fn wait_for_compaction(&self) -> Result<()> {
        let mut how = WaitForCompactOptions::default();
        how.set_timeout(COUNT_AGAIN);
        while self.property(properties::num_files_at_level(0)) >= UNSORTED_TABLES {
            match self.database.wait_for_compact(&how) {
                Ok(()) => break,
                Err(failed) if failed.kind() == RocksErrorKind::TimedOut => {}
                Err(failed) => return Err(error("compact its tables", failed)),
            }
        }
        Ok(())
    }

    /// Adds rows, which are in key order and which no table has.
    #[cfg(feature = "cluster")]
    pub(super) fn load(&self, rows: &[(&[u8], &[u8])]) -> Result<()> {
        let _write = self.writes.begin();
        self.remove_leftover()?;
        let path = leftover::front(self.database.path());
        let write = || {
            let mut writer = SstFileWriter::create(&self.options);
            writer.open(&path)?;
            for (key, value) in rows {
                writer.put(key, value)?;
            }
            writer.finish()
        };
        write().map_err(|failed| error("write a table", failed))?;
        self.ingest(&path)
    }

    /// Makes a table part of the database, atomically with one edit of the MANIFEST.
    fn ingest(&self, table: &Path) -> Result<()> {
        let mut how = IngestExternalFileOptions::default();
        how.set_move_files(true);
        let taken = self.database.ingest_external_file_opts(&how, vec![table]);
        taken.map_err(|failed| error("ingest a table", failed))
    }

    /// Writes a front to a file. Returns `false` if the front is empty.
    fn write(&self, front: &Front, path: &Path) -> Result<bool, RocksError> {
        let mut writer = SstFileWriter::create(&self.options);
        writer.open(path)?;
        let (mut written, mut is_empty) = (Ok(()), true);
        front.for_each(|key, value| {
            is_empty = false;
            if written.is_ok() {
                written = match value {
                    Some(value) => writer.put(key, value),
                    None => writer.delete(key),
                };
            }
        });
        written?;
        if !is_empty {
            writer.finish()?;
        }
        Ok(!is_empty)
    }
}

impl Base for RocksBase {
    /// Writes the front as a table, which RocksDB ingests.
    fn take(&self, front: &Front) -> Result<()> {
        let _write = self.writes.begin();
        self.wait_for_compaction()?;
        self.remove_leftover()?;
        let path = leftover::front(self.database.path());
        match self.write(front, &path) {
            Ok(true) => {}
            Ok(false) => return self.remove_leftover(),
            Err(failed) => {
                // The disk may be full, and the next open needs space. If the removal fails, the next open repeats it.
                let _ = self.remove_leftover();
                return Err(error("write a table", failed));
            }
        }
        self.ingest(&path)
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(Snapshot::new(&self.database))
    }

    fn stop(&self) {
        let _end = before_the_end();
        self.database.cancel_all_background_work(false);
    }
}

impl Reader for RocksBase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        reader::get(&self.database, key, &ReadOptions::default())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        reader::get_many(&self.database, keys, &ReadOptions::default())
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        reader::visit(&self.database, range, visitor, ReadOptions::default())
    }
}

impl fmt::Debug for RocksBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.database.fmt(f)
    }
}
