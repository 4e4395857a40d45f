//! Locks of entities, for the critical sections of orchestrations.
//!
//! A request for locks visits the entities one after the other, in a fixed order that all requests share. Therefore two
//! requests never wait for each other. At each entity, the request waits in the queue like any other message. A locked
//! entity processes only messages of the owner. Messages of other senders wait as rows. Orders that end a lock bypass
//! the queue, and need neither the state nor the code of the entity.
//!
//! The request contains the ids that it has not visited, and a lock knows only its owner. Therefore memory and rows
//! grow linearly with the number of ids. A request becomes a row where it waits and where it moves to another core. The
//! order makes such moves rare.

use std::collections::VecDeque;

use crate::engine::call_result::{Unanswered, lock_lost};
use crate::engine::core_step::CoreStep;
use crate::engine::ctx::Ctx;
use crate::engine::mailbox::Mailbox;
use crate::engine::message::{Message, Origin, Response};
use crate::engine::partition::Partitions;
use crate::engine::queue::Withdrawn;
use crate::engine::requests::{remember, settle_repeated};
use crate::engine::turn::EntityTurn;
use crate::error::Result;
use crate::id::InstanceId;
use crate::maps::InstanceMap;
use crate::model::orchestration::{LockId, LockOrder, LockRecord, Order};
use crate::model::{self, Action, Outcome, RequestOutcome};
use crate::schema;
use crate::store::Reader;

/// The locked entities of a core. A locked entity processes only messages of the owner of its lock.
#[derive(Debug, Default)]
pub(super) struct Locks(InstanceMap<LockRecord>);

impl Locks {
    /// Reads the locks of the partitions.
    pub(super) fn open(partitions: &Partitions, reader: &dyn Reader) -> Result<Self> {
        let mut locks = InstanceMap::default();
        for partition in partitions.owned() {
            for (key, value) in reader.scan(schema::lock::all(partition.id), usize::MAX)? {
                if let Some(id) = schema::id_of(&key) {
                    locks.insert(id, model::decode(&value, "lock")?);
                }
            }
        }
        Ok(Self(locks))
    }

    pub(super) fn is_locked(&self, id: &InstanceId) -> bool {
        self.0.contains_key(id)
    }

    /// Refuses a call from a critical section that no longer holds the lock of the entity.
    pub(super) fn check(&self, message: &Message) -> Result<(), Unanswered> {
        let Origin::Step(owner, asked) = &message.origin else {
            return Ok(());
        };
        let Some(sequence) = asked.lock else {
            return Ok(());
        };
        let holds = self.0.get(&message.target).is_some_and(|lock| {
            let LockId {
                instance,
                execution,
                sequence: held,
            } = &lock.owner;
            instance == owner && *execution == asked.execution && *held == sequence
        });
        if holds {
            Ok(())
        } else {
            Err(lock_lost(&message.target, owner))
        }
    }

    fn is_owned_by(&self, id: &InstanceId, owner: &LockId) -> bool {
        self.0.get(id).is_some_and(|lock| lock.owner == *owner)
    }

    fn insert(&mut self, id: &InstanceId, lock: LockRecord) {
        self.0.insert(id.clone(), lock);
    }

    fn remove(&mut self, id: &InstanceId) -> Option<LockRecord> {
        self.0.remove(id)
    }
}

impl EntityTurn<'_> {
    /// Lets arrived messages wait behind a lock until the step ends. If the lock is released before that, no row is
    /// needed. Reads of clients do not wait, as while an `async` operation runs, because they see the committed state.
    pub(super) fn wait_locked(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        for message in std::mem::take(&mut self.mailbox.arrivals) {
            if self.is_read_of_client(&message) {
                self.operate(message, ctx)?;
            } else {
                self.mailbox.arrivals.push_back(message);
            }
        }
        if !self.mailbox.arrivals.is_empty() {
            ctx.step.behind_locks.push(self.id.clone());
        }
        Ok(())
    }
}

/// Processes a message about the lock of an entity. Returns the message if it has to wait for the next step.
pub(super) fn process_lock_order(
    id: &InstanceId,
    mailbox: &mut Mailbox,
    mut message: Message,
    ctx: &mut Ctx<'_>,
) -> Result<Option<Message>> {
    let Action::Lock(order) = &mut message.action else {
        unreachable!("only messages about locks come here");
    };
    match &mut **order {
        LockOrder::Take { owner, rest } => take_lock(id, owner, std::mem::take(rest), ctx)?,
        LockOrder::Release { owner, rest } => match release_lock(id, mailbox, owner, ctx)? {
            Released::Here => {}
            Released::Further => pass_release(id, owner, std::mem::take(rest), ctx.step),
            Released::Later => return Ok(Some(message)),
        },
        LockOrder::Force => force_lock(&message, ctx)?,
    }
    mailbox.consume(&message, ctx);
    Ok(None)
}

/// Executes the orders that end locks at an entity that runs no operation now, because it is blocked or an `async`
/// operation runs. Returns `true` if an order remains for the next step.
pub(super) fn process_releases(id: &InstanceId, mailbox: &mut Mailbox, ctx: &mut Ctx<'_>) -> Result<bool> {
    if !mailbox.read_priority(id, ctx)? {
        return Ok(true);
    }
    let mut later = false;
    let mut kept = VecDeque::new();
    while let Some(message) = mailbox.priority.pop_front() {
        if !passes(&message, &kept, mailbox.is_running()) {
            kept.push_back(message);
            continue;
        }
        ctx.step.trace.clone_from(&message.trace);
        if let Some(message) = process_lock_order(id, mailbox, message, ctx)? {
            kept.push_back(message);
            later = true;
        }
    }
    mailbox.priority = kept;
    Ok(later)
}

/// Locks an entity and forwards the request to the next one, or notifies the owner after the last one. The entity is not
/// locked: a locked one takes only messages with priority (`EntityTurn::process_messages`), and a request has none.
fn take_lock(id: &InstanceId, owner: &LockId, mut rest: VecDeque<InstanceId>, ctx: &mut Ctx<'_>) -> Result<()> {
    let lock = LockRecord {
        owner: owner.clone(),
        since: ctx.step.now,
    };
    debug_assert!(!ctx.locks.is_locked(id), "`{id}` is locked by another owner");
    let key = schema::lock::key(ctx.settings.partition_of(id), id);
    ctx.step.put(&key, &lock)?;
    ctx.locks.insert(id, lock);
    let (target, action) = match rest.pop_front() {
        Some(next) => {
            let owner = owner.clone();
            (next, Action::Lock(Box::new(LockOrder::Take { owner, rest })))
        }
        None => {
            let order = Order::Completed {
                execution: owner.execution,
                sequence: owner.sequence,
                outcome: Outcome::Answer(b"null".to_vec()),
            };
            (owner.instance.clone(), Action::Order(Box::new(order)))
        }
    };
    ctx.step.send(id, target, action);
    Ok(())
}

/// Withdraws a request for locks, whether it was granted here or still waits.
///
/// Before the whole request is granted, the release follows it from entity to entity and never overtakes it. If the
/// release finds the request waiting, it goes no further. Otherwise the request has moved on, and the release follows.
fn release_lock(id: &InstanceId, mailbox: &mut Mailbox, owner: &LockId, ctx: &mut Ctx<'_>) -> Result<Released> {
    if ctx.locks.is_owned_by(id, owner) {
        unlock(id, ctx);
        return Ok(Released::Further);
    }
    Ok(match mailbox.withdraw(id, |message| asks_for(message, owner), ctx)? {
        Withdrawn::Yes(_) => Released::Here,
        Withdrawn::Later => Released::Later,
        // An operator released this lock by force after the request had moved on.
        Withdrawn::No => Released::Further,
    })
}

/// Releases a lock for an operator. The answer is `true` if there was one.
fn force_lock(message: &Message, ctx: &mut Ctx<'_>) -> Result<()> {
    if settle_repeated(message, ctx)? {
        return Ok(());
    }
    let id = &message.target;
    let lock = unlock(id, ctx);
    if let Some(LockRecord { owner, .. }) = &lock {
        tracing::warn!(entity = %id, owner = %owner.instance, "a lock is released by force");
        let order = Order::LockLost {
            execution: owner.execution,
            lock: owner.sequence,
            entity: id.clone(),
        };
        ctx.step
            .send(id, owner.instance.clone(), Action::Order(Box::new(order)));
    }
    let answer: Vec<u8> = if lock.is_some() { "true" } else { "false" }.into();
    remember(message, RequestOutcome::Ended(Outcome::Answer(answer.clone())), ctx)?;
    if let Some(token) = message.token() {
        ctx.step.settle(token, Response::Answer(answer));
    }
    Ok(())
}

fn unlock(id: &InstanceId, ctx: &mut Ctx<'_>) -> Option<LockRecord> {
    let lock = ctx.locks.remove(id)?;
    ctx.step
        .batch
        .delete(&schema::lock::key(ctx.settings.partition_of(id), id));
    Some(lock)
}

/// The result of a release at one entity.
enum Released {
    /// The request waited here and is withdrawn.
    Here,
    /// The request has moved on from here.
    Further,
    /// Only the next step of the core can decide.
    Later,
}

/// Forwards the release of a request to the next entity.
fn pass_release(id: &InstanceId, owner: &LockId, mut rest: VecDeque<InstanceId>, step: &mut CoreStep) {
    if let Some(next) = rest.pop_front() {
        let owner = owner.clone();
        let action = Action::Lock(Box::new(LockOrder::Release { owner, rest }));
        step.send(id, next, action);
    }
}

/// Returns `true` if a message may be processed before `kept`, which wait until the entity runs operations again.
fn passes(message: &Message, kept: &VecDeque<Message>, is_running: bool) -> bool {
    let Action::Lock(order) = &message.action else {
        return false;
    };
    match &**order {
        LockOrder::Take { .. } => false,
        LockOrder::Force => true,
        // A running operation ends soon, and then the entity processes the calls that its owner sent before the
        // release. The duration of a block is unknown.
        LockOrder::Release { owner, .. } => {
            let is_of_owner =
                |waits: &Message| matches!(&waits.origin, Origin::Step(caller, _) if *caller == owner.instance);
            !is_running || !kept.iter().any(is_of_owner)
        }
    }
}

/// Returns `true` if a message is the request for locks of `owner`.
fn asks_for(message: &Message, owner: &LockId) -> bool {
    match &message.action {
        Action::Lock(order) => matches!(&**order, LockOrder::Take { owner: asking, .. } if asking == owner),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
