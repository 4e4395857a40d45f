//! Processes that were replaced and do not know it yet, as that of a node which another node took for dead.
//!
//! Such a process goes on with the rows that it knows. It receives the mail of its shard as its successor does, so it may hear
//! of messages that it has not sent, and may miss some that its successor has taken in. None of its commits becomes durable,
//! so nothing may leave it, and when it finds out why, the reason has to be that it was replaced.

use std::sync::Arc;

use super::coverage::CoverageMark;
use super::process::{Process, Released};
use super::store::Host;
use super::world::World;
use crate::commit::Gated;
use crate::engine::message::Message;
use crate::error::{Error, ErrorKind};
use crate::id::ShardId;
use crate::runtime::driver::Committed;
use crate::store::Model;

/// The number of replaced processes at most.
const MOST: usize = 4;

/// A process that was replaced and does not know it yet.
pub(super) struct Replaced {
    pub(super) shard: ShardId,
    pub(super) process: Process,
    /// True if mail has arrived since it was replaced.
    pub(super) has_mail: bool,
}

impl World {
    /// Returns whether the process goes on when the next one takes its place.
    pub(super) fn goes_on_as_replaced(&mut self) -> bool {
        let shards = &mut self.shards;
        shards.replaces
            && !self.process.failed
            && !self.process.has_left
            && shards.replaced.len() < MOST
            && shards.random.chance(60)
            && self.host.as_ref().is_none_or(Host::has_room_for_another)
    }

    /// The process that the world had before, with a model of its own now, goes on.
    pub(super) fn keep_as_replaced(&mut self, process: Process, model: &Model) {
        self.story.tell(|| {
            format!(
                "the process before goes on as one that was replaced: {:?}",
                self.shards.here
            )
        });
        // It ends for no other reason.
        model.withdraw_faults();
        model.replace();
        let shard = self.shards.here.id;
        let has_mail = false;
        self.shards.replaced.push(Replaced {
            shard,
            process,
            has_mail,
        });
    }

    /// Sometimes a replaced process goes on. Returns whether one did.
    pub(super) fn tick_replaced(&mut self) -> bool {
        if self.shards.replaced.is_empty() || !self.shards.random.chance(15) {
            return false;
        }
        let at = self.shards.random.index(self.shards.replaced.len());
        let mut replaced = self.shards.replaced.swap_remove(at);
        self.see(CoverageMark::ReplacedGoesOn, true);
        let ended = match self.shards.random.chance(20) {
            true => self.sync_replaced(&replaced),
            false => self.step_replaced(&mut replaced),
        };
        match ended {
            Ok(()) => self.shards.replaced.push(replaced),
            Err(error) => {
                self.story.tell(|| format!("a replaced process ends: {error}"));
                assert_eq!(
                    error.kind(),
                    ErrorKind::Replaced,
                    "a process was replaced and ends with: {error}"
                );
            }
        }
        true
    }

    fn sync_replaced(&self, replaced: &Replaced) -> Result<(), Error> {
        let released = replaced.process.order.sync();
        let error = released.error.expect("a replaced process makes nothing durable");
        Err(error)
    }

    /// Runs the executor of a replaced process once. Returns the error that ends it.
    fn step_replaced(&mut self, replaced: &mut Replaced) -> Result<(), Error> {
        let now = self.now;
        let process = &mut replaced.process;
        let order = Arc::clone(&process.order);
        let core = &mut process.cores[0];
        if core.step.is_none() {
            core.driver.receive(usize::MAX);
        }
        let step = match core.step.take() {
            Some(step) => step,
            None if !core.driver.has_work(now) => return Ok(()),
            None => {
                let view = core.driver.view(&order);
                match core.driver.step(view, &order, now, usize::MAX) {
                    Ok(step) => step,
                    Err(error) => {
                        assert!(replaced.has_mail, "a replaced process fails without any news: {error}");
                        self.see(CoverageMark::ReplacedSeesItsSuccessor, true);
                        return Err(error);
                    }
                }
            }
        };
        drop(process.slots.take_wakeups());
        let inbox = Arc::clone(&process.cores[0].inbox);
        let deliver = |message: Message, commit| inbox.deliver(message, commit);
        let wrap = |what| Released { ticket: 0, what };
        let committed = process.cores[0]
            .driver
            .commit(step, &order, &process.room, wrap, deliver);
        match committed {
            Ok(Committed::Read(Gated::Open(items))) => assert!(items.is_empty(), "a replaced process answers"),
            Ok(Committed::Read(Gated::Waiting) | Committed::Written) => {}
            Err((error, _)) => return Err(error),
        }
        Ok(())
    }
}
