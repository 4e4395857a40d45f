//! A turn: one instance processes the messages that wait for it.

use std::sync::Arc;

use crate::engine::code::EntityCode;
use crate::engine::core::Core;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::message::{Message, Output};
use crate::engine::operation::caught;
use crate::engine::queue::Next;
use crate::engine::states::Entity;
use crate::engine::step::Step;
use crate::error::Result;
use crate::id::InstanceId;
use crate::store::records::{self, Action, StateRecord};
use crate::store::{Reader, keys};

/// How many states are read at once while nothing is known of their size.
const FIRST_STATES: usize = 8;

/// The most states that are read at once. More would be no faster: RocksDB looks up 32 keys together.
const MOST_STATES: usize = 32;

/// What a turn works on: an instance with its code, its state and its messages, taken out of the core's maps.
pub(super) struct Turn<'a> {
    pub(super) id: &'a InstanceId,
    pub(super) code: Arc<dyn EntityCode>,
    pub(super) entity: Entity,
    pub(super) mailbox: Box<Mailbox>,
}

impl Core {
    /// Runs one turn. Says whether the instance has to run again in the next step.
    pub(super) fn turn(&mut self, id: &InstanceId, step: &mut Step, reader: &dyn Reader) -> Result<bool> {
        let Some(mut mailbox) = self.take_mailbox(id) else {
            return Ok(false);
        };
        mailbox.ready = false;
        step.counts.turns += 1;
        let (mut mailbox, again) = if id.is_entity() {
            self.entity_turn(id, mailbox, step, reader)?
        } else {
            let again = self.orchestrate(id, &mut mailbox, step, reader)?;
            (mailbox, again)
        };
        // Of a blocked instance nobody knows when there is room: who waits for it comes again, and hears why not.
        let has_room = mailbox.waiting_count <= self.limits.queue / 2;
        if mailbox.refused && (has_room || !(matches!(mailbox.block, Block::Open) || mailbox.block.is_running())) {
            mailbox.refused = false;
            step.outputs.push(Output::Room { instance: id.clone() });
        }
        // Rows of it that this step consumed are still in the store: it must not be forgotten before they are gone.
        let remember = mailbox.touched_in == step.number && self.partition(self.partition_of(id)).backlog_covers(id);
        if remember || !mailbox.is_idle() {
            self.put_mailbox(id, mailbox);
        } else {
            self.keep_spare(mailbox);
        }
        // Counted now, so that every step lets one turn happen.
        step.held += std::mem::take(&mut step.loaded_bytes);
        step.trace = None;
        for message in std::mem::take(&mut step.outbound) {
            self.route(message, step, reader)?;
        }
        Ok(again || remember)
    }

    /// Lets an entity process its messages. Says whether it has to run again in the next step.
    fn entity_turn(
        &mut self,
        id: &InstanceId,
        mut mailbox: Box<Mailbox>,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<(Box<Mailbox>, bool)> {
        match self.begin_turn(id, &mut mailbox, step, reader)? {
            Some((code, entity)) => {
                let mut turn = Turn {
                    id,
                    code,
                    entity,
                    mailbox,
                };
                let again = self.process_messages(&mut turn, step, reader)?;
                turn.entity.weigh(&step.encodings);
                self.states.put(id, turn.entity);
                Ok((turn.mailbox, again))
            }
            None => {
                let later = self.process_releases(id, &mut mailbox, step, reader)?;
                self.wait_blocked(id, &mut mailbox, step, reader)?;
                Ok((mailbox, later))
            }
        }
    }

    /// Finds code and state of an entity. Nothing if it is blocked, now or since before.
    fn begin_turn(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<(Arc<dyn EntityCode>, Entity)>> {
        if matches!(mailbox.block, Block::Quarantined(_) | Block::Held | Block::Unregistered) {
            return Ok(None);
        }
        let Some(code) = self.registry.entity(id.entity_name()).cloned() else {
            self.process_releases(id, mailbox, step, reader)?;
            if !mailbox.is_idle() {
                mailbox.block = Block::Unregistered;
                self.tell_of_unregistered_entity(id, step, reader)?;
            }
            return Ok(None);
        };
        if let Some(entity) = self.states.take(id) {
            return Ok(Some((code, entity)));
        }
        match self.load_entity(id, &code, step, reader)? {
            Ok(entity) => {
                self.end_quarantine(id, step);
                Ok(Some((code, entity)))
            }
            // The copy that the operation works on may yet take its place; the end of the operation comes back here.
            Err(_) if mailbox.block.is_running() => Ok(None),
            Err(reason) => {
                self.quarantine(id, mailbox, &reason, step, reader)?;
                Ok(None)
            }
        }
    }

    /// Reads the state of an entity; the inner error says why it does not decode.
    pub(super) fn load_entity(
        &mut self,
        id: &InstanceId,
        code: &Arc<dyn EntityCode>,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Result<Entity, String>> {
        let row = match step.loaded.remove(id) {
            Some(row) => row,
            None => reader.get(&keys::state(self.partition_of(id), id))?,
        };
        let Some(row) = row else {
            return Ok(Ok(Entity::absent()));
        };
        step.counts.loads += 1;
        step.loaded_bytes += row.len();
        let state = match records::decode::<StateRecord>(&row, "state") {
            Ok(record) => record.state,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let decoded =
            caught(|| code.decode(state)).unwrap_or_else(|panic| Err(format!("its decoder panicked: {panic}")));
        Ok(decoded.map(|object| Entity::present(object, state)))
    }

    /// Reads the states that the turns of `page` will want, many at once.
    pub(super) fn load(&mut self, page: &[InstanceId], step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let missing: Vec<&InstanceId> = page
            .iter()
            .filter(|id| id.is_entity() && !self.states.contains(id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut rest = missing.as_slice();
        let (mut at_once, mut room) = (FIRST_STATES, self.limits.batch_bytes);
        // What there is no room for now is read when its turn comes.
        while !rest.is_empty() && room > 0 {
            let (now, later) = rest.split_at(at_once.min(rest.len()));
            let keys: Vec<Vec<u8>> = now.iter().map(|id| keys::state(self.partition_of(id), id)).collect();
            let rows = reader.get_many(&keys)?;
            let bytes: usize = rows.iter().flatten().map(Vec::len).sum();
            for (id, row) in now.iter().zip(rows) {
                step.loaded.insert(InstanceId::clone(id), row);
            }
            room = room.saturating_sub(bytes);
            at_once = (room * now.len() / bytes.max(1)).clamp(1, MOST_STATES);
            rest = later;
        }
        Ok(())
    }

    /// Processes messages in order until there is none, the instance blocks, or the commit is full.
    fn process_messages(&mut self, turn: &mut Turn<'_>, step: &mut Step, reader: &dyn Reader) -> Result<bool> {
        while matches!(turn.mailbox.block, Block::Open) {
            if self.is_full(step) {
                return Ok(!turn.mailbox.is_idle());
            }
            let locked = self.is_locked(turn.id);
            let next = if locked {
                self.next_urgent(turn.id, &mut turn.mailbox, step, reader)?
            } else {
                self.next_message(turn.id, &mut turn.mailbox, step, reader)?
            };
            match next {
                Next::Message(message) => {
                    if !self.process(turn, message, step, reader)? {
                        return Ok(true);
                    }
                }
                Next::Later => return Ok(true),
                Next::Nothing => {
                    if locked {
                        self.wait_locked(turn, step, reader)?;
                    }
                    return Ok(false);
                }
            }
        }
        let later = self.process_releases(turn.id, &mut turn.mailbox, step, reader)?;
        if turn.mailbox.block.is_running() {
            self.wait_running(turn, step, reader)?;
        } else {
            self.wait_blocked(turn.id, &mut turn.mailbox, step, reader)?;
        }
        Ok(later)
    }

    /// Processes one message. Says whether that was possible in this step; if not, it is the next again.
    fn process(&mut self, turn: &mut Turn<'_>, message: Message, step: &mut Step, reader: &dyn Reader) -> Result<bool> {
        step.trace.clone_from(&message.trace);
        match &message.action {
            Action::Operation { .. } => self.operate(turn, message, step, reader)?,
            Action::Schedule { .. } | Action::Cancel { .. } => {
                if message.stored {
                    turn.mailbox.touched_in = step.number;
                }
                self.control(message, step, reader)?;
            }
            Action::Lock(_) => {
                let left = self.process_lock_order(turn.id, &mut turn.mailbox, message, step, reader)?;
                if let Some(message) = left {
                    turn.mailbox.return_first(message);
                    return Ok(false);
                }
            }
            // An entity has no use for it.
            Action::Order(_) => self.consume(&message, &mut turn.mailbox, step),
        }
        Ok(true)
    }

    /// Writes the rows of all states that the step changed.
    pub(super) fn write_states(&mut self, step: &mut Step) -> Result<()> {
        let mut key = Vec::new();
        let mut value = Vec::new();
        let mut dirty = std::mem::take(&mut step.dirty);
        // Rows that lie together are written together, which finds their places in RocksDB's memory in its caches.
        dirty.sort_by_cached_key(|id| self.partition_of(id));
        for id in dirty.drain(..) {
            let partition = self.partition_of(&id);
            let Some(entity) = self.states.get_mut(&id) else {
                continue;
            };
            if !std::mem::take(&mut entity.dirty) {
                continue;
            }
            keys::put_state(&mut key, partition, &id);
            if entity.object.is_some() {
                let record = StateRecord {
                    changed: step.now,
                    state: &step.encodings[entity.encoding.clone()],
                };
                records::encode_into(&record, &mut value)?;
                step.batch.put(&key, &value);
                entity.stored = true;
            } else if std::mem::take(&mut entity.stored) {
                step.batch.delete(&key);
            }
            entity.encoding = 0..0;
        }
        step.dirty = dirty;
        Ok(())
    }
}
