//! The store of one process, with the model beside it. Every read must return the same from both.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use super::compared::Compared;
use crate::error::{Error, Result};
use crate::log::tests::memory::{Chance, Meanwhile};
use crate::simulation::coverage::CoverageMark;
use crate::store::{Batch, ByHand, Model, Reader, Store, StoreStats, Visitor};

/// The store, and the model that defines its expected content. An injected fault occurs in the model and then breaks
/// the disk of the store.
#[derive(Debug)]
pub(super) struct Twin {
    pub(super) store: ByHand,
    model: Arc<Model>,
    chance: Mutex<Chance>,
    /// A front moves to the base early in one of this many background steps.
    patience: u64,
    marks: Mutex<BTreeSet<CoverageMark>>,
}

impl Twin {
    pub(super) fn new(store: ByHand, model: Arc<Model>, mut chance: Chance) -> Arc<Self> {
        let patience = [20, 100, 1_000][chance.below(3) as usize];
        let twin = Arc::new(Self {
            store,
            model,
            chance: Mutex::new(chance),
            patience,
            marks: Mutex::default(),
        });
        twin.compared().all();
        let meanwhile: Weak<Self> = Arc::downgrade(&twin);
        twin.store.disk().set_meanwhile(Some(meanwhile));
        twin
    }

    /// Returns a reader that compares the newest rows.
    pub(super) fn compared(&self) -> Compared<'_> {
        Compared {
            store: &self.store,
            model: &*self.model,
        }
    }

    pub(super) fn marks(&self) -> BTreeSet<CoverageMark> {
        self.marks.lock().unwrap().clone()
    }

    fn see(&self, mark: CoverageMark) {
        self.marks.lock().unwrap().insert(mark);
    }

    fn below(&self, bound: u64) -> u64 {
        self.chance.lock().unwrap().below(bound)
    }

    /// Acts as the background thread of the store: mostly does nothing or what is due, and sometimes acts early.
    fn advance_in_background(&self) {
        if self.store.has_failed() {
            return;
        }
        let done = match self.below(self.patience) {
            0 => self.store.advance(),
            1 => self.store.make_room(),
            drawn if drawn % 4 == 0 => self.store.go_on(),
            _ => Ok(()),
        };
        done.expect("the disk has no fault");
    }

    /// Breaks the disk while `act` runs. Returns the error of the store, unless the store notices nothing.
    fn break_down(&self, act: impl FnOnce() -> Result<()>) -> Option<Error> {
        self.store.disk().set_fuse(Some(self.below(4)));
        let failed = act().err();
        self.store.disk().set_fuse(None);
        failed
    }

    fn now(&self) -> Snapshot<'_> {
        Snapshot {
            twin: self,
            store: self.store.view(),
            model: Store::snapshot(&*self.model),
        }
    }

    /// Records the read of a row that is on its way to the base while newer rows exist.
    fn look_at(&self, key: &[u8]) {
        if self.store.is_materializing() && self.store.is_frozen(key) {
            self.see(CoverageMark::RowOfAFrozenFront);
        }
    }

    /// Compares the rows that a commit has changed. A snapshot from before the commit shows none of the changes.
    fn compare_changes(&self, batch: &Batch, before: Option<&Snapshot<'_>>) -> Result<()> {
        for change in batch.changes() {
            let (key, _) = change.parts();
            let newest = self.compared().get(key)?;
            if let Some(before) = before {
                let old = before.compared().get(key)?;
                if old.is_some() && old != newest {
                    self.see(CoverageMark::OldRowInASnapshot);
                }
            }
        }
        Ok(())
    }
}

impl Meanwhile for Twin {
    fn go_on(&self) {
        match self.below(40) {
            // The error is dropped: if the disk breaks, the callers that wait for it receive an error as well.
            0..4 => drop(self.store.advance_beside_the_log()),
            4 => self.compared().all(),
            _ => {}
        }
    }
}

impl Store for Twin {
    fn write(&self, batch: &Batch) -> Result<()> {
        self.advance_in_background();
        if !self.store.has_failed() {
            // Make room now: store and model are equal only while neither is ahead.
            self.store.have_room().expect("the disk has no fault");
        }
        let before = (self.below(15) == 0).then(|| self.now());
        if let Err(ordered) = self.model.write(batch) {
            let failed = self.break_down(|| self.store.materialize());
            return Err(failed.map_or(ordered, |_| self.store.write(batch).expect_err("the store has failed")));
        }
        self.store.write(batch).expect("the disk has no fault");
        if let Some(before) = before {
            // The snapshot is open while the commit moves to the base.
            for _ in 0..self.below(5) {
                self.store.advance().expect("the disk has no fault");
            }
            before.compared().all();
            self.compare_changes(batch, Some(&before))?;
            self.compared().all();
            return Ok(());
        }
        self.compare_changes(batch, None)
    }

    fn sync(&self) -> Result<()> {
        self.advance_in_background();
        match self.model.sync() {
            Ok(()) => self.store.sync(),
            Err(ordered) => Err(self.break_down(|| self.store.sync()).unwrap_or(ordered)),
        }
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        assert!(
            commit <= self.store.durable(),
            "the commit {commit} is acknowledged but not durable"
        );
        self.model.acknowledge(commit)
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        self.advance_in_background();
        Box::new(self.now())
    }

    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()> {
        self.model.checkpoint(directory, commit)
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    fn close(&self, commit: u64) -> Result<()> {
        self.sync()?;
        self.store.materialize()?;
        self.model.close(commit)
    }
}

impl Reader for Twin {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.advance_in_background();
        self.look_at(key);
        self.compared().get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.advance_in_background();
        keys.iter().for_each(|key| self.look_at(key));
        self.compared().get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.advance_in_background();
        self.compared().visit(range, visitor)
    }
}

/// A snapshot of both. The background thread of the store continues between the reads of a snapshot.
struct Snapshot<'a> {
    twin: &'a Twin,
    store: Box<dyn Reader + 'a>,
    model: Box<dyn Reader + 'a>,
}

impl Snapshot<'_> {
    fn compared(&self) -> Compared<'_> {
        Compared {
            store: &*self.store,
            model: &*self.model,
        }
    }
}

impl Reader for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.twin.advance_in_background();
        self.twin.look_at(key);
        self.compared().get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.twin.advance_in_background();
        keys.iter().for_each(|key| self.twin.look_at(key));
        self.compared().get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.twin.advance_in_background();
        self.compared().visit(range, visitor)
    }
}
