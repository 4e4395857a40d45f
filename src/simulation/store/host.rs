//! The machine of a run: how its processes end, what they leave behind, and how the next ones begin.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::twin::Twin;
use crate::log::tests::memory::Chance;
use crate::simulation::sights::{Sight, Story};
use crate::store::{ByHand, Machine, Model, Sizes, Store};

/// After how many operations of the disk a process dies, if it still does something then.
const LAST_OPERATIONS: [u64; 8] = [0, 0, 1, 1, 2, 3, 5, 8];

/// How often a process may die while it opens the store, before one lives.
const MOST_DEATHS: u64 = 3;

pub(in crate::simulation) struct Host {
    machine: Machine,
    /// Decides all that is left open here, and nothing else, so that a seed can be played without it.
    pub(in crate::simulation) chance: Chance,
    twin: Arc<Twin>,
    sights: BTreeSet<Sight>,
    story: Story,
}

impl Host {
    /// The first life. The model has nothing yet.
    pub(in crate::simulation) fn begin(model: &Arc<Model>, mut chance: Chance, story: Story) -> Self {
        let machine = Machine::default();
        let store = machine.open(machine.look(), sizes(&mut chance));
        let store = store.expect("nothing is wrong with the disk");
        let twin = Twin::new(store, Arc::clone(model), chance.fork());
        Self {
            machine,
            chance,
            twin,
            sights: BTreeSet::new(),
            story,
        }
    }

    /// The store of this life.
    pub(in crate::simulation) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.twin) as Arc<dyn Store>
    }

    /// Everything that there was to see until now.
    pub(in crate::simulation) fn sights(&self) -> BTreeSet<Sight> {
        &self.sights | &self.twin.sights()
    }

    /// The process ends and another one opens the store, which has exactly the commits up to one of them: one that was not
    /// acknowledged may be lost, unless `keeps_all`. Returns the model for what is left, and how many commits behind the last
    /// sync that is.
    pub(in crate::simulation) fn restart(&mut self, model: &Model, keeps_all: bool) -> (Arc<Model>, usize) {
        let written = self.twin.store.newest();
        let synced = written - model.unsynced() as u64;
        self.twin.compared().all();
        if keeps_all && !self.twin.store.has_failed() {
            self.twin.store.sync().expect("nothing is wrong with the disk");
        }
        let tears = self.die();
        let store = self.open(synced, written);
        let keep = (store.newest() - synced) as usize;
        let left = Arc::new(model.crash(keep));
        self.see(Sight::CrashBetweenWriteAndSync, tears && store.newest() < written);
        self.see(
            Sight::CrashThatKeepsAPart,
            (1..written - synced).contains(&(keep as u64)),
        );
        self.twin = Twin::new(store, Arc::clone(&left), self.chance.fork());
        (left, keep)
    }

    /// The process is gone, perhaps in the middle of something, and perhaps the power with it. Says whether the power went with what
    /// was written and not synced.
    fn die(&mut self) -> bool {
        self.sights.extend(self.twin.sights());
        let twin = Arc::clone(&self.twin);
        let store = &twin.store;
        let disk = self.machine.disk.clone();
        disk.set_fuse(Some(LAST_OPERATIONS[self.chance.below(8) as usize]));
        let (what, done) = match self.chance.below(8) {
            0..=2 => ("in a sync", store.sync()),
            3..=4 => ("in a materialization", store.materialize()),
            5 => ("while it makes room", store.make_room()),
            _ => ("at rest", Ok(())),
        };
        disk.set_fuse(None);
        disk.set_meanwhile(None);
        let is_cut = done.is_err();
        let loses_power = self.chance.one_in(2);
        self.story
            .tell(|| format!("the process dies {what}, in the middle: {is_cut}, and the power goes: {loses_power}"));
        self.see(Sight::SegmentRecycled, disk.renames() > 0);
        self.see(Sight::CrashInAMaterialization, store.is_materializing());
        self.see(Sight::CrashBetweenFlushAndTrim, store.is_to_trim());
        self.see(Sight::CrashWhileASegmentIsRecycled, disk.is_renaming());
        self.machine.kill(store, &mut self.chance);
        if loses_power {
            self.machine.lose_power(&mut self.chance);
        }
        loses_power && disk.is_unsynced()
    }

    /// Opens the store, again and again until a process survives that.
    fn open(&mut self, synced: u64, written: u64) -> ByHand {
        let mut newest = written;
        for deaths in 0.. {
            let found = self.machine.look();
            let there = synced..=newest;
            assert!(
                there.contains(&found.newest()),
                "{} is the newest of {there:?}",
                found.newest()
            );
            newest = found.newest();
            let fuse = self.chance.below(30);
            self.machine.disk.set_fuse((deaths < MOST_DEATHS).then_some(fuse));
            let opened = self.machine.open(found, sizes(&mut self.chance));
            self.machine.disk.set_fuse(None);
            if let Ok(store) = opened {
                return store;
            }
            self.story
                .tell(|| format!("the process dies while it opens the store, after {fuse} operations"));
            self.see(Sight::CrashInRecovery, true);
            self.see(Sight::CrashInRecoveryOfACrashInRecovery, deaths > 0);
            if self.chance.one_in(2) {
                self.machine.lose_power(&mut self.chance);
            }
        }
        unreachable!("some process survives")
    }

    fn see(&mut self, sight: Sight, seen: bool) {
        if seen {
            self.sights.insert(sight);
        }
    }
}

/// Draws how much a process holds: mostly so little that much is on its way all the time.
fn sizes(chance: &mut Chance) -> Sizes {
    let front_bytes = [1_000, 8_000, 30_000, 1 << 20][chance.below(4) as usize];
    let segment_bytes = [8 << 10, 8 << 10, 16 << 10, 64 << 10][chance.below(4) as usize];
    Sizes {
        front_bytes,
        segment_bytes,
        log_bytes: 4 * segment_bytes as u64,
    }
}
