//! Locks of entities, for the critical sections of orchestrations.
//!
//! A request for locks travels from entity to entity, in an order that all requests keep, so that two of them never wait for
//! each other. At each entity it waits in line like any other message. An entity that is locked takes from its owner only;
//! what others send waits as rows. Whatever ends a lock passes the line, and needs neither the entity's state nor its code.
//!
//! The request carries the ids that are still ahead of it, and a lock knows its owner only. So memory and rows grow with the
//! number of ids. A request becomes a row where it waits and where it goes to another core, which the order makes rare.

use std::collections::VecDeque;

use crate::engine::core::Core;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::message::{Message, Origin, Settled};
use crate::engine::outcome::{Unanswered, lock_lost};
use crate::engine::queue::Withdrawn;
use crate::engine::step::Step;
use crate::engine::turn::Turn;
use crate::error::Result;
use crate::id::{InstanceId, PartitionId};
use crate::store::records::history::StepOutcome;
use crate::store::records::instance::{LockId, LockOrder, LockRecord, Order};
use crate::store::records::{self, Action, RequestOutcome};
use crate::store::{Reader, keys};

impl Core {
    /// Reads which entities of a partition are locked.
    pub(super) fn read_locks(&mut self, partition: PartitionId, reader: &dyn Reader) -> Result<()> {
        for (key, value) in reader.scan(keys::locks(partition), usize::MAX)? {
            if let Some(id) = keys::id_of(&key) {
                self.locks
                    .insert(InstanceId::trusted(id), records::decode(&value, "lock")?);
            }
        }
        Ok(())
    }

    /// Whether an entity takes no messages but those of the owner of its lock.
    pub(super) fn is_locked(&self, id: &InstanceId) -> bool {
        self.locks.contains_key(id)
    }

    /// Refuses a call from a critical section that does not hold the lock of the entity any more.
    pub(super) fn check_lock(&self, message: &Message) -> Result<(), Unanswered> {
        let Origin::Step(owner, asked) = &message.origin else {
            return Ok(());
        };
        let Some(sequence) = asked.lock else {
            return Ok(());
        };
        let holds = self.locks.get(&message.target).is_some_and(|lock| {
            let LockId {
                instance,
                execution,
                sequence: held,
            } = &lock.owner;
            instance == owner.as_str() && *execution == asked.execution && *held == sequence
        });
        if holds {
            Ok(())
        } else {
            Err(lock_lost(&message.target, owner))
        }
    }

    /// Processes a message about the lock of an entity. Gives it back if that has to wait for the next step.
    pub(super) fn process_lock_order(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        mut message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<Message>> {
        let Action::Lock(order) = &mut message.action else {
            return Ok(None);
        };
        match &mut **order {
            LockOrder::Take { owner, rest } => self.take_lock(id, owner, std::mem::take(rest), step)?,
            LockOrder::Release { owner, rest } => match self.release_lock(id, mailbox, owner, step, reader)? {
                Released::Here => {}
                Released::Further => pass_release(id, owner, std::mem::take(rest), step),
                Released::Later => return Ok(Some(message)),
            },
            LockOrder::Force => self.force_lock(&message, step, reader)?,
        }
        self.consume(&message, mailbox, step);
        Ok(None)
    }

    /// Carries out what ends locks at an entity that runs no operation now: it is blocked, or an `async` one runs. Says whether
    /// something is left to do in the next step.
    pub(super) fn process_releases(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<bool> {
        if !self.read_urgent(id, mailbox, step, reader)? {
            return Ok(true);
        }
        let mut later = false;
        let mut kept = VecDeque::new();
        while let Some(message) = mailbox.urgent.pop_front() {
            if !passes(&message, &kept, &mailbox.block) {
                kept.push_back(message);
                continue;
            }
            step.trace.clone_from(&message.trace);
            if let Some(message) = self.process_lock_order(id, mailbox, message, step, reader)? {
                kept.push_back(message);
                later = true;
            }
        }
        mailbox.urgent = kept;
        Ok(later)
    }

    /// Lets what arrived wait behind a lock until the step ends: the lock may go before, and then nothing needs a row. Clients'
    /// reads need not wait, as they need not while an `async` operation runs: they see the committed state.
    pub(super) fn wait_locked(&mut self, turn: &mut Turn<'_>, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        for message in std::mem::take(&mut turn.mailbox.arrivals) {
            if turn.is_read_of_client(&message) {
                self.operate(turn, message, step, reader)?;
            } else {
                turn.mailbox.arrivals.push_back(message);
            }
        }
        if !turn.mailbox.arrivals.is_empty() {
            step.behind_locks.push(turn.id.clone());
        }
        Ok(())
    }

    /// Gives rows to what still waits behind locks when no turn follows in this step.
    pub(super) fn admit_behind_locks(&mut self, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        for id in std::mem::take(&mut step.behind_locks) {
            if !self.is_locked(&id) {
                continue;
            }
            let Some(mut mailbox) = self.take_mailbox(&id) else {
                continue;
            };
            while let Some(message) = mailbox.arrivals.pop_front() {
                self.admit(&id, &mut mailbox, message, step, reader)?;
            }
            if mailbox.ready || !mailbox.is_idle() {
                self.put_mailbox(&id, mailbox);
            } else {
                self.keep_spare(mailbox);
            }
        }
        Ok(())
    }

    /// Locks an entity, and sends the request on to the next one, or tells the owner after the last.
    fn take_lock(
        &mut self,
        id: &InstanceId,
        owner: &LockId,
        mut rest: VecDeque<String>,
        step: &mut Step,
    ) -> Result<()> {
        let lock = LockRecord {
            owner: owner.clone(),
            since: step.now,
        };
        let key = keys::lock(self.partition_of(id), id);
        step.put(&key, &lock)?;
        self.locks.insert(id.clone(), lock);
        let (target, action) = match rest.pop_front() {
            Some(next) => {
                let owner = owner.clone();
                (next, Action::Lock(Box::new(LockOrder::Take { owner, rest })))
            }
            None => {
                let order = Order::Completed {
                    execution: owner.execution,
                    sequence: owner.sequence,
                    outcome: StepOutcome::Answer(b"null".to_vec()),
                };
                (owner.instance.clone(), Action::Order(Box::new(order)))
            }
        };
        step.send(id, InstanceId::trusted(target), action);
        Ok(())
    }

    /// Takes a request for locks back, whether it was granted here or still waits.
    ///
    /// Before the whole request is granted the release follows it from entity to entity, so that it never overtakes it: it finds
    /// it waiting, and then it goes no further, or it is on.
    fn release_lock(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        owner: &LockId,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Released> {
        if self.locks.get(id).is_some_and(|lock| lock.owner == *owner) {
            self.unlock(id, step);
            return Ok(Released::Further);
        }
        Ok(
            match self.withdraw(id, mailbox, |message| asks_for(message, owner), step, reader)? {
                Withdrawn::Yes(_) => Released::Here,
                Withdrawn::Later => Released::Later,
                // An operator released this lock by force, after the request had gone on.
                Withdrawn::No => Released::Further,
            },
        )
    }

    /// Releases a lock for an operator, who hears whether there was one.
    fn force_lock(&mut self, message: &Message, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        if self.settle_repeated(message, step, reader)? {
            return Ok(());
        }
        let id = &message.target;
        let lock = self.unlock(id, step);
        if let Some(LockRecord { owner, .. }) = &lock {
            tracing::warn!(entity = %id, owner = owner.instance, "a lock is released by force");
            let order = Order::LockLost {
                execution: owner.execution,
                lock: owner.sequence,
                entity: id.as_str().to_owned(),
            };
            let owner = InstanceId::trusted(owner.instance.as_str());
            step.send(id, owner, Action::Order(Box::new(order)));
        }
        let answer: Vec<u8> = if lock.is_some() { "true" } else { "false" }.into();
        self.remember(message, RequestOutcome::Answer(answer.clone()), step, reader)?;
        if let Some(token) = message.token() {
            step.settle(token, Settled::Answer(answer));
        }
        Ok(())
    }

    fn unlock(&mut self, id: &InstanceId, step: &mut Step) -> Option<LockRecord> {
        let lock = self.locks.remove(id)?;
        step.batch.delete(&keys::lock(self.partition_of(id), id));
        Some(lock)
    }
}

/// How far the release of a request has come at one entity.
enum Released {
    /// The request waited here and is gone.
    Here,
    /// The request has gone on from here.
    Further,
    /// The next step of the core will know.
    Later,
}

/// Sends the release of a request after it.
fn pass_release(id: &InstanceId, owner: &LockId, mut rest: VecDeque<String>, step: &mut Step) {
    if let Some(next) = rest.pop_front() {
        let owner = owner.clone();
        let action = Action::Lock(Box::new(LockOrder::Release { owner, rest }));
        step.send(id, InstanceId::trusted(next), action);
    }
}

/// Whether a message may be processed before `kept`, which wait until the entity runs operations again.
fn passes(message: &Message, kept: &VecDeque<Message>, block: &Block) -> bool {
    let Action::Lock(order) = &message.action else {
        return false;
    };
    match &**order {
        LockOrder::Take { .. } => false,
        LockOrder::Force => true,
        // The end of a running operation is near, and what its owner called before it released runs then. How long a block
        // lasts nobody knows.
        LockOrder::Release { owner, .. } => {
            let is_of_owner =
                |waits: &Message| matches!(&waits.origin, Origin::Step(caller, _) if caller.as_str() == owner.instance);
            !block.is_running() || !kept.iter().any(is_of_owner)
        }
    }
}

/// Whether a message is the request for locks of `owner`.
fn asks_for(message: &Message, owner: &LockId) -> bool {
    match &message.action {
        Action::Lock(order) => matches!(&**order, LockOrder::Take { owner: asking, .. } if asking == owner),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
