//! A machine in memory, on which the processes of one store live and die.

use super::by_hand::ByHand;
use super::volatile::{Volatile, commit_of};
use super::*;
use crate::log::tests::HUB;
use crate::log::tests::memory::{Chance, Memory};
use crate::log::{FileLog, Reading, read_on};
use crate::store::Changes;

/// What outlives the processes: the disk of the log, and what the base has on it.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) disk: Memory,
    pub(super) base: Model,
}

/// What a process finds at its start, before it changes anything.
pub(crate) struct Found {
    pub(super) kept: u64,
    fronts: Fronts,
    reading: Reading,
}

/// How much a process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) front_bytes: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) log_bytes: u64,
}

impl Machine {
    pub(crate) fn look(&self) -> Found {
        let kept = commit_of(&self.base);
        let fronts = Fronts::over(kept);
        let reading = read_on(&self.disk, HUB, kept, &mut |_, changes| {
            fronts.apply(Changes::of(changes), |_| {});
            Ok(())
        });
        let reading = reading.unwrap();
        assert_eq!(reading.damage, None);
        Found { kept, fronts, reading }
    }

    /// Opens the store. It fails where the power goes, and no other way.
    pub(crate) fn open(&self, found: Found, sizes: Sizes) -> Result<ByHand> {
        let Found { kept, fronts, reading } = found;
        let base = Volatile::over(self.disk.clone(), &self.base);
        let log = FileLog::open_on(self.disk.clone(), HUB, sizes.segment_bytes, &reading, kept)?;
        let bounds = Bounds {
            front_bytes: sizes.front_bytes,
            log_bytes: sizes.log_bytes,
        };
        let store = Durable::new(log, base, fronts, kept, bounds);
        Ok(ByHand::new(store, self.disk.clone()))
    }

    /// The process is gone. What it wrote is there, until the power goes, too.
    pub(crate) fn kill(&mut self, store: &ByHand, chance: &mut Chance) {
        self.base = store.base_survives(chance);
    }

    pub(crate) fn lose_power(&mut self, chance: &mut Chance) {
        self.disk = self.disk.crash(chance);
    }
}

impl Found {
    /// The newest commit that is there.
    pub(crate) fn newest(&self) -> u64 {
        self.fronts.newest()
    }
}
