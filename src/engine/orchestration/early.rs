//! Events that came before the first turn of their orchestration. Bounded in number and bytes, delivered in pages.
//!
//! Beside each event, which may be large, lies a small row by which it is found and removed. A third one lies under the time
//! at which the event expires, so that old ones are found without a look at the others. It says when the event came: one that
//! came under a clock that was ahead lies behind all others, and expires when its time to live is over.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_bytes::ByteBuf;

use crate::engine::core::Core;
use crate::engine::mailbox::Block;
use crate::engine::message::Message;
use crate::engine::orchestration::events::TAKEN_IN;
use crate::engine::orchestration::instance::Instance;
use crate::engine::orchestration::turn::{EVENTS_OF_A_TURN, Gathered, Stage};
use crate::engine::step::Step;
use crate::engine::sweep::{INTERVAL, NEVER, broken};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::store::records;
use crate::store::records::history::Incoming;
use crate::store::records::instance::{EarlyCountRecord, EarlyEventRecord, EarlyPlaceRecord, Order};
use crate::store::{Reader, keys};
use crate::time::Timestamp;

/// Minimum time between two searches for events that came under a clock that was ahead.
const MISDATED_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// An event that waits, and where.
struct Early {
    message: MessageId,
    place: EarlyPlaceRecord,
    event: EarlyEventRecord,
}

/// The oldest events that wait for one orchestration.
struct Page {
    events: Vec<Early>,
    /// Whether more wait.
    more: bool,
}

impl Core {
    /// Keeps an event for an orchestration that has not begun.
    pub(super) fn keep_event(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        expires: Timestamp,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<Message>> {
        let Some(Order::Raise { name, payload, .. }) = message.order() else {
            return Ok(Some(message));
        };
        let event = EarlyEventRecord {
            name: name.clone(),
            payload: payload.clone(),
        };
        let place = EarlyPlaceRecord {
            expires,
            bytes: event.bytes(),
        };
        let mut count = self.early_count(stage.id, step, reader)?;
        count.events += 1;
        count.bytes += place.bytes;
        let refused = match message.can_be_refused() {
            true => self.refusal_of_early_event(stage.id, &count, place.bytes),
            false => None,
        };
        if let Some(error) = refused {
            self.finish(stage.id, stage.mailbox, message, Err(error.into()), step, reader)?;
            return Ok(None);
        }
        let partition = self.partition_of(stage.id);
        step.put(&keys::early_event(partition, stage.id, message.id), &event)?;
        let key = keys::early_place(partition, stage.id, message.id);
        step.put(&key, &place)?;
        step.early_events.insert(key, Some((place, event)));
        if expires < NEVER {
            let expiry = keys::early_expiry(partition, expires, stage.id, message.id);
            let now = step.now;
            step.put(&expiry, &now)?;
            let due = expires.max(step.now.after(INTERVAL));
            self.partition_mut(partition).early.look_at(due);
            self.next_sweep = self.next_sweep.min(due);
        }
        self.set_early_count(stage.id, count, step)?;
        let counters = self.partition_mut(partition);
        counters.record.early_events += 1;
        counters.record.early_bytes += place.bytes;
        counters.record_changed = true;
        self.finish(stage.id, stage.mailbox, message, Ok(TAKEN_IN.to_vec()), step, reader)?;
        Ok(None)
    }

    /// Why one more event is not kept, if it is not; `own` is what would wait for the orchestration. It gets half of what its
    /// partition keeps, so that no single one leaves nothing to the others.
    fn refusal_of_early_event(&self, id: &InstanceId, own: &EarlyCountRecord, bytes: u64) -> Option<Error> {
        let (events, most_bytes) = (self.limits.early_events, self.limits.early_bytes);
        let all = &self.partition(self.partition_of(id)).record;
        let full = if all.early_events >= events || all.early_bytes + bytes > most_bytes {
            format!(
                "{} events of {} bytes wait for orchestrations that are still to begin, as many as are kept beside `{id}`",
                all.early_events, all.early_bytes
            )
        } else if own.events > events.div_ceil(2) || own.bytes > most_bytes / 2 {
            format!(
                "{} events of {} bytes wait for `{id}`, as many as are kept for one orchestration that is still to begin",
                own.events - 1,
                own.bytes - bytes
            )
        } else {
            return None;
        };
        let text = format!("{full}; raise it again when the orchestration is there");
        Some(Error::new(ErrorKind::Overloaded, text))
    }

    /// Takes the events that were kept for an orchestration which begins now, oldest first, as far as they fit into its first
    /// turn beside `known`. The rest is delivered in the turns that follow.
    pub(super) fn take_early_events(
        &mut self,
        id: &InstanceId,
        known: &[(String, ByteBuf)],
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Vec<(String, ByteBuf)>> {
        let partition = self.partition_of(id);
        if self.partition(partition).record.early_events == 0 {
            return Ok(Vec::new());
        }
        let bytes = known.iter().map(|(_, payload)| payload.len()).sum();
        let left = &self.partition(partition).early_left;
        let began = left.get(id).copied().unwrap_or(self.aging.at(step.now));
        let page = self.read_early_events(id, known.len(), bytes, step, reader)?;
        self.note_early_left(id, page.more.then_some(began), step)?;
        let mut events = Vec::with_capacity(page.events.len());
        for early in page.events {
            self.forget_early_event(id, early.message, early.place, step, reader)?;
            if early.place.expires > began {
                events.push((early.event.name, ByteBuf::from(early.event.payload)));
            }
        }
        Ok(events)
    }

    /// Whether events that came before an orchestration began are still to be delivered or forgotten.
    pub(super) fn has_early_events(&self, stage: &Stage<'_>) -> bool {
        let left = &self.partition(self.partition_of(stage.id)).early_left;
        if left.is_empty() || !left.contains_key(stage.id) {
            return false;
        }
        let Some(instance) = stage.instance.as_deref().filter(|instance| !instance.is_terminal()) else {
            return true;
        };
        // The first turn takes them itself.
        instance.record.turns > 0 && matches!(stage.mailbox.block, Block::Open)
    }

    /// Tells an orchestration the next of the events that came before it began; they come before whatever else waits for it.
    /// One that has ended forgets them.
    pub(super) fn tell_early_events(
        &mut self,
        stage: &mut Stage<'_>,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        if stage.instance.as_deref().is_none_or(Instance::is_terminal) {
            return self.drop_early_events(stage.id, step, reader);
        }
        let left = &self.partition(self.partition_of(stage.id)).early_left;
        let began = left.get(stage.id).copied().unwrap_or(self.aging.at(step.now));
        let page = self.read_early_events(stage.id, 0, 0, step, reader)?;
        let wanted = page.events.iter().filter(|early| early.place.expires > began);
        let incoming: Vec<Incoming> = wanted
            .map(|early| Incoming::Raised {
                name: early.event.name.clone(),
                payload: early.event.payload.clone(),
            })
            .collect();
        if !incoming.is_empty() {
            let gathered = Gathered {
                incoming,
                ..Gathered::default()
            };
            self.run_turn(stage, gathered, step, reader)?;
            if matches!(stage.mailbox.block, Block::Stopped) {
                return Ok(());
            }
        }
        self.note_early_left(stage.id, page.more.then_some(began), step)?;
        for early in page.events {
            self.forget_early_event(stage.id, early.message, early.place, step, reader)?;
        }
        Ok(())
    }

    /// Reads the oldest events that wait for an orchestration, as many as one turn may receive beside so many others.
    fn read_early_events(
        &self,
        id: &InstanceId,
        mut told: usize,
        mut bytes: usize,
        step: &Step,
        reader: &dyn Reader,
    ) -> Result<Page> {
        let mut page = Page {
            events: Vec::new(),
            more: false,
        };
        let partition = self.partition_of(id);
        for (key, (place, event)) in self.early_places(id, EVENTS_OF_A_TURN + 1, step, reader)? {
            if told >= EVENTS_OF_A_TURN || bytes >= self.limits.batch_bytes {
                page.more = true;
                break;
            }
            let message = keys::message_id_of(&key).ok_or_else(|| broken("event"))?;
            let event = match event {
                Some(event) => event.clone(),
                None => {
                    let row = reader.get(&keys::early_event(partition, id, message))?;
                    records::decode(&row.unwrap_or_default(), "early event")?
                }
            };
            told += 1;
            bytes += event.payload.len();
            page.events.push(Early { message, place, event });
        }
        Ok(page)
    }

    /// The places of the oldest events that wait for an orchestration, at least `count` if there are so many, and those events
    /// that this very step kept.
    #[expect(clippy::type_complexity, reason = "a key, and what lies under it")]
    fn early_places<'a>(
        &self,
        id: &InstanceId,
        count: usize,
        step: &'a Step,
        reader: &dyn Reader,
    ) -> Result<BTreeMap<Vec<u8>, (EarlyPlaceRecord, Option<&'a EarlyEventRecord>)>> {
        let range = keys::early_places_of(self.partition_of(id), id);
        // What this very step removed is still shown by the reader.
        let own = step.early_events.range(range.clone());
        let removed = own.clone().filter(|(_, event)| event.is_none()).count();
        let limit = count.saturating_add(removed);
        let mut places = BTreeMap::new();
        let rows = reader.scan(range, limit)?;
        for (key, value) in &rows {
            places.insert(key.clone(), (records::decode(value, "place of an early event")?, None));
        }
        // Behind the last row that was read there may be others before one of this step.
        let end = rows.last().filter(|_| rows.len() == limit).map(|(key, _)| key);
        for (key, event) in own.filter(|(key, _)| end.is_none_or(|end| *key <= end)) {
            match event {
                Some((place, event)) => places.insert(key.clone(), (*place, Some(event))),
                None => places.remove(key),
            };
        }
        Ok(places)
    }

    /// Removes all events that wait for an orchestration.
    pub(super) fn drop_early_events(&mut self, id: &InstanceId, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        if self.partition(self.partition_of(id)).record.early_events == 0 {
            return Ok(());
        }
        let places = self.early_places(id, usize::MAX, step, reader)?;
        let places: Vec<_> = places.into_iter().map(|(key, (place, _))| (key, place)).collect();
        for (key, place) in places {
            let message = keys::message_id_of(&key).ok_or_else(|| broken("event"))?;
            self.forget_early_event(id, message, place, step, reader)?;
        }
        self.note_early_left(id, None, step)
    }

    /// Notes whether an orchestration that began at this time has not received all of them.
    fn note_early_left(&mut self, id: &InstanceId, began: Option<Timestamp>, step: &mut Step) -> Result<()> {
        let partition = self.partition_of(id);
        let key = keys::early_left(partition, id);
        match began {
            Some(began) => {
                if self
                    .partition_mut(partition)
                    .early_left
                    .insert(id.clone(), began)
                    .is_none()
                {
                    step.put(&key, &began)?;
                }
            }
            None => {
                if self.partition_mut(partition).early_left.remove(id).is_some() {
                    step.batch.delete(&key);
                }
            }
        }
        Ok(())
    }

    fn forget_early_event(
        &mut self,
        id: &InstanceId,
        message: MessageId,
        place: EarlyPlaceRecord,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let mut count = self.early_count(id, step, reader)?;
        count.events = count.events.saturating_sub(1);
        count.bytes = count.bytes.saturating_sub(place.bytes);
        self.set_early_count(id, count, step)?;
        let partition = self.partition_of(id);
        let key = keys::early_place(partition, id, message);
        step.batch.delete(&keys::early_event(partition, id, message));
        step.batch.delete(&key);
        if place.expires < NEVER {
            step.batch
                .delete(&keys::early_expiry(partition, place.expires, id, message));
        }
        step.early_events.insert(key, None);
        let counters = self.partition_mut(partition);
        counters.record.early_events = counters.record.early_events.saturating_sub(1);
        counters.record.early_bytes = counters.record.early_bytes.saturating_sub(place.bytes);
        counters.record_changed = true;
        Ok(())
    }

    fn early_count(&self, id: &InstanceId, step: &Step, reader: &dyn Reader) -> Result<EarlyCountRecord> {
        if let Some(count) = step.early_counts.get(id) {
            return Ok(*count);
        }
        match reader.get(&keys::early_count(self.partition_of(id), id))? {
            Some(row) => records::decode(&row, "count of early events"),
            None => Ok(EarlyCountRecord::default()),
        }
    }

    fn set_early_count(&self, id: &InstanceId, count: EarlyCountRecord, step: &mut Step) -> Result<()> {
        let key = keys::early_count(self.partition_of(id), id);
        if count.events > 0 {
            step.put(&key, &count)?;
        } else {
            step.batch.delete(&key);
        }
        step.early_counts.insert(id.clone(), count);
        Ok(())
    }

    /// Forgets events whose orchestrations never began. Tells when it is to be looked again.
    pub(in crate::engine) fn sweep_early_events(
        &mut self,
        id: PartitionId,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<Timestamp>> {
        self.sweep_misdated_events(id, step, reader)?;
        let due = self.sweep_expired_events(id, step, reader)?;
        let misdated_due = self.aging.was_set_back().then_some(self.partition(id).misdated_due);
        Ok(due.map(|due| misdated_due.map_or(due, |misdated| due.min(misdated))))
    }

    /// Forgets a page of events, those that expire first. Tells when it is to be looked again.
    fn sweep_expired_events(
        &mut self,
        id: PartitionId,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<Timestamp>> {
        let page = self.limits.page;
        let rows = reader.scan(self.partition(id).early.rest_of(keys::early_expiries(id)), page)?;
        for (key, _) in &rows {
            let (expires, instance, message) = keys::early_expiry_parts(key).ok_or_else(|| broken("event"))?;
            if expires > self.aging.at(step.now) {
                return Ok(Some(expires.max(step.now.after(INTERVAL))));
            }
            let instance = InstanceId::trusted(instance);
            self.expire_early_event(id, &instance, message, expires, step, reader)?;
            // What comes later expires later than now.
            self.partition_mut(id).early.from = Some(keys::behind(key.clone()));
        }
        if rows.len() == page {
            return Ok(Some(step.now));
        }
        // What is left, if anything is, was written by this very step, or never expires.
        let own = step.early_events.values().flatten().map(|(place, _)| place.expires);
        let next = own.filter(|expires| *expires < NEVER).min();
        Ok(next.map(|expires| expires.max(step.now.after(INTERVAL))))
    }

    /// Forgets events that came under a clock that was ahead, and have been there for their time to live. The search reads the
    /// expiry of every event. So it is rare, and happens only in a hub whose clock was set back.
    fn sweep_misdated_events(&mut self, id: PartitionId, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        if !self.aging.was_set_back() || self.partition(id).misdated_due > step.now {
            return Ok(());
        }
        self.partition_mut(id).misdated_due = step.now.after(MISDATED_INTERVAL);
        for (key, value) in &reader.scan(keys::early_expiries(id), usize::MAX)? {
            let (expires, instance, message) = keys::early_expiry_parts(key).ok_or_else(|| broken("event"))?;
            let since: Timestamp = records::decode(value, "time of an early event")?;
            let is_misdated = self.aging.written(since, step.now) != since;
            if is_misdated && self.aging.has_age(since.until(expires), since, step.now) {
                self.expire_early_event(id, &InstanceId::trusted(instance), message, expires, step, reader)?;
            }
        }
        Ok(())
    }

    /// Forgets an event that has expired, but not one that a later turn is to receive.
    fn expire_early_event(
        &mut self,
        partition: PartitionId,
        id: &InstanceId,
        message: MessageId,
        expires: Timestamp,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let key = keys::early_place(partition, id, message);
        if step.early_events.contains_key(&key) {
            return Ok(());
        }
        if self.partition(partition).early_left.contains_key(id) {
            step.batch.delete(&keys::early_expiry(partition, expires, id, message));
            return Ok(());
        }
        let Some(row) = reader.get(&key)? else {
            return Err(broken("event"));
        };
        let place = records::decode(&row, "place of an early event")?;
        tracing::warn!(orchestration = %id, "an event has expired, because its orchestration never began");
        self.forget_early_event(id, message, place, step, reader)
    }
}

#[cfg(test)]
mod tests;
