//! The machine of a run: how its processes end, what they leave on the disk, and how the next ones begin.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::twin::Twin;
use crate::log::tests::memory::Chance;
use crate::simulation::coverage::{CoverageMark, Story};
use crate::store::{ByHand, Machine, Model, Sizes, Store};

/// Numbers of disk operations after which a process dies, unless it stops earlier.
const LAST_OPERATIONS: [u64; 8] = [0, 0, 1, 1, 2, 3, 5, 8];

/// Maximum number of successive processes that die while they open the store.
const MOST_DEATHS: u64 = 3;

/// A hub on one machine.
pub(in crate::simulation) struct MachineHost {
    machine: Machine,
    /// Makes the choices that only a machine requires, so that a seed can also be played without one.
    pub(super) chance: Chance,
    twin: Arc<Twin>,
    marks: BTreeSet<CoverageMark>,
    story: Story,
}

impl MachineHost {
    /// Starts the first process, with an empty model.
    pub(super) fn begin(model: &Arc<Model>, mut chance: Chance, story: Story) -> Self {
        let machine = Machine::default();
        let store = machine.open(machine.look(), sizes(&mut chance));
        let store = store.expect("the disk has no fault");
        let twin = Twin::new(store, Arc::clone(model), chance.fork());
        Self {
            machine,
            chance,
            twin,
            marks: BTreeSet::new(),
            story,
        }
    }

    /// Returns the store of this process.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.twin) as Arc<dyn Store>
    }

    /// Returns all marks so far.
    pub(super) fn marks(&self) -> BTreeSet<CoverageMark> {
        &self.marks | &self.twin.marks()
    }

    /// Ends the process and starts another one, which opens the store. A prefix of the commits survives: commits after
    /// the last sync may be lost, unless `keeps_all` is set. Returns the model of the surviving commits, and the number
    /// of them that follow the last sync.
    pub(super) fn restart(&mut self, model: &Model, keeps_all: bool) -> (Arc<Model>, usize) {
        let written = self.twin.store.newest();
        let synced = written - model.unsynced() as u64;
        self.twin.compared().all();
        if keeps_all && !self.twin.store.has_failed() {
            self.twin.store.sync().expect("the disk has no fault");
        }
        let tears = self.die();
        let store = self.open(synced, written);
        let keep = (store.newest() - synced) as usize;
        let left = Arc::new(model.crash(keep));
        self.see(
            CoverageMark::CrashBetweenWriteAndSync,
            tears && store.newest() < written,
        );
        self.see(
            CoverageMark::CrashThatKeepsAPart,
            (1..written - synced).contains(&(keep as u64)),
        );
        self.twin = Twin::new(store, Arc::clone(&left), self.chance.fork());
        (left, keep)
    }

    /// Kills the process, possibly in the middle of an operation and possibly together with the power. Returns whether
    /// the power failed while written data was not synced.
    fn die(&mut self) -> bool {
        self.marks.extend(self.twin.marks());
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
            .tell(|| format!("the process dies {what}; interrupted: {is_cut}, power failure: {loses_power}"));
        self.see(CoverageMark::SegmentRecycled, disk.renames() > 0);
        self.see(CoverageMark::CrashInAMaterialization, store.is_materializing());
        self.see(CoverageMark::CrashBetweenFlushAndTrim, store.is_to_trim());
        self.see(CoverageMark::CrashWhileASegmentIsRecycled, disk.is_renaming());
        self.machine.kill(store, &mut self.chance);
        if loses_power {
            self.machine.lose_power(&mut self.chance);
        }
        loses_power && disk.is_unsynced()
    }

    /// Opens the store repeatedly until a process survives.
    fn open(&mut self, synced: u64, written: u64) -> ByHand {
        let mut newest = written;
        for deaths in 0.. {
            let found = self.machine.look();
            let there = synced..=newest;
            assert!(
                there.contains(&found.newest()),
                "the newest commit is {}, outside of {there:?}",
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
            self.see(CoverageMark::CrashInRecovery, true);
            self.see(CoverageMark::CrashInRecoveryOfACrashInRecovery, deaths > 0);
            if self.chance.one_in(2) {
                self.machine.lose_power(&mut self.chance);
            }
        }
        unreachable!("a process without a fuse survives")
    }

    fn see(&mut self, mark: CoverageMark, seen: bool) {
        if seen {
            self.marks.insert(mark);
        }
    }
}

/// Draws the capacities of a process. Most are so small that rows are always in transit to the base.
fn sizes(chance: &mut Chance) -> Sizes {
    let front_bytes = [1_000, 8_000, 30_000, 1 << 20][chance.below(4) as usize];
    let segment_bytes = [8 << 10, 8 << 10, 16 << 10, 64 << 10][chance.below(4) as usize];
    Sizes {
        front_bytes,
        segment_bytes,
        log_bytes: 4 * segment_bytes as u64,
    }
}
