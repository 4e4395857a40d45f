//! Early events, which arrive before the first turn of their orchestration. They are bounded in number and bytes, and
//! delivered in pages.
//!
//! Each event, which may be large, has a small row through which it is found and removed. A third row is keyed by the
//! expiry of the event, so expired events are found without reading the others. It stores the time at which the event
//! arrived. An event that arrived while the clock was ahead sorts behind all others, and expires when its time to live
//! is over.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_bytes::ByteBuf;

use crate::engine::ctx::Ctx;
use crate::engine::mailbox::BlockReason;
use crate::engine::message::Message;
use crate::engine::orchestration::events::TAKEN_IN;
use crate::engine::orchestration::state::OrchestrationState;
use crate::engine::orchestration::turn::{EVENTS_OF_A_TURN, OrchestrationTurn, TurnInput};
use crate::engine::settle::finish;
use crate::engine::sweep::{INTERVAL, NEVER, broken};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::model;
use crate::model::history::Incoming;
use crate::model::orchestration::{EarlyCountRecord, EarlyEventRecord, EarlyPlaceRecord, Order};
use crate::schema;
use crate::time::Timestamp;

/// Minimum time between two searches for events that arrived while the clock was ahead.
const MISDATED_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// A waiting event and its place.
struct Early {
    message: MessageId,
    place: EarlyPlaceRecord,
    event: EarlyEventRecord,
}

/// The oldest events that wait for one orchestration.
struct Page {
    events: Vec<Early>,
    /// True if more events wait.
    more: bool,
}

impl OrchestrationTurn<'_> {
    /// Stores an event for an orchestration that has not begun.
    pub(super) fn keep_event(
        &mut self,
        message: Message,
        expires: Timestamp,
        ctx: &mut Ctx<'_>,
    ) -> Result<Option<Message>> {
        let Some(Order::Raise { name, payload, .. }) = message.order() else {
            unreachable!("only events come here");
        };
        let event = EarlyEventRecord {
            name: name.clone(),
            payload: payload.clone(),
        };
        let place = EarlyPlaceRecord {
            expires,
            bytes: event.bytes(),
        };
        let mut count = early_count(self.id, ctx)?;
        count.events += 1;
        count.bytes += place.bytes;
        let refused = match message.can_be_refused() {
            true => refusal_of_early_event(self.id, &count, place.bytes, ctx),
            false => None,
        };
        if let Some(error) = refused {
            finish(self.id, self.mailbox, message, Err(error.into()), ctx)?;
            return Ok(None);
        }
        let partition = ctx.settings.partition_of(self.id);
        ctx.step
            .put(&schema::early::event_key(partition, self.id, message.id), &event)?;
        let key = schema::early::place_key(partition, self.id, message.id);
        ctx.step.put(&key, &place)?;
        ctx.step.early_events.insert(key, Some((place, event)));
        if expires < NEVER {
            let expiry = schema::early::expiry_key(partition, expires, self.id, message.id);
            let now = ctx.step.now;
            ctx.step.put(&expiry, &now)?;
            let due = expires.max(ctx.step.now.after(INTERVAL));
            ctx.partitions.get_mut(partition).early.look_at(due);
            ctx.partitions.next_sweep = ctx.partitions.next_sweep.min(due);
        }
        set_early_count(self.id, count, ctx)?;
        let counters = ctx.partitions.get_mut(partition);
        counters.record.early_events += 1;
        counters.record.early_bytes += place.bytes;
        counters.record_changed = true;
        finish(self.id, self.mailbox, message, Ok(TAKEN_IN.to_vec()), ctx)?;
        Ok(None)
    }

    /// Returns `true` if early events are still to be delivered or dropped.
    pub(super) fn has_early_events(&self, ctx: &Ctx<'_>) -> bool {
        let left = &ctx.partitions.get(ctx.settings.partition_of(self.id)).early_left;
        if left.is_empty() || !left.contains_key(self.id) {
            return false;
        }
        let Some(state) = self.state.as_deref().filter(|state| !state.is_terminal()) else {
            return true;
        };
        // The first turn takes its events itself.
        state.record.turns > 0 && self.mailbox.block.is_none()
    }

    /// Delivers the next early events to an orchestration, before any other waiting message. An ended orchestration
    /// drops them.
    pub(super) fn tell_early_events(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        if self.state.as_deref().is_none_or(OrchestrationState::is_terminal) {
            return drop_early_events(self.id, ctx);
        }
        let left = &ctx.partitions.get(ctx.settings.partition_of(self.id)).early_left;
        let began = left
            .get(self.id)
            .copied()
            .unwrap_or(ctx.settings.aging.at(ctx.step.now));
        let page = read_early_events(self.id, 0, 0, ctx)?;
        let wanted = page.events.iter().filter(|early| early.place.expires > began);
        let incoming: Vec<Incoming> = wanted
            .map(|early| Incoming::Raised {
                name: early.event.name.clone(),
                payload: early.event.payload.clone(),
            })
            .collect();
        if !incoming.is_empty() {
            let gathered = TurnInput {
                incoming,
                ..TurnInput::default()
            };
            self.run_turn(gathered, ctx)?;
            if matches!(self.mailbox.block, Some(BlockReason::Stopped)) {
                return Ok(());
            }
        }
        note_early_left(self.id, page.more.then_some(began), ctx)?;
        for early in page.events {
            forget_early_event(self.id, early.message, early.place, ctx)?;
        }
        Ok(())
    }
}

/// Returns an error if one more event cannot be kept. `own` counts the events of the orchestration including the new
/// one. One orchestration gets half of the limits of its partition, so it cannot use up the room of all others.
fn refusal_of_early_event(id: &InstanceId, own: &EarlyCountRecord, bytes: u64, ctx: &Ctx<'_>) -> Option<Error> {
    let (events, most_bytes) = (ctx.settings.limits.early_events, ctx.settings.limits.early_bytes);
    let all = &ctx.partitions.get(ctx.settings.partition_of(id)).record;
    let full = if all.early_events >= events || all.early_bytes + bytes > most_bytes {
        format!(
            "{} events of {} bytes wait for orchestrations that have not begun, so there is no room for `{id}`",
            all.early_events, all.early_bytes
        )
    } else if own.events > events.div_ceil(2) || own.bytes > most_bytes / 2 {
        format!(
            "{} events of {} bytes wait for `{id}`, the most that is kept for one orchestration before it begins",
            own.events - 1,
            own.bytes - bytes
        )
    } else {
        return None;
    };
    let text = format!("{full}; raise the event again when the orchestration has begun");
    Some(Error::new(ErrorKind::Overloaded, text))
}

/// Takes the events of an orchestration that begins now, oldest first, as far as they fit into its first turn in
/// addition to `known`. Later turns deliver the rest.
pub(super) fn take_early_events(
    id: &InstanceId,
    known: &[(String, ByteBuf)],
    ctx: &mut Ctx<'_>,
) -> Result<Vec<(String, ByteBuf)>> {
    let partition = ctx.settings.partition_of(id);
    if ctx.partitions.get(partition).record.early_events == 0 {
        return Ok(Vec::new());
    }
    let bytes = known.iter().map(|(_, payload)| payload.len()).sum();
    let left = &ctx.partitions.get(partition).early_left;
    let began = left.get(id).copied().unwrap_or(ctx.settings.aging.at(ctx.step.now));
    let page = read_early_events(id, known.len(), bytes, ctx)?;
    note_early_left(id, page.more.then_some(began), ctx)?;
    let mut events = Vec::with_capacity(page.events.len());
    for early in page.events {
        forget_early_event(id, early.message, early.place, ctx)?;
        if early.place.expires > began {
            events.push((early.event.name, ByteBuf::from(early.event.payload)));
        }
    }
    Ok(events)
}

/// Reads the oldest events that wait for an orchestration, as many as one turn may receive in addition to events of
/// this number and size.
fn read_early_events(id: &InstanceId, mut told: usize, mut bytes: usize, ctx: &Ctx<'_>) -> Result<Page> {
    let mut page = Page {
        events: Vec::new(),
        more: false,
    };
    let partition = ctx.settings.partition_of(id);
    for (key, (place, event)) in early_places(id, EVENTS_OF_A_TURN + 1, ctx)? {
        if told >= EVENTS_OF_A_TURN || bytes >= ctx.settings.limits.batch_bytes {
            page.more = true;
            break;
        }
        let message = schema::message::id_of(&key).ok_or_else(|| broken("event"))?;
        let event = match event {
            Some(event) => event.clone(),
            None => {
                let row = ctx.reader.get(&schema::early::event_key(partition, id, message))?;
                model::decode(&row.unwrap_or_default(), "early event")?
            }
        };
        told += 1;
        bytes += event.payload.len();
        page.events.push(Early { message, place, event });
    }
    Ok(page)
}

/// Returns the places of the oldest events that wait for an orchestration, at least `count` if there are so many. The
/// result includes the events that this step stored.
#[expect(clippy::type_complexity, reason = "a key and its value")]
fn early_places<'a>(
    id: &InstanceId,
    count: usize,
    ctx: &'a Ctx<'_>,
) -> Result<BTreeMap<Vec<u8>, (EarlyPlaceRecord, Option<&'a EarlyEventRecord>)>> {
    let range = schema::early::places_of(ctx.settings.partition_of(id), id);
    // The reader still shows events that this step removed.
    let own = ctx.step.early_events.range(range.clone());
    let removed = own.clone().filter(|(_, event)| event.is_none()).count();
    let limit = count.saturating_add(removed);
    let mut places = BTreeMap::new();
    let rows = ctx.reader.scan(range, limit)?;
    for (key, value) in &rows {
        places.insert(key.clone(), (model::decode(value, "place of an early event")?, None));
    }
    // Unread rows may exist between the last row that was read and an event of this step.
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
pub(super) fn drop_early_events(id: &InstanceId, ctx: &mut Ctx<'_>) -> Result<()> {
    if ctx.partitions.get(ctx.settings.partition_of(id)).record.early_events == 0 {
        return Ok(());
    }
    let places = early_places(id, usize::MAX, ctx)?;
    let places: Vec<_> = places.into_iter().map(|(key, (place, _))| (key, place)).collect();
    for (key, place) in places {
        let message = schema::message::id_of(&key).ok_or_else(|| broken("event"))?;
        forget_early_event(id, message, place, ctx)?;
    }
    note_early_left(id, None, ctx)
}

/// Records whether an orchestration that began at this time has events left to receive.
fn note_early_left(id: &InstanceId, began: Option<Timestamp>, ctx: &mut Ctx<'_>) -> Result<()> {
    let partition = ctx.settings.partition_of(id);
    let key = schema::early::left_key(partition, id);
    match began {
        Some(began) => {
            if ctx
                .partitions
                .get_mut(partition)
                .early_left
                .insert(id.clone(), began)
                .is_none()
            {
                ctx.step.put(&key, &began)?;
            }
        }
        None => {
            if ctx.partitions.get_mut(partition).early_left.remove(id).is_some() {
                ctx.step.batch.delete(&key);
            }
        }
    }
    Ok(())
}

fn forget_early_event(id: &InstanceId, message: MessageId, place: EarlyPlaceRecord, ctx: &mut Ctx<'_>) -> Result<()> {
    let mut count = early_count(id, ctx)?;
    count.events = count.events.saturating_sub(1);
    count.bytes = count.bytes.saturating_sub(place.bytes);
    set_early_count(id, count, ctx)?;
    let partition = ctx.settings.partition_of(id);
    let key = schema::early::place_key(partition, id, message);
    ctx.step.batch.delete(&schema::early::event_key(partition, id, message));
    ctx.step.batch.delete(&key);
    if place.expires < NEVER {
        ctx.step
            .batch
            .delete(&schema::early::expiry_key(partition, place.expires, id, message));
    }
    ctx.step.early_events.insert(key, None);
    let counters = ctx.partitions.get_mut(partition);
    counters.record.early_events = counters.record.early_events.saturating_sub(1);
    counters.record.early_bytes = counters.record.early_bytes.saturating_sub(place.bytes);
    counters.record_changed = true;
    Ok(())
}

fn early_count(id: &InstanceId, ctx: &Ctx<'_>) -> Result<EarlyCountRecord> {
    if let Some(count) = ctx.step.early_counts.get(id) {
        return Ok(*count);
    }
    match ctx
        .reader
        .get(&schema::early::count_key(ctx.settings.partition_of(id), id))?
    {
        Some(row) => model::decode(&row, "count of early events"),
        None => Ok(EarlyCountRecord::default()),
    }
}

fn set_early_count(id: &InstanceId, count: EarlyCountRecord, ctx: &mut Ctx<'_>) -> Result<()> {
    let key = schema::early::count_key(ctx.settings.partition_of(id), id);
    if count.events > 0 {
        ctx.step.put(&key, &count)?;
    } else {
        ctx.step.batch.delete(&key);
    }
    ctx.step.early_counts.insert(id.clone(), count);
    Ok(())
}

/// Deletes events whose orchestrations never began. Returns the time of the next search.
pub(in crate::engine) fn sweep_early_events(id: PartitionId, ctx: &mut Ctx<'_>) -> Result<Option<Timestamp>> {
    sweep_misdated_events(id, ctx)?;
    let due = sweep_expired_events(id, ctx)?;
    let misdated_due = ctx
        .settings
        .aging
        .was_set_back()
        .then_some(ctx.partitions.get(id).misdated_due);
    Ok(due.map(|due| misdated_due.map_or(due, |misdated| due.min(misdated))))
}

/// Deletes a page of expired events, earliest expiry first. Returns the time of the next search.
fn sweep_expired_events(id: PartitionId, ctx: &mut Ctx<'_>) -> Result<Option<Timestamp>> {
    let page = ctx.settings.limits.page;
    let rows = ctx
        .reader
        .scan(ctx.partitions.get(id).early.rest_of(schema::early::expiries(id)), page)?;
    for (key, _) in &rows {
        let (expires, instance, message) = schema::early::expiry_parts(key).ok_or_else(|| broken("event"))?;
        if expires > ctx.settings.aging.at(ctx.step.now) {
            return Ok(Some(expires.max(ctx.step.now.after(INTERVAL))));
        }
        let instance = InstanceId::trusted(instance);
        expire_early_event(id, &instance, message, expires, ctx)?;
        // Later keys have later expiries than now.
        ctx.partitions.get_mut(id).early.from = Some(schema::behind(key.clone()));
    }
    if rows.len() == page {
        return Ok(Some(ctx.step.now));
    }
    // Remaining events, if any, were written by this step, or never expire.
    let own = ctx.step.early_events.values().flatten().map(|(place, _)| place.expires);
    let next = own.filter(|expires| *expires < NEVER).min();
    Ok(next.map(|expires| expires.max(ctx.step.now.after(INTERVAL))))
}

/// Deletes events that arrived while the clock was ahead and whose time to live is over. The search reads the expiry of
/// every event. Therefore it is rare, and runs only in a hub whose clock was set back.
fn sweep_misdated_events(id: PartitionId, ctx: &mut Ctx<'_>) -> Result<()> {
    if !ctx.settings.aging.was_set_back() || ctx.partitions.get(id).misdated_due > ctx.step.now {
        return Ok(());
    }
    ctx.partitions.get_mut(id).misdated_due = ctx.step.now.after(MISDATED_INTERVAL);
    for (key, value) in &ctx.reader.scan(schema::early::expiries(id), usize::MAX)? {
        let (expires, instance, message) = schema::early::expiry_parts(key).ok_or_else(|| broken("event"))?;
        let since: Timestamp = model::decode(value, "time of an early event")?;
        let is_misdated = ctx.settings.aging.written(since, ctx.step.now) != since;
        if is_misdated && ctx.settings.aging.has_age(since.until(expires), since, ctx.step.now) {
            expire_early_event(id, &InstanceId::trusted(instance), message, expires, ctx)?;
        }
    }
    Ok(())
}

/// Deletes an event that has expired, unless a later turn will receive it.
fn expire_early_event(
    partition: PartitionId,
    id: &InstanceId,
    message: MessageId,
    expires: Timestamp,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let key = schema::early::place_key(partition, id, message);
    if ctx.step.early_events.contains_key(&key) {
        return Ok(());
    }
    if ctx.partitions.get(partition).early_left.contains_key(id) {
        ctx.step
            .batch
            .delete(&schema::early::expiry_key(partition, expires, id, message));
        return Ok(());
    }
    let Some(row) = ctx.reader.get(&key)? else {
        return Err(broken("event"));
    };
    let place = model::decode(&row, "place of an early event")?;
    tracing::warn!(orchestration = %id, "an event has expired because its orchestration never began");
    forget_early_event(id, message, place, ctx)
}

#[cfg(test)]
mod tests;
