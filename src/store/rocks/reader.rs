//! Reads from the newest state and from a snapshot.

use std::ops::Range;

use rocksdb::{DB, ReadOptions, SnapshotWithThreadMode};

use super::error::error;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Reader, Visitor};

/// A snapshot and its database. The borrow keeps the database open. Every iterator ends within the call that created
/// it, so none outlives the snapshot.
pub(super) struct Snapshot<'a> {
    database: &'a DB,
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl<'a> Snapshot<'a> {
    pub(super) fn new(database: &'a DB) -> Self {
        Self {
            database,
            snapshot: database.snapshot(),
        }
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options
    }
}

impl Reader for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(self.database, key, &self.options())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        get_many(self.database, keys, &self.options())
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        visit(self.database, range, visitor, self.options())
    }
}

pub(super) fn get(database: &DB, key: &[u8], options: &ReadOptions) -> Result<Option<Vec<u8>>> {
    database
        .get_opt(key, options)
        .map_err(|failed| error("read a row", failed))
}

/// Reads all keys in one call, which accesses each table file once.
pub(super) fn get_many(database: &DB, keys: &[Vec<u8>], options: &ReadOptions) -> Result<Vec<Option<Vec<u8>>>> {
    let Some(family) = database.cf_handle(rocksdb::DEFAULT_COLUMN_FAMILY_NAME) else {
        return Err(Error::new(
            ErrorKind::Closed,
            "the default column family of the store is not open",
        ));
    };
    let values = database.batched_multi_get_cf_opt(family, keys, false, options);
    let values = values.into_iter().map(|value| match value {
        Ok(value) => Ok(value.map(|value| value.to_vec())),
        Err(failed) => Err(error("read rows", failed)),
    });
    values.collect()
}

pub(super) fn visit(
    database: &DB,
    range: Range<Vec<u8>>,
    visitor: &mut Visitor<'_>,
    mut options: ReadOptions,
) -> Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    // The bound also prevents RocksDB from reading ahead into the next table and over its tombstones.
    options.set_iterate_upper_bound(range.end);
    let mut iterator = database.raw_iterator_opt(options);
    iterator.seek(range.start);
    while let Some((key, value)) = iterator.item() {
        if visitor(key, value).is_break() {
            return Ok(());
        }
        iterator.next();
    }
    // An iterator that hits a broken block looks exhausted. Only its status shows the error.
    iterator.status().map_err(|failed| error("scan rows", failed))
}
