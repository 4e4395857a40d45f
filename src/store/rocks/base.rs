//! RocksDB as the base below the fronts.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use rocksdb::{
    DB, Error as RocksError, IngestExternalFileOptions, Options, ReadOptions, SstFileWriter, WaitForCompactOptions,
    properties,
};

use super::error::error;
use super::reader::{self, Snapshot};
use crate::error::Result;
use crate::store::durable::Base;
use crate::store::front::Front;
use crate::store::{Reader, Visitor};

/// The file that a front becomes. What a crash has left of one is written over.
const FRONT: &str = "front.tmp";

/// So many tables that are not sorted into each other make reads slow. A front waits until RocksDB has compacted them.
const UNSORTED_TABLES: u64 = 16;

/// A database that takes whole tables only, so that it has neither a log nor rows in memory.
pub(super) struct RocksBase {
    pub(super) database: DB,
    /// Those with which it was opened: tables are made with them, too.
    options: Options,
}

impl RocksBase {
    pub(super) fn new(database: DB, options: Options) -> Self {
        Self { database, options }
    }

    /// A number that RocksDB knows of itself; 0 if it does not.
    pub(super) fn property(&self, name: impl rocksdb::CStrLike) -> u64 {
        self.database.property_int_value(name).ok().flatten().unwrap_or(0)
    }

    /// Writes a front to a file, if there is something in it.
    fn write(&self, front: &Front, path: &PathBuf) -> Result<bool, RocksError> {
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
    /// A front becomes a table, and RocksDB has it with one edit of its MANIFEST: whole or not at all.
    fn take(&self, front: &Front) -> Result<()> {
        if self.property(properties::num_files_at_level(0)) >= UNSORTED_TABLES {
            let compacted = self.database.wait_for_compact(&WaitForCompactOptions::default());
            compacted.map_err(|failed| error("compact its tables", failed))?;
        }
        let path = self.database.path().join(FRONT);
        let is_written = self.write(front, &path);
        if !is_written.map_err(|failed| error("write a table", failed))? {
            return Ok(());
        }
        let mut how = IngestExternalFileOptions::default();
        how.set_move_files(true);
        let taken = self.database.ingest_external_file_opts(&how, vec![path]);
        taken.map_err(|failed| error("take in a table", failed))
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(Snapshot::new(&self.database))
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
