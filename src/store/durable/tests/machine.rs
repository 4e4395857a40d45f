//! A machine in memory, on which the processes of one store live and die.

use super::by_hand::ByHand;
use super::volatile::{Volatile, commit_of};
use super::*;
use crate::log::tests::HUB;
use crate::log::tests::memory::{Chance, Memory};
use crate::log::{FileLog, Reading, read_on};
use crate::store::Changes;

/// The state that outlives the processes: the disk of the log and the durable rows of the base.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) disk: Memory,
    pub(super) base: Model,
}

/// The state that a process finds at its start, before it changes anything.
pub(crate) struct Found {
    pub(super) kept: u64,
    fronts: Fronts,
    reading: Reading,
}

/// The sizes of the buffers of a process.
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

    /// Opens the store. It fails only if the power is lost.
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

    /// Ends the process. Its writes remain unless the power is also lost.
    pub(crate) fn kill(&mut self, store: &ByHand, chance: &mut Chance) {
        self.base = store.base_survives(chance);
    }

    pub(crate) fn lose_power(&mut self, chance: &mut Chance) {
        self.disk = self.disk.crash(chance);
    }
}

impl Found {
    /// Returns the newest commit that was found.
    pub(crate) fn newest(&self) -> u64 {
        self.fronts.newest()
    }
}
