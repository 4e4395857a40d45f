//! A turn: one instance processes its waiting messages.

use std::sync::Arc;

use crate::engine::code::EntityCode;
use crate::engine::ctx::Ctx;
use crate::engine::locks::{process_lock_order, process_releases};
use crate::engine::mailbox::{BlockReason, Mailbox};
use crate::engine::mailboxes::Mailboxes;
use crate::engine::message::{Effect, Message, Output};
use crate::engine::operation::caught;
use crate::engine::orchestration::orchestrate;
use crate::engine::orchestration::tell_of_unregistered_entity;
use crate::engine::quarantine::{end_quarantine, quarantine};
use crate::engine::queue::Next;
use crate::engine::states::Entity;
use crate::engine::timers::control;
use crate::engine::waiting::wait_blocked;
use crate::error::Result;
use crate::id::InstanceId;
use crate::model::{self, Action, StateRecord};
use crate::schema;

/// Number of states in the first read, whose size is unknown.
const FIRST_STATES: usize = 8;

/// Maximum number of states in one read. Larger reads are not faster, because RocksDB looks up 32 keys together.
const MOST_STATES: usize = 32;

/// The subject of a turn: an entity with its code, its state and its mailbox, taken out of the core's maps.
pub(super) struct EntityTurn<'a> {
    pub(super) id: &'a InstanceId,
    pub(super) code: Arc<dyn EntityCode>,
    pub(super) entity: Entity,
    pub(super) mailbox: Box<Mailbox>,
}

/// Runs one turn. Returns `true` if the instance has to run again in the next step.
pub(super) fn turn(id: &InstanceId, mailboxes: &mut Mailboxes, ctx: &mut Ctx<'_>) -> Result<bool> {
    let Some(mut mailbox) = mailboxes.take(id, ctx.memory) else {
        return Ok(false);
    };
    mailbox.ready = false;
    ctx.step.counts.turns += 1;
    let (mut mailbox, again) = if id.is_entity() {
        entity_turn(id, mailbox, ctx)?
    } else {
        let again = orchestrate(id, &mut mailbox, ctx)?;
        (mailbox, again)
    };
    // It is unknown when a blocked instance will have room. Its waiting clients retry and receive the reason.
    let has_room = mailbox.waiting_count <= ctx.settings.limits.queue / 2;
    if mailbox.refused && (has_room || !(mailbox.block.is_none() || mailbox.is_running())) {
        mailbox.refused = false;
        ctx.step
            .outputs
            .push(Output::Effect(Effect::Room { instance: id.clone() }));
    }
    // The store still contains the rows that this step consumed. The mailbox must be kept until they are gone.
    let remember =
        mailbox.touched_in == ctx.step.number && ctx.partitions.get(ctx.settings.partition_of(id)).backlog_covers(id);
    if remember || !mailbox.is_idle() {
        mailboxes.put(id, mailbox, ctx.memory);
    } else {
        mailboxes.recycle(mailbox, ctx.settings);
    }
    // Counted only now, so every step runs at least one turn.
    ctx.step.held += std::mem::take(&mut ctx.step.loaded_bytes);
    ctx.step.trace = None;
    mailboxes.route_outbound(ctx)?;
    Ok(again || remember)
}

/// Reads the states for the turns of `page`, many in one read.
pub(super) fn load(page: &[InstanceId], ctx: &mut Ctx<'_>) -> Result<()> {
    let missing: Vec<&InstanceId> = page
        .iter()
        .filter(|id| id.is_entity() && !ctx.states.contains(id))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut rest = missing.as_slice();
    let (mut at_once, mut room) = (FIRST_STATES, ctx.settings.limits.batch_bytes);
    // States that do not fit are read in their own turn.
    while !rest.is_empty() && room > 0 {
        let (now, later) = rest.split_at(at_once.min(rest.len()));
        let keys: Vec<Vec<u8>> = now
            .iter()
            .map(|id| schema::state::key(ctx.settings.partition_of(id), id))
            .collect();
        let rows = ctx.reader.get_many(&keys)?;
        let bytes: usize = rows.iter().flatten().map(Vec::len).sum();
        for (id, row) in now.iter().zip(rows) {
            ctx.step.loaded.insert(InstanceId::clone(id), row);
        }
        room = room.saturating_sub(bytes);
        at_once = (room * now.len() / bytes.max(1)).clamp(1, MOST_STATES);
        rest = later;
    }
    Ok(())
}

impl EntityTurn<'_> {
    /// Processes messages in order until none is left, the instance blocks, or the commit is full. Returns `true` if
    /// the instance has to run again in the next step.
    fn process_messages(&mut self, ctx: &mut Ctx<'_>) -> Result<bool> {
        while self.mailbox.block.is_none() {
            if ctx.is_full() {
                return Ok(!self.mailbox.is_idle());
            }
            let locked = ctx.locks.is_locked(self.id);
            let next = if locked {
                self.mailbox.next_priority(self.id, ctx)?
            } else {
                self.mailbox.next_message(self.id, ctx)?
            };
            match next {
                Next::Message(message) => {
                    if !self.process(message, ctx)? {
                        return Ok(true);
                    }
                }
                Next::Later => return Ok(true),
                Next::Nothing => {
                    if locked {
                        self.wait_locked(ctx)?;
                    }
                    return Ok(false);
                }
            }
        }
        let later = process_releases(self.id, &mut self.mailbox, ctx)?;
        if self.mailbox.is_running() {
            self.wait_running(ctx)?;
        } else {
            wait_blocked(self.id, &mut self.mailbox, ctx)?;
        }
        Ok(later)
    }

    /// Processes one message. Returns `false` if this is not possible in this step. Then the message is at the front
    /// again.
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<bool> {
        ctx.step.trace = ctx.trace_of_operation(&message);
        match &message.action {
            Action::Operation { .. } => self.operate(message, ctx)?,
            Action::Schedule { .. } | Action::Cancel { .. } => {
                if message.stored {
                    self.mailbox.touched_in = ctx.step.number;
                }
                control(message, ctx)?;
            }
            Action::Lock(_) => {
                let left = process_lock_order(self.id, &mut self.mailbox, message, ctx)?;
                if let Some(message) = left {
                    self.mailbox.return_first(message);
                    return Ok(false);
                }
            }
            // Orders are for orchestrations. An entity ignores them.
            Action::Order(_) => self.mailbox.consume(&message, ctx),
        }
        Ok(true)
    }
}

/// Runs one turn of an entity. Returns the mailbox, and `true` if the entity has to run again in the next step.
fn entity_turn(id: &InstanceId, mut mailbox: Box<Mailbox>, ctx: &mut Ctx<'_>) -> Result<(Box<Mailbox>, bool)> {
    match begin_turn(id, &mut mailbox, ctx)? {
        Some((code, entity)) => {
            let mut turn = EntityTurn {
                id,
                code,
                entity,
                mailbox,
            };
            let again = turn.process_messages(ctx)?;
            turn.entity.weigh(&ctx.step.encodings);
            ctx.states.put(id, turn.entity);
            Ok((turn.mailbox, again))
        }
        None => {
            let later = process_releases(id, &mut mailbox, ctx)?;
            wait_blocked(id, &mut mailbox, ctx)?;
            Ok((mailbox, later))
        }
    }
}

/// Returns the code and state of an entity. Returns `None` if the entity is blocked, whether newly or since an earlier
/// turn.
fn begin_turn(
    id: &InstanceId,
    mailbox: &mut Mailbox,
    ctx: &mut Ctx<'_>,
) -> Result<Option<(Arc<dyn EntityCode>, Entity)>> {
    if matches!(
        mailbox.block,
        Some(BlockReason::Quarantined(_) | BlockReason::Held | BlockReason::Unregistered)
    ) {
        return Ok(None);
    }
    let Some(code) = ctx.settings.registry.entity(id.entity_name()).cloned() else {
        process_releases(id, mailbox, ctx)?;
        if !mailbox.is_idle() {
            mailbox.block = Some(BlockReason::Unregistered);
            tell_of_unregistered_entity(id, ctx)?;
        }
        return Ok(None);
    };
    if let Some(entity) = ctx.states.take(id) {
        return Ok(Some((code, entity)));
    }
    match load_entity(id, &code, ctx)? {
        Ok(entity) => {
            end_quarantine(id, ctx);
            Ok(Some((code, entity)))
        }
        // The copy that the running operation changes may still replace the state. The end of the operation starts
        // another turn.
        Err(_) if mailbox.is_running() => Ok(None),
        Err(reason) => {
            quarantine(id, mailbox, &reason, ctx)?;
            Ok(None)
        }
    }
}

/// Reads the state of an entity. The inner error describes why it does not decode.
pub(super) fn load_entity(
    id: &InstanceId,
    code: &Arc<dyn EntityCode>,
    ctx: &mut Ctx<'_>,
) -> Result<Result<Entity, String>> {
    let row = match ctx.step.loaded.remove(id) {
        Some(row) => row,
        None => ctx.reader.get(&schema::state::key(ctx.settings.partition_of(id), id))?,
    };
    let Some(row) = row else {
        return Ok(Ok(Entity::absent()));
    };
    ctx.step.counts.loads += 1;
    ctx.step.loaded_bytes += row.len();
    let state = match model::decode::<StateRecord>(&row, "state") {
        Ok(record) => record.state,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let decoded = caught(|| code.decode(state)).unwrap_or_else(|panic| Err(format!("its decoder panicked: {panic}")));
    Ok(decoded.map(|object| Entity::present(object, state)))
}

/// Writes the rows of all states that the step changed.
pub(super) fn write_states(ctx: &mut Ctx<'_>) -> Result<()> {
    let mut key = Vec::new();
    let mut value = Vec::new();
    let mut dirty = std::mem::take(&mut ctx.step.dirty);
    // Adjacent rows are written together, so the lookups of their positions in RocksDB's memory hit the caches.
    dirty.sort_by_cached_key(|id| ctx.settings.partition_of(id));
    for id in dirty.drain(..) {
        let partition = ctx.settings.partition_of(&id);
        let Some(entity) = ctx.states.get_mut(&id) else {
            continue;
        };
        if !std::mem::take(&mut entity.dirty) {
            continue;
        }
        schema::state::put_key(&mut key, partition, &id);
        if entity.object.is_some() {
            let record = StateRecord {
                changed: ctx.step.now,
                state: &ctx.step.encodings[entity.encoding.clone()],
            };
            model::encode_into(&record, &mut value)?;
            ctx.step.batch.put(&key, &value);
            entity.stored = true;
            ctx.step.note_entity(&id);
        } else if std::mem::take(&mut entity.stored) {
            ctx.step.batch.delete(&key);
            ctx.step.note_entity(&id);
        }
        entity.encoding = 0..0;
    }
    ctx.step.dirty = dirty;
    Ok(())
}
