//! The log in the model of a database, and the connection of one node to it.

use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use super::database::{Database, Done};
use super::world::{Bug, CoverageMark, World};
use crate::error::{Error, ErrorKind};
use crate::log::shared::{Chain, LogError, LogState, Record, SharedLog, Snapshot};

/// The greatest number of things that happen after a lost answer.
const OUTAGE: u64 = 10;

/// The connection of a node to the model of a database.
pub(super) trait Connection: fmt::Debug + Send + Sync {
    /// Returns the number of the node.
    fn node(&self) -> usize;

    /// Runs a statement as a session does: again, until its answer is heard, or for as long as it has patience.
    fn run<R>(&self, statement: impl Fn(&mut Database, Option<Bug>) -> Done<R>) -> Result<R, LogError>;
}

/// The log as a node sees it.
#[derive(Debug)]
pub(super) struct ModelLog<C>(pub(super) C);

/// The connection of a node of this simulation. Anything may happen before each attempt.
pub(super) struct NodeConnection {
    pub(super) world: Weak<World>,
    pub(super) node: usize,
}

impl fmt::Debug for NodeConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeConnection").field("node", &self.node).finish()
    }
}

impl Connection for NodeConnection {
    fn node(&self) -> usize {
        self.node
    }

    fn run<R>(&self, statement: impl Fn(&mut Database, Option<Bug>) -> Done<R>) -> Result<R, LogError> {
        let world = self.world.upgrade().expect("the world outlives its nodes");
        let is_disturbed = {
            let mut core = world.core();
            let chance = core.chances.disturbs;
            core.random.chance(chance)
        };
        if is_disturbed {
            world.disturb(self.node);
        }
        loop {
            let mut core = world.core();
            let (bug, loses_answer) = (core.bug, core.chances.loses_answer);
            if core.isolated.contains(&self.node) {
                let done = statement(&mut core.old_server.clone(), bug);
                if !done.has_written {
                    core.see(CoverageMark::OldServer);
                    core.misled.insert(self.node);
                    return Ok(done.answer);
                }
                // No standby confirms the write, so the node looks for another server.
                core.isolated.remove(&self.node);
            }
            let done = statement(&mut core.primary, bug);
            let is_heard = !core.random.chance(loses_answer);
            // The answer to a write waits for the standby.
            if done.has_written && (is_heard || core.random.chance(50)) {
                core.standby = core.primary.clone();
            }
            if is_heard {
                return Ok(done.answer);
            }
            core.see(CoverageMark::LostAnswer);
            let gives_up = core.chances.gives_up;
            if gives_up > 0 && core.random.chance(gives_up) {
                core.see(CoverageMark::GivenUp);
                let text = "the database cannot be reached";
                return Err(LogError::Failed(Error::new(ErrorKind::Io, text)));
            }
            // Much can happen until the node is connected again.
            let count = core.random.between(0, OUTAGE);
            drop(core);
            (0..count).for_each(|_| world.disturb(self.node));
        }
    }
}

impl<C: Connection> SharedLog for ModelLog<C> {
    fn append(&self, epoch: u64, record: &Record) -> Result<(), LogError> {
        self.0
            .run(|database, bug| database.append(epoch, self.0.node(), record, bug))?
    }

    fn confirm(&self, epoch: u64) -> Result<u64, LogError> {
        self.0.run(|database, _| database.confirm(epoch, self.0.node()))?
    }

    fn state(&self) -> Result<LogState, LogError> {
        self.0.run(|database, _| Done::read(database.state()))
    }

    fn barrier(&self) -> Result<LogState, LogError> {
        self.0.run(|database, bug| database.barrier(bug))
    }

    fn settle(&self, position: u64, chain: Chain) -> Result<bool, LogError> {
        self.0.run(|database, bug| database.settle(position, chain, bug))
    }

    fn read(&self, from: u64, bytes: usize) -> Result<Vec<Record>, LogError> {
        self.0.run(|database, _| Done::read(database.read(from, bytes)))
    }

    fn find(&self, commit: u64, from: u64) -> Result<Option<u64>, LogError> {
        self.0.run(|database, _| Done::read(database.find(commit, from)))
    }

    fn bytes(&self) -> Result<u64, LogError> {
        self.0.run(|database, _| Done::read(database.bytes()))
    }

    fn set_calm_since(&self, _epoch: u64, _batch: u64) -> Result<(), LogError> {
        unreachable!("the simulation has no crash counts")
    }

    fn put_part(&self, epoch: u64, position: u64, part: u32, body: &[u8]) -> Result<(), LogError> {
        self.0
            .run(|database, _| database.put_part(epoch, self.0.node(), (position, part), body))?
    }

    fn publish(&self, epoch: u64, snapshot: Snapshot, chain: Chain) -> Result<(), LogError> {
        let is_published = self
            .0
            .run(|database, bug| database.publish(epoch, self.0.node(), snapshot, chain, bug))?;
        if !is_published {
            return Err(LogError::WentBack {
                acknowledged: snapshot.position,
                found: self.confirm(epoch)?.min(snapshot.position - 1),
            });
        }
        self.0.run(|database, bug| {
            database.trim(snapshot, bug);
            Done::wrote(())
        })
    }

    fn part(&self, snapshot: Snapshot, part: u32) -> Result<Vec<u8>, LogError> {
        let found = self.0.run(|database, _| Done::read(database.part(snapshot, part)))?;
        found.ok_or_else(|| LogError::Failed(Error::new(ErrorKind::Corrupted, "a part of the snapshot is missing")))
    }

    fn release(&self, epoch: u64, _patience: Duration) -> Result<(), LogError> {
        self.0.run(|database, _| {
            database.release(epoch, self.0.node());
            Done::wrote(())
        })
    }
}
