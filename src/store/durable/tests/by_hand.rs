//! A store without a thread of its own: whoever tests does its work, a piece at a time, and so decides what comes in between.

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

/// How far a front has come on its way to the base.
#[derive(Debug)]
enum Passage {
    /// None is on its way.
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

    /// Does the work for which a write would wait.
    pub(crate) fn have_room(&self) -> Result<()> {
        if self.store.is_full() {
            self.materialize()?;
            assert!(!self.store.is_full(), "a write waits for ever");
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.store.sync()
    }

    pub(crate) fn view(&self) -> Box<dyn Reader + '_> {
        Box::new(self.store.view())
    }

    /// Does one thing of what is due, as the store's thread would.
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

    /// Does the next piece of a materialization, due or not.
    pub(crate) fn advance(&self) -> Result<()> {
        self.advance_from(&mut self.passage())
    }

    /// The same while somebody waits for the log, unless it would have to wait for the log, too.
    pub(crate) fn advance_beside_the_log(&self) -> Result<()> {
        // Whoever waits for the log may be the one that materializes.
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

    /// Brings everything to the base that was written until now.
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

    /// The newest commit that was written.
    pub(crate) fn newest(&self) -> u64 {
        self.store.fronts.newest()
    }

    /// The newest durable commit.
    pub(crate) fn durable(&self) -> u64 {
        self.store.state().durable
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.store.check().is_err()
    }

    pub(crate) fn is_materializing(&self) -> bool {
        !matches!(*self.passage(), Passage::Rest)
    }

    /// Whether the base has rows whose records the log still has to give up.
    pub(crate) fn is_to_trim(&self) -> bool {
        matches!(*self.passage(), Passage::Brought(_))
    }

    /// Whether the newest value of a key is in a front that is on its way to the base.
    pub(crate) fn is_frozen(&self, key: &[u8]) -> bool {
        self.store.fronts.is_frozen(key)
    }

    pub(crate) fn disk(&self) -> &Memory {
        &self.disk
    }

    /// What the base is for the next process.
    pub(super) fn base_survives(&self, chance: &mut Chance) -> Model {
        self.store.base.survives(chance)
    }

    /// As the store's thread does: an error stops everything.
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
