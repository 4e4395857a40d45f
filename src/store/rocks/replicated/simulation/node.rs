//! A node: what it does, and what it must answer.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use uuid::Uuid;

use super::super::copy::Limits;
use super::super::follow::{self, CopySource};
use super::super::mark::Mark;
use super::super::open::take_over;
use super::super::replay::Replay;
use super::super::snapshot;
use super::super::store::OwnedStore;
use super::database::Done;
use super::log::{Connection, ModelLog, NodeConnection};
use super::world::{Bug, Core, CoverageMark, Rows, World, rows_after};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Log;
use crate::log::replicated::Appended;
use crate::log::shared::{Chain, LogState, SharedLog, Tenure};
use crate::model::{self, CommitRecord};
use crate::schema;
use crate::store::{Batch, Reader};

/// Number of keys that the commits change.
const KEYS: u64 = 12;

/// Size of a value, in bytes.
const VALUE: usize = 120;

/// Size of the log that a reopened copy may have to read, in bytes. A store wants to move its front at half of it.
const LOG_BYTES: u64 = 8 << 10;

/// Number of steps for which a reader of a waiting node has patience.
const READER_STEPS: u64 = 6;

const HUB: Uuid = Uuid::from_u128(7);

/// A node of the hub.
pub(super) struct Node {
    index: usize,
    directory: PathBuf,
    world: Weak<World>,
    stage: Stage,
    /// What the disk must remember of the log.
    remembers: Option<Memory>,
    /// A copy of the directory, and what it remembers.
    saved: Option<Option<Memory>>,
}

/// A record that the log has acknowledged.
#[derive(Clone, Copy, Debug)]
struct Memory {
    incarnation: u64,
    position: u64,
    chain: Chain,
}

enum Stage {
    Down,
    /// With the era in which it began to wait, or in which it last failed to follow.
    Waiting(Box<Option<Replay>>, u64),
    Owner(Box<Owner>),
}

/// A tenure.
struct Owner {
    durable: OwnedStore,
    appended: Arc<Appended>,
    tenure: Tenure,
    /// The era in which it began.
    era: u64,
    shared: Arc<dyn SharedLog>,
    /// The newest acknowledged commit, and the commits after it.
    synced: u64,
    unsynced: Vec<Arc<Vec<u8>>>,
}

impl Node {
    pub(super) fn new(index: usize, directory: PathBuf, world: Weak<World>) -> Self {
        Self {
            index,
            directory,
            world,
            stage: Stage::Down,
            remembers: None,
            saved: None,
        }
    }

    /// Ends the process.
    pub(super) fn kill(&mut self) {
        self.stage = Stage::Down;
    }

    /// Does something that a node may do now.
    pub(super) fn act(&mut self, world: &World) {
        let (choice, chances, is_other) = {
            let mut core = world.core();
            (core.random.below(100), core.chances, core.random.chance(50))
        };
        match &mut self.stage {
            Stage::Down if is_other && choice < chances.loses_copy => self.lose_copy(world),
            Stage::Owner(_) if is_other && choice < chances.takes_snapshot => self.take_snapshot(world),
            Stage::Down => match choice {
                8..14 => self.save(),
                14..20 => self.bring_back(world),
                20..60 => self.wait(world),
                _ => self.claim(world),
            },
            Stage::Waiting(..) => match choice {
                0..10 => self.kill(),
                10..65 if choice - 10 < chances.reads_waiting => self.read_waiting(world),
                10..65 => {
                    let steps = world.core().random.between(1, 6);
                    self.follow(world, steps);
                }
                _ => self.claim(world),
            },
            Stage::Owner(_) => match choice {
                0..45 => self.write(world),
                45..60 => {
                    self.sync(world);
                }
                60..75 => self.read(world),
                75..82 => {
                    self.materialize(world);
                }
                82..92 => self.note(world),
                92..95 => self.close(world),
                95..97 => self.find_damage(world),
                _ => {
                    self.record(world, "is killed");
                    self.kill();
                }
            },
        }
    }

    fn record(&self, world: &World, text: &str) {
        world.core().record(format!("node {} {text}", self.index));
    }

    fn log(&self) -> ModelLog<NodeConnection> {
        ModelLog(self.connection())
    }

    fn connection(&self) -> NodeConnection {
        NodeConnection {
            world: self.world.clone(),
            node: self.index,
        }
    }

    fn place(&self, world: &World) -> CopySource {
        let scale = world.core().scale;
        CopySource {
            directory: self.directory.clone(),
            hub: HUB,
            log: Arc::new(self.log()),
            limits: Limits {
                // Always or never, because the time of the machine is no part of the seed.
                note_interval: if self.index == 0 { Duration::ZERO } else { Duration::MAX },
                read_bytes: scale.read_bytes,
                ..Limits::new(4 << 20, LOG_BYTES)
            },
            canceled: Arc::new(AtomicBool::new(false)),
        }
    }

    fn lose_copy(&mut self, world: &World) {
        self.record(world, "loses its copy");
        world.core().see(CoverageMark::LostCopy);
        remove(&self.directory);
        self.remembers = None;
    }

    fn save(&mut self) {
        if self.directory.with_extension("old").exists() {
            // A replacement was interrupted, so the directory is not the copy.
            return;
        }
        let place = self.directory.with_extension("saved");
        remove(&place);
        copy_all(&self.directory, &place);
        self.saved = Some(self.remembers);
    }

    /// Replaces the copy by an older one, as somebody who restores a machine does.
    fn bring_back(&mut self, world: &World) {
        let Some(remembers) = self.saved.take() else { return };
        self.record(world, "gets an older copy back");
        world.core().see(CoverageMark::StaleCopy);
        remove(&self.directory);
        let place = self.directory.with_extension("saved");
        if place.exists() {
            std::fs::rename(place, &self.directory).expect("a directory can be renamed");
        }
        self.remembers = remembers;
    }

    fn wait(&mut self, world: &World) {
        self.stage = Stage::Waiting(Box::new(None), world.core().era);
    }

    /// Follows the log for some steps. Returns `true` if it has come to the end.
    fn follow(&mut self, world: &World, steps: u64) -> bool {
        let place = self.place(world);
        let Stage::Waiting(replay, era) = &mut self.stage else {
            return false;
        };
        let mut advanced = (0..steps).map(|_| follow::advance(replay, &place));
        match advanced.find(|advanced| !matches!(advanced, Ok(true))) {
            None | Some(Ok(true)) => false,
            Some(Ok(false)) => {
                self.remember_mark(world);
                self.record(world, "has followed");
                true
            }
            Some(Err(error)) => {
                let since = std::mem::replace(era, world.core().era);
                self.cannot_follow(world, since, &error);
                false
            }
        }
    }

    /// Checks the reason for which a node that has waited since an era cannot follow.
    fn cannot_follow(&self, world: &World, era: u64, error: &Error) {
        let mut core = world.core();
        core.record(format!("node {} cannot follow: {error}", self.index));
        let may_be_lost = core.has_lost || core.era != era;
        match error.kind() {
            ErrorKind::Corrupted if may_be_lost => core.see(CoverageMark::LossNoticed),
            ErrorKind::Io if core.chances.gives_up > 0 => {}
            _ => core.violate(format!("a node cannot follow although nothing is lost: {error}")),
        }
    }

    /// Reads all rows of a copy that follows the log, once it has what any node was acknowledged before.
    fn read_waiting(&mut self, world: &World) {
        let (least, before) = {
            let core = world.core();
            (core.acknowledged.len(), core.era)
        };
        // Without an answer, the reader waits.
        let Ok(state) = self.log().barrier() else { return };
        let place = self.place(world);
        let Stage::Waiting(replay, era) = &mut self.stage else {
            return;
        };
        let era = *era;
        if let Err(error) = follow::check_end(replay, &state, &place) {
            return self.cannot_follow(world, era, &error);
        }
        self.follow(world, READER_STEPS);
        let Stage::Waiting(replay, _) = &self.stage else { return };
        let skips = world.core().bug == Some(Bug::SkipBarrier);
        let state = if skips { LogState { head: 0, ..state } } else { state };
        let Some(found) = replay.as_ref().as_ref().and_then(|replay| replay.rows_at(&state)) else {
            return;
        };
        let seen = found.fronts.newest() as usize;
        let rows = all_rows(found.view().as_ref());
        let mut core = world.core();
        core.record(format!("node {} reads commit {seen} while it waits", self.index));
        core.see(CoverageMark::ReadOfWaiting);
        if core.era != before {
            return;
        }
        if seen < least {
            core.violate(format!("a read has commit {seen} after {least} was acknowledged"));
        }
        // What is not durable may be gone.
        let history = core.standby.history.get(..seen);
        if history.is_none_or(|history| rows != rows_after(history)) {
            core.violate(format!("a read returns other rows than the log has at commit {seen}"));
        }
    }

    /// Takes over what the disk remembers, which must not be less than before.
    fn remember_mark(&mut self, world: &World) {
        let mark = Mark::read(&self.directory).expect("the mark can be read");
        let now = mark.map(|mark| Memory {
            incarnation: mark.incarnation,
            position: mark.position,
            chain: mark.chain(),
        });
        if let (Some(before), Some(now)) = (self.remembers, now)
            && now.incarnation == before.incarnation
            && now.position < before.position
        {
            let text = format!("node {} remembers {now:?} after {before:?}", self.index);
            world.core().violate(text);
        }
        self.remembers = now;
    }

    /// Without faults, a node that is started follows the log to its end, runs the hub and answers.
    pub(super) fn come_to_rest(&mut self, world: &World) {
        self.kill();
        self.wait(world);
        // It may first find that a snapshot, or the acceptance of a loss, has replaced its copy.
        if !(0..10).any(|_| self.follow(world, 100)) {
            return world
                .core()
                .violate(format!("node {} cannot follow at the end", self.index));
        }
        self.claim(world);
        if !matches!(self.stage, Stage::Owner(_)) {
            return world
                .core()
                .violate(format!("node {} cannot run the hub at the end", self.index));
        }
        self.write(world);
        self.read(world);
        self.close(world);
    }

    /// Becomes the owner, if there is none or the owner seems to be dead, and opens the store.
    fn claim(&mut self, world: &World) {
        let seen = {
            let mut core = world.core();
            let (epoch, owner) = (core.primary.epoch, core.primary.owner);
            let suspects = core.chances.suspects;
            let is_taken = owner.is_some_and(|owner| owner != self.index);
            if is_taken && !core.random.chance(suspects) {
                return;
            }
            if is_taken {
                core.see(CoverageMark::Replaced);
            }
            epoch
        };
        // What the log has at the moment of the claim.
        let claimed = self.connection().run(|database, _| {
            let Done { answer, has_written } = database.claim(seen, self.index);
            Done {
                answer: answer.map(|tenure| (tenure, database.clone())),
                has_written,
            }
        });
        let Ok(Some((tenure, then))) = claimed else { return };
        let (acknowledged, era) = {
            let core = world.core();
            (core.acknowledged.clone(), core.era)
        };
        self.record(
            world,
            &format!("claims epoch {} at commit {}", tenure.epoch, tenure.log.commit),
        );
        let followed = match std::mem::replace(&mut self.stage, Stage::Down) {
            Stage::Waiting(replay, _) => *replay,
            _ => None,
        };
        let has_followed = followed.is_some();
        let from_the_first = LogState { head: 0, ..tenure.log };
        let reader = followed.as_ref().and_then(|replay| replay.rows_at(&from_the_first));
        let had_copy = self.directory.exists();
        let place = self.place(world);
        let opened = take_over(&place, &tenure, followed);
        let mut core = world.core();
        match opened {
            Ok((durable, appended)) => {
                core.record(format!("node {} owns the hub", self.index));
                if reader.is_some_and(|rows| !rows.is_taken_over()) {
                    core.violate("a reader does not learn that its rows are written now".to_owned());
                }
                if has_followed {
                    core.see(CoverageMark::TakeoverOfFollower);
                }
                if !had_copy && tenure.log.snapshot.is_some() {
                    core.see(CoverageMark::Restored);
                }
                let rows = rows(&durable);
                if rows != rows_after(&then.history) {
                    core.violate(format!("node {} opens other rows than the log has", self.index));
                }
                if !then.history.starts_with(&acknowledged) {
                    core.violate(format!("node {} opens without what was acknowledged", self.index));
                }
                let missed = self.remembers.filter(|memory| {
                    memory.incarnation == then.incarnation && !then.has(memory.position, memory.chain)
                });
                if let Some(memory) = missed {
                    core.violate(format!("node {} misses {memory:?} silently", self.index));
                }
                self.stage = Stage::Owner(Box::new(Owner {
                    durable,
                    appended,
                    tenure,
                    era,
                    shared: place.log,
                    synced: tenure.log.commit,
                    unsynced: Vec::new(),
                }));
            }
            Err(error) => {
                check_refusal(&mut core, self.index, (&tenure, era), &error);
            }
        }
    }

    fn owner(&mut self) -> &mut Owner {
        match &mut self.stage {
            Stage::Owner(owner) => owner,
            _ => unreachable!("only an owner does this"),
        }
    }

    /// Writes some commits.
    fn write(&mut self, world: &World) {
        // As the thread of the store does.
        if self.owner().durable.log().stats().live_bytes >= LOG_BYTES / 2 && !self.materialize(world) {
            return;
        }
        let owner = self.owner();
        let count = world.core().random.between(1, 4);
        for _ in 0..count {
            let commit = owner.synced + owner.unsynced.len() as u64 + 1;
            let mut core = world.core();
            let mut batch = Batch::default();
            for _ in 0..core.random.between(1, 3) {
                let key = [0, 1, core.random.below(KEYS) as u8];
                if core.random.chance(25) {
                    batch.delete(&key);
                } else {
                    let value: Vec<u8> = (0..VALUE).map(|_| core.random.below(256) as u8).collect();
                    batch.put(&key, &value);
                }
            }
            drop(core);
            let record = CommitRecord {
                number: commit,
                next_batch: commit + 1,
                ..CommitRecord::before_the_first(8)
            };
            batch.put(
                &schema::COMMIT,
                &model::encode(&record).expect("a commit can be encoded"),
            );
            owner.durable.write(&batch).expect("nothing has failed");
            owner.unsynced.push(Arc::new(batch.encoded().to_vec()));
        }
        if world.core().random.chance(50) {
            self.sync(world);
        }
    }

    /// Makes the commits durable. Returns `false` if the tenure has ended.
    fn sync(&mut self, world: &World) -> bool {
        let owner = self.owner();
        let synced = owner.durable.sync();
        if synced.is_ok() {
            let commits = std::mem::take(&mut owner.unsynced);
            world.core().acknowledge(owner.synced + 1, &commits);
            owner.synced += commits.len() as u64;
        }
        self.survives(world, synced)
    }

    /// Checks an error, which ends the tenure. As in the store, the copy then notes what the log has acknowledged.
    fn survives<T>(&mut self, world: &World, done: Result<T>) -> bool {
        let Err(error) = done else { return true };
        // A store that has failed returns the first error again.
        let index = self.index;
        let Owner { tenure, era, .. } = self.owner();
        check_refusal(&mut world.core(), index, (tenure, *era), &error);
        self.note(world);
        self.kill();
        false
    }

    /// Reads all rows, and answers if it may.
    fn read(&mut self, world: &World) {
        let least = world.core().acknowledged.len() as u64;
        let losses = world.core().losses;
        let owner = self.owner();
        let seen = owner.synced + owner.unsynced.len() as u64;
        let rows = rows(&owner.durable);
        let skips = world.core().bug == Some(Bug::SkipConfirm) && owner.unsynced.is_empty();
        if !skips && !self.sync(world) {
            return;
        }
        let mut core = world.core();
        // A loss in the meantime may have taken what was acknowledged.
        if seen < least && core.losses == losses {
            core.violate(format!("a read has commit {seen} after {least} was acknowledged"));
        }
        let history = core.primary.history.get(..seen as usize);
        if history.is_none_or(|history| rows != rows_after(history)) {
            core.violate(format!("a read returns other rows than the log has at commit {seen}"));
        }
    }

    /// Moves the commits to RocksDB. Returns `false` if the tenure has ended.
    fn materialize(&mut self, world: &World) -> bool {
        let done = self.owner().durable.materialize_next();
        // It makes durable what it moves.
        if done.is_ok() {
            self.sync(world)
        } else {
            self.survives(world, done)
        }
    }

    fn take_snapshot(&mut self, world: &World) {
        if !self.materialize(world) {
            return;
        }
        let part_bytes = world.core().scale.part_bytes;
        let owner = self.owner();
        let made = snapshot::make(
            owner.durable.base(),
            &owner.appended,
            owner.tenure.epoch,
            owner.shared.as_ref(),
            part_bytes,
        );
        let (tenure, era) = (owner.tenure, owner.era);
        let index = self.index;
        match made {
            Ok(Some(position)) => {
                self.record(world, &format!("has stored a snapshot at {position}"));
                world.core().see(CoverageMark::Snapshot);
            }
            Ok(None) => {}
            // The thread that makes snapshots only tries again.
            Err(error) => {
                let mut core = world.core();
                check_refusal(&mut core, index, (&tenure, era), &error);
            }
        }
    }

    /// A read finds damage in RocksDB, which ends the hub.
    fn find_damage(&mut self, world: &World) {
        self.record(world, "finds its copy damaged");
        world.core().see(CoverageMark::DamagedCopy);
        let damage = Error::new(ErrorKind::Corrupted, "a block is damaged");
        let found = self.owner().durable.base().noted::<()>(Err(damage));
        assert!(found.is_err());
        self.kill();
    }

    /// Makes the disk remember what the log has acknowledged.
    fn note(&mut self, world: &World) {
        let directory = self.directory.clone();
        let owner = self.owner();
        let incarnation = owner.tenure.log.incarnation;
        owner.durable.base().note_acknowledged().expect("the copy is good");
        let Some(newest) = owner.appended.newest() else { return };
        let mark = Mark::read(&directory).expect("the mark can be read");
        if mark.is_none_or(|mark| mark.position < newest.position) {
            world
                .core()
                .violate("the copy does not remember what was acknowledged".to_owned());
        }
        self.remembers = Some(Memory {
            incarnation,
            position: newest.position,
            chain: newest.chain,
        });
    }

    /// Shuts down.
    fn close(&mut self, world: &World) {
        if !self.materialize(world) {
            return;
        }
        self.record(world, "closes");
        let owner = self.owner();
        // If this fails, the others find that it is dead.
        let _ = owner.shared.release(owner.tenure.epoch, Duration::ZERO);
        self.kill();
    }
}

/// Checks the reason for which a node ends or refuses. Its tenure began in an era.
fn check_refusal(core: &mut Core, node: usize, (tenure, era): (&Tenure, u64), error: &Error) {
    core.record(format!("node {node} ends: {error}"));
    let is_owner = core.primary.epoch == tenure.epoch && core.primary.owner == Some(node);
    match error.kind() {
        ErrorKind::Replaced if !is_owner || core.losses > 0 => core.see(CoverageMark::Fenced),
        // The old server may have heard of a claim that the new one has not.
        ErrorKind::Replaced if core.misled.remove(&node) => core.see(CoverageMark::Fenced),
        ErrorKind::Corrupted if core.has_lost || core.era != era => core.see(CoverageMark::LossNoticed),
        ErrorKind::Io if core.chances.gives_up > 0 => {}
        _ => core.violate(format!("node {node} refuses although nothing is lost: {error}")),
    }
}

fn rows(store: &OwnedStore) -> Rows {
    all_rows(&store.view())
}

fn all_rows(view: &dyn Reader) -> Rows {
    let found = view.scan(Vec::new()..vec![0xff; 64], usize::MAX);
    found.expect("a good copy can be read").into_iter().collect()
}

/// Removes a copy, and what an interrupted replacement has left of it.
pub(super) fn remove(directory: &Path) {
    let (old, gone) = (directory.with_extension("old"), directory.with_extension("gone"));
    for directory in [directory, &old, &gone] {
        if directory.exists() {
            std::fs::remove_dir_all(directory).expect("a directory can be removed");
        }
    }
}

pub(super) fn copy_all(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else { return };
    std::fs::create_dir_all(to).expect("a directory can be made");
    for entry in entries {
        let entry = entry.expect("a directory can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
