//! The store of a process that another one may replace, as the owner of a shard over a shared log is replaced.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::store::{Batch, Model, Reader, Store, StoreStats, Visitor};

/// A store until its process is replaced. Afterwards it has the rows that the process knows, and says at the next sync or
/// confirmation that the process was replaced. The store of a node does all of that itself.
#[derive(Debug)]
pub(in crate::simulation) struct Tenure {
    pub(in crate::simulation) store: Arc<dyn Store>,
    pub(in crate::simulation) model: Arc<Model>,
    /// False with a planted bug.
    pub(in crate::simulation) confirms_reads: bool,
    /// True with a planted bug.
    pub(in crate::simulation) confirms_unseen: bool,
    /// True if the store itself knows when the process was replaced.
    pub(in crate::simulation) tells: bool,
}

impl Tenure {
    fn now(&self) -> &dyn Store {
        match self.model.is_replaced() && !self.tells {
            true => self.model.as_ref(),
            false => self.store.as_ref(),
        }
    }
}

impl Store for Tenure {
    fn write(&self, batch: &Batch) -> Result<()> {
        self.now().write(batch)
    }

    fn sync(&self) -> Result<()> {
        self.now().sync()
    }

    fn confirms_reads(&self) -> bool {
        self.confirms_reads
    }

    fn confirm(&self) -> Result<()> {
        match self.confirms_unseen {
            true => Ok(()),
            false => self.now().confirm(),
        }
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        self.now().acknowledge(commit)
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        self.now().snapshot()
    }

    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()> {
        self.now().checkpoint(directory, commit)
    }

    fn stats(&self) -> StoreStats {
        self.now().stats()
    }

    fn close(&self, commit: u64) -> Result<()> {
        self.now().close(commit)
    }
}

impl Reader for Tenure {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.now().get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.now().get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.now().visit(range, visitor)
    }
}
