//! A base that loses its unsynced writes, on a disk that loses power.

use super::*;
use crate::log::read_on;
use crate::log::tests::HUB;
use crate::log::tests::memory::{Chance, Memory};
use crate::model::{self, CommitRecord};
use crate::schema;
use crate::store::Store;

#[derive(Debug)]
pub(crate) struct Volatile {
    /// The disk, shared with the log. Each step of the base is an operation of this disk.
    disk: Memory,
    rows: Model,
}

impl Volatile {
    pub(super) fn over(disk: Memory, rows: &Model) -> Self {
        Self {
            disk,
            rows: rows.crash(0),
        }
    }

    /// Returns the rows that the next process finds: the durable ones or more, because a write may complete just before
    /// the power is lost.
    pub(super) fn survives(&self, chance: &mut Chance) -> Model {
        let keep = if chance.one_in(4) { self.rows.unsynced() } else { 0 };
        self.rows.crash(keep)
    }
}

impl Base for Volatile {
    fn take(&self, front: &Front) -> Result<()> {
        let durable = read_on(&self.disk.durable(), HUB, commit_of(&self.rows), &mut |_, _| Ok(()))?;
        assert!(durable.newest >= front.commit(), "the base is ahead of the log");
        self.disk.with(|_| ())?;
        Store::write(&self.rows, &batch_of(front))?;
        self.disk.with(|_| ())?;
        Store::sync(&self.rows)
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Store::snapshot(&self.rows)
    }
}

impl Reader for Volatile {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.rows.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.rows.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.rows.visit(range, visitor)
    }
}

/// Returns the number of the newest commit that a reader returns.
pub(super) fn commit_of(reader: &dyn Reader) -> u64 {
    let row = reader.get(&schema::COMMIT).unwrap();
    row.map_or(0, |row| model::decode::<CommitRecord>(&row, "commit").unwrap().number)
}
