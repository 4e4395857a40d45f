//! A store without a worker thread. The test performs its work step by step and so decides what happens in between.

use super::volatile::Volatile;
use super::*;
use crate::log::FileLog;
use crate::log::tests::memory::{Chance, Memory};

#[derive(Debug)]
pub(crate) struct ByHand {
    store: Durable<FileLog<Memory>, Volatile>,
    disk: Memory,
    passage: Mutex<Passage>,
}

/// The progress of a front on its way to the base.
#[derive(Debug)]
enum Passage {
    /// No front is on its way.
    Rest,
    Frozen(u64, Option<Arc<Front>>),
    /// The base has it, and the log still has its records.
    Brought(u64),
}

impl ByHand {
    pub(super) fn new(store: Durable<FileLog<Memory>, Volatile>, disk: Memory) -> Self {
        Self {
            store,
            disk,
            passage: Mutex::new(Passage::Rest),
        }
    }

    pub(crate) fn write(&self, batch: &Batch) -> Result<()> {
        self.have_room()?;
        self.store.write(batch)
    }

    /// Performs the work that a write would wait for.
    pub(crate) fn have_room(&self) -> Result<()> {
        if self.store.is_full() {
            self.materialize()?;
            assert!(!self.store.is_full(), "a write waits forever");
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.store.sync()
    }

    pub(crate) fn view(&self) -> Box<dyn Reader + '_> {
        Box::new(self.store.view())
    }

    /// Performs one due task, as the worker thread would.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.is_materializing() {
            return self.advance();
        }
        let next = self.store.next(&self.store.state());
        match next {
            Some(Task::MakeRoom) => self.make_room(),
            Some(Task::Materialize) => self.advance(),
            Some(Task::End) | None => Ok(()),
        }
    }

    /// Performs the next step of a materialization, whether it is due or not.
    pub(crate) fn advance(&self) -> Result<()> {
        self.advance_from(&mut self.passage())
    }

    /// Like [`advance`](Self::advance), for calls made while another caller waits for the log. Does nothing if the step
    /// itself would wait for the log.
    pub(crate) fn advance_beside_the_log(&self) -> Result<()> {
        // The caller that waits for the log may be the one that materializes.
        let Ok(mut passage) = self.passage.try_lock() else {
            return Ok(());
        };
        let waits = match &*passage {
            Passage::Rest => false,
            Passage::Frozen(commit, _) => *commit > self.durable(),
            Passage::Brought(_) => true,
        };
        if waits { Ok(()) } else { self.advance_from(&mut passage) }
    }

    fn advance_from(&self, passage: &mut Passage) -> Result<()> {
        self.store.check()?;
        *passage = match &*passage {
            Passage::Rest => {
                let (commit, front) = self.store.freeze();
                Passage::Frozen(commit, front)
            }
            Passage::Frozen(commit, front) => {
                let front = front.as_deref();
                self.done(front.map_or(Ok(()), |front| self.store.bring(front)))?;
                Passage::Brought(*commit)
            }
            Passage::Brought(commit) => {
                self.done(self.store.keep(*commit))?;
                Passage::Rest
            }
        };
        Ok(())
    }

    /// Moves all commits written so far to the base.
    pub(crate) fn materialize(&self) -> Result<()> {
        while self.is_materializing() {
            self.advance()?;
        }
        (0..3).try_for_each(|_| self.advance())
    }

    pub(crate) fn make_room(&self) -> Result<()> {
        self.store.check()?;
        self.done(self.store.log.make_room())
    }

    /// Returns the newest written commit.
    pub(crate) fn newest(&self) -> u64 {
        self.store.fronts.newest()
    }

    /// Returns the newest durable commit.
    pub(crate) fn durable(&self) -> u64 {
        self.store.state().durable
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.store.check().is_err()
    }

    pub(crate) fn is_materializing(&self) -> bool {
        !matches!(*self.passage(), Passage::Rest)
    }

    /// Returns `true` if the base has rows whose records the log has yet to discard.
    pub(crate) fn is_to_trim(&self) -> bool {
        matches!(*self.passage(), Passage::Brought(_))
    }

    /// Returns `true` if the newest value of a key is in a front on its way to the base.
    pub(crate) fn is_frozen(&self, key: &[u8]) -> bool {
        self.store.fronts.is_frozen(key)
    }

    pub(crate) fn disk(&self) -> &Memory {
        &self.disk
    }

    /// Returns the base as the next process finds it.
    pub(super) fn base_survives(&self, chance: &mut Chance) -> Model {
        self.store.base.survives(chance)
    }

    /// Fails the store on an error, as the worker thread does.
    fn done(&self, done: Result<()>) -> Result<()> {
        done.inspect_err(|error| self.store.fail(error))
    }

    fn passage(&self) -> MutexGuard<'_, Passage> {
        self.passage.lock().unwrap()
    }
}

impl Reader for ByHand {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.store.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.store.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.store.visit(range, visitor)
    }
}
