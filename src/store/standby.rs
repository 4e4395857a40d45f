//! The store of a node that does not run its hub. It has nothing: reads go to the copy that follows the hub.

use std::ops::Range;
use std::path::Path;

use super::{Batch, Reader, Store, StoreStats, Visitor};
use crate::error::{Error, ErrorKind, Result};

/// A store that refuses everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StandbyStore;

fn refuse<T>() -> Result<T> {
    let text = "another node runs this hub, and only that node can do this";
    Err(Error::new(ErrorKind::Replaced, text))
}

impl Reader for StandbyStore {
    fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>> {
        refuse()
    }

    fn get_many(&self, _keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        refuse()
    }

    fn visit(&self, _range: Range<Vec<u8>>, _visitor: &mut Visitor<'_>) -> Result<()> {
        refuse()
    }
}

impl Store for StandbyStore {
    fn write(&self, _batch: &Batch) -> Result<()> {
        refuse()
    }

    fn sync(&self) -> Result<()> {
        refuse()
    }

    fn acknowledge(&self, _commit: u64) -> Result<()> {
        refuse()
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(*self)
    }

    fn checkpoint(&self, _directory: &Path, _commit: u64) -> Result<()> {
        refuse()
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    fn close(&self, _commit: u64) -> Result<()> {
        Ok(())
    }
}
