//! Many lives of a log on a disk that fails at any moment and keeps any part of the unsynced writes.

use super::super::reading::read_on;
use super::super::segment::START;
use super::super::{FileLog, Log, Reading};
use super::HUB;
use super::memory::{Chance, Memory, each_seed};
use crate::error::Result;

/// A log through all its lives, and the data that it must preserve.
struct Lives {
    chance: Chance,
    disk: Memory,
    /// The appended changes by commit, starting with commit 1.
    truth: Vec<Vec<u8>>,
    /// The newest acknowledged commit.
    acknowledged: u64,
    /// The newest commit that is kept elsewhere.
    kept: u64,
    life: u64,
}

impl Lives {
    fn begin(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            disk: Memory::default(),
            truth: Vec::new(),
            acknowledged: 0,
            kept: 0,
            life: 0,
        }
    }

    fn changes(&mut self) -> Vec<u8> {
        let length = match self.chance.below(20) {
            0 => 3 * START,
            1 => 0,
            _ => self.chance.below(900) as usize,
        };
        let mut bytes = vec![self.life as u8; length];
        bytes.extend_from_slice(&(self.truth.len() as u64 + 1).to_be_bytes());
        bytes
    }

    /// Reads the log as an open does, and compares it with the appended changes.
    fn read(&mut self) -> Reading {
        let (mut last, kept) = (self.kept, self.kept);
        let reading = read_on(&self.disk, HUB, kept, &mut |commit, changes| {
            assert_eq!(commit, last + 1);
            last = commit;
            assert_eq!(self.truth[commit as usize - 1], changes, "commit {commit}");
            Ok(())
        });
        let reading = reading.unwrap();
        assert_eq!(
            reading.damage, None,
            "{} were acknowledged, {kept} are kept",
            self.acknowledged
        );
        assert!(
            (self.acknowledged..=self.truth.len() as u64).contains(&reading.newest),
            "{} of {} to {}",
            reading.newest,
            self.acknowledged,
            self.truth.len()
        );
        reading
    }

    /// Simulates one life, which ends in a crash or a kill.
    fn live(&mut self) {
        self.life += 1;
        let reading = self.read();
        // Lost commits do not come back.
        self.truth.truncate(reading.newest as usize);
        let fuse = self.chance.one_in(3).then(|| self.chance.below(60));
        self.disk.set_fuse(fuse);
        if let Ok(log) = FileLog::open_on(self.disk.clone(), HUB, 2 * START, &reading, self.kept) {
            // All commits that were found count as acknowledged from now on.
            self.acknowledged = reading.newest;
            for _ in 0..self.chance.below(40) {
                if self.act(&log).is_err() {
                    break;
                }
            }
        }
        self.disk.set_fuse(None);
        // A process may also be killed at any point. Its writes remain until the power is lost.
        if self.chance.one_in(2) {
            self.disk = self.disk.crash(&mut self.chance);
        }
    }

    fn act(&mut self, log: &FileLog<Memory>) -> Result<()> {
        match self.chance.below(10) {
            0..=4 => {
                let changes = self.changes();
                self.truth.push(changes.clone());
                log.append(self.truth.len() as u64, &changes);
                Ok(())
            }
            5..=7 => {
                self.acknowledged = log.sync()?;
                Ok(())
            }
            8 => {
                // A base takes commits before it trims the log, and takes only durable ones.
                self.kept += self.chance.below(self.acknowledged - self.kept + 1);
                log.trim(self.kept)
            }
            _ if log.wants_room() || self.chance.one_in(4) => log.make_room(),
            _ => Ok(()),
        }
    }
}

/// After any crash, in many lives: all acknowledged commits are read back exactly, no lost commit of an earlier life
/// reappears in place of a new one, and a mere crash is never reported as damage.
#[test]
fn a_log_keeps_what_it_acknowledged_all_its_lives() {
    each_seed(600, |seed| {
        let mut lives = Lives::begin(seed);
        for _ in 0..12 {
            lives.live();
        }
        lives.read();
    });
}
