//! The store of one process of a node, with the model beside it.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::compared::Compared;
use crate::error::{Error, ErrorKind, Result};
use crate::log::tests::memory::Chance;
use crate::simulation::coverage::Story;
use crate::store::{Batch, Model, Owner, Reader, Store, StoreStats, Visitor};

/// A backup of the database is made before one in this many syncs.
const BACKUPS: u64 = 8;

/// The store of an owner of a shard, and the model that defines its expected content. Snapshots are those of the model. Some of
/// them, and all other reads, compare the two.
#[derive(Debug)]
pub(super) struct NodeTwin {
    /// `None` once the process was killed.
    owner: Mutex<Option<Owner>>,
    model: Arc<Model>,
    chance: Mutex<Chance>,
    /// The copy takes what the log has before one in this many writes.
    patience: u64,
    story: Story,
    failed: Mutex<Option<Error>>,
}

impl NodeTwin {
    pub(super) fn new(owner: Owner, model: Arc<Model>, mut chance: Chance, story: Story) -> Arc<Self> {
        let patience = [10, 40, 300][chance.below(3) as usize];
        let twin = Arc::new(Self {
            owner: Mutex::new(Some(owner)),
            model,
            chance: Mutex::new(chance),
            patience,
            story,
            failed: Mutex::default(),
        });
        twin.compare_all();
        twin
    }

    /// Ends the process.
    pub(super) fn kill(&self) {
        *self.owner() = None;
    }

    pub(super) fn has_failed(&self) -> bool {
        lock(&self.failed).is_some()
    }

    /// Returns the newest commit that was written.
    pub(super) fn newest(&self) -> u64 {
        self.with_owner(Owner::newest)
    }

    /// Makes all commits durable in the log, without the model.
    pub(super) fn sync_owner(&self) -> Result<()> {
        self.with_owner(Owner::sync)
    }

    pub(super) fn materialize(&self) -> Result<()> {
        self.with_owner(Owner::materialize)
    }

    pub(super) fn take_snapshot(&self) -> Result<()> {
        self.materialize()?;
        self.with_owner(Owner::take_snapshot)
    }

    /// Ends the tenure, as a process that closes its store does.
    pub(super) fn release(&self) -> Result<()> {
        self.materialize()?;
        self.with_owner(Owner::release)
    }

    fn owner(&self) -> MutexGuard<'_, Option<Owner>> {
        lock(&self.owner)
    }

    fn with_owner<R>(&self, act: impl FnOnce(&Owner) -> R) -> R {
        act(self.owner().as_ref().expect("the process lives"))
    }

    fn below(&self, bound: u64) -> u64 {
        lock(&self.chance).below(bound)
    }

    /// Reads from both and compares, or from the model alone after the end of the process.
    fn compared<R>(&self, read: impl FnOnce(&dyn Reader) -> R) -> R {
        match self.owner().as_ref() {
            Some(owner) => read(&self.compared_with(owner)),
            None => read(self.model.as_ref()),
        }
    }

    pub(super) fn compare_all(&self) {
        self.with_owner(|owner| self.compared_with(owner).all());
    }

    fn compared_with<'a>(&'a self, owner: &'a Owner) -> Compared<'a> {
        Compared {
            store: owner,
            model: self.model.as_ref(),
        }
    }

    /// Acts as the background threads of the store.
    fn act_in_background(&self) -> Result<()> {
        match self.below(self.patience) {
            0 => self.materialize(),
            1 => {
                self.materialize()?;
                // The thread that makes snapshots only tries again.
                if let Err(error) = self.with_owner(Owner::take_snapshot) {
                    self.assert_replaced(&error);
                }
                Ok(())
            }
            2 => {
                self.compare_all();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Notes the error that ends the process.
    fn fail<T>(&self, error: Error) -> Result<T> {
        self.story.tell(|| format!("a node fails: {error}"));
        lock(&self.failed).get_or_insert_with(|| error.clone());
        Err(error)
    }

    /// Checks an error of a process that may end only because it was replaced.
    fn survives(&self, done: Result<()>) -> Result<()> {
        let Err(error) = done else { return Ok(()) };
        self.assert_replaced(&error);
        self.fail(error)
    }

    fn assert_replaced(&self, error: &Error) {
        let is_replaced = self.model.is_replaced() && error.kind() == ErrorKind::Replaced;
        assert!(is_replaced, "a process fails without a reason: {error}");
    }

    /// Fails a sync, because the database is out of reach or has gone back to an earlier state. The commits may be in the log
    /// nevertheless.
    fn sync_with_a_fault(&self) -> Error {
        let goes_back = self.below(3) > 0;
        let over_a_backup = goes_back.then(|| self.with_owner(Owner::sync_over_a_backup)).flatten();
        if let Some(synced) = over_a_backup {
            let error = synced.expect_err("a commit was acknowledged by a database that lacks others");
            // The backup may be older than the tenure.
            assert!(
                matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Replaced),
                "{error}"
            );
            return error;
        }
        let synced = self.with_owner(Owner::sync_without_an_answer);
        let error = synced.expect_err("a sync that is never answered is acknowledged");
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        error
    }
}

impl Store for NodeTwin {
    fn write(&self, batch: &Batch) -> Result<()> {
        if let Some(error) = lock(&self.failed).clone() {
            return Err(error);
        }
        self.survives(self.act_in_background())?;
        if let Err(ordered) = self.model.write(batch) {
            if self.below(2) == 0 {
                self.with_owner(Owner::find_damage);
            }
            return self.fail(ordered);
        }
        let written = self.with_owner(|owner| owner.write(batch));
        self.survives(written)?;
        for change in batch.changes() {
            let (key, _) = change.parts();
            self.get(key)?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        if let Some(error) = lock(&self.failed).clone() {
            return Err(error);
        }
        if self.below(BACKUPS) == 0 {
            self.with_owner(Owner::back_up);
        }
        let written = self.newest();
        match self.model.sync() {
            Ok(()) => {
                self.sync_owner().expect("the tenure has not ended");
                let durable = self.with_owner(Owner::newest_on_standby);
                assert!(durable >= written, "{durable} of {written} commits are on the standby");
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Replaced => {
                let synced = self.sync_owner();
                assert!(synced.is_err(), "a process that was replaced makes something durable");
                self.survives(synced)
            }
            Err(_) => {
                let error = self.sync_with_a_fault();
                self.fail(error)
            }
        }
    }

    fn confirms_reads(&self) -> bool {
        true
    }

    fn confirm(&self) -> Result<()> {
        if self.model.has_a_fault_for_syncs() && self.below(2) == 0 {
            let error = self.sync_with_a_fault();
            return self.fail(error);
        }
        let confirmed = self.with_owner(Owner::confirm);
        let expected = self.model.confirm();
        assert_eq!(
            confirmed.is_ok(),
            expected.is_ok(),
            "a process says of itself that it owns the shard: {confirmed:?}"
        );
        self.survives(confirmed)
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        let durable = self.with_owner(Owner::newest_on_standby);
        assert!(
            commit <= durable,
            "the commit {commit} is acknowledged, and the standby has {durable}"
        );
        self.model.acknowledge(commit)
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        if !self.has_failed() && self.below(4 * self.patience) == 0 {
            self.compare_all();
        }
        Store::snapshot(self.model.as_ref())
    }

    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()> {
        self.model.checkpoint(directory, commit)
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    fn close(&self, commit: u64) -> Result<()> {
        self.sync()?;
        self.model.close(commit)
    }
}

impl Reader for NodeTwin {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.compared(|reader| reader.get(key))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.compared(|reader| reader.get_many(keys))
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.compared(|reader| reader.visit(range, visitor))
    }
}

/// Ignores poisoning: after a panic, the run is over.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
