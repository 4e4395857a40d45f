//! Removal of expired request ids, dead letters, events and kept changes, one page at a time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::engine::audit::sweep_changes;
use crate::engine::ctx::Ctx;
use crate::engine::dead_letters::remove_dead_letter;
use crate::engine::orchestration::sweep_early_events;
use crate::engine::requests::WAITS;
use crate::engine::requests::{keep_waiting_request, remove_request};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::model::Place;
use crate::schema;
use crate::time::Timestamp;

/// Minimum time between two searches for expired rows.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Minimum time between two searches for surplus rows that have become old enough to be removed.
const PAUSE: Duration = Duration::from_secs(1);

/// Removes expired and surplus rows in the partitions that may have some.
pub(super) fn sweep(ctx: &mut Ctx<'_>) -> Result<()> {
    if ctx.partitions.next_sweep > ctx.step.now {
        return Ok(());
    }
    let owned: Vec<PartitionId> = ctx.partitions.owned().map(|partition| partition.id).collect();
    let mut next = NEVER;
    let now = ctx.step.now;
    let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
    for id in owned {
        if is_due(ctx.partitions.get(id).requests.due) {
            let due = sweep_requests(id, ctx)?;
            ctx.partitions.get_mut(id).requests.due = due;
        }
        if is_due(ctx.partitions.get(id).letters.due) {
            let due = sweep_dead_letters(id, ctx)?;
            ctx.partitions.get_mut(id).letters.due = due;
        }
        if is_due(ctx.partitions.get(id).early.due) {
            let due = sweep_early_events(id, ctx)?;
            ctx.partitions.get_mut(id).early.due = due;
        }
        if is_due(ctx.partitions.get(id).changes.due) {
            let due = sweep_changes(id, ctx)?.then_some(now);
            ctx.partitions.get_mut(id).changes.due = due;
        }
        next = ctx.partitions.get(id).sweep_due().map_or(next, |due| due.min(next));
    }
    ctx.partitions.next_sweep = next;
    Ok(())
}

/// Deletes a page of request ids. Returns the time of the next search.
fn sweep_requests(id: PartitionId, ctx: &mut Ctx<'_>) -> Result<Option<Timestamp>> {
    let limits = &ctx.settings.limits;
    let (retention, youth, page) = (limits.request_retention, limits.request_youth, limits.page);
    let mut over = ctx.partitions.get(id).record.requests.saturating_sub(limits.requests);
    let rows = ctx
        .reader
        .scan(ctx.partitions.get(id).requests.rest_of(schema::request::ages(id)), page)?;
    let (mut front, mut removed) = (None, false);
    for (key, value) in &rows {
        let (place, instance, request) = schema::request::age_parts(key).ok_or_else(|| broken("request id"))?;
        let has_age = |age| ctx.settings.aging.has_age(age, place.since, ctx.step.now);
        let may_go = has_age(retention) || over > 0 && has_age(youth);
        if !may_go {
            let written = ctx.settings.aging.written(place.since, ctx.step.now);
            front = Some((written.after(retention), written.after(youth)));
            break;
        }
        let instance = InstanceId::trusted(instance);
        let stays = value == WAITS && keep_waiting_request(id, key, &instance, request, ctx)?;
        if !stays {
            remove_request(id, schema::request::key(id, &instance, request), key, ctx);
            over = over.saturating_sub(1);
            removed = true;
        }
        ctx.partitions.get_mut(id).requests.from = Some(schema::behind(key.clone()));
    }
    let partition = ctx.partitions.get_mut(id);
    partition.requests.held_until = Timestamp::default();
    Ok(match front {
        Some((_, grown)) if over > 0 => {
            let due = grown.max(ctx.step.now.after(PAUSE));
            partition.requests.held_until = due;
            Some(due)
        }
        Some((expires, _)) => Some(expires.max(ctx.step.now.after(INTERVAL))),
        None if rows.len() == page && removed => Some(ctx.step.now),
        // All of them wait and have moved to the end. Without a pause they would be moved in every step, and could leave no
        // room in the commit for the turns that they wait for.
        None if rows.len() == page => {
            let due = ctx.step.now.after(PAUSE);
            partition.requests.held_until = due;
            Some(due)
        }
        // Remaining rows, if any, were written by this step.
        None => (partition.record.requests > 0).then(|| ctx.step.now.after(retention.max(INTERVAL))),
    })
}

/// Deletes dead letters. Returns the time of the next search.
fn sweep_dead_letters(id: PartitionId, ctx: &mut Ctx<'_>) -> Result<Option<Timestamp>> {
    let over = ctx
        .partitions
        .get(id)
        .record
        .dead_letters
        .saturating_sub(ctx.settings.limits.dead_letters);
    if over > 0 {
        drop_surplus_letters(id, over, ctx)?;
    }
    let (retention, page) = (ctx.settings.limits.dead_letter_retention, ctx.settings.limits.page);
    let rows = ctx.reader.scan(
        ctx.partitions.get(id).letters.rest_of(schema::dead_letter::ages(id)),
        page,
    )?;
    for (key, _) in &rows {
        let (place, target) = schema::dead_letter::age_parts(key).ok_or_else(|| broken("dead letter"))?;
        if !ctx.settings.aging.has_age(retention, place.since, ctx.step.now) {
            let expires = ctx.settings.aging.written(place.since, ctx.step.now).after(retention);
            return Ok(Some(expires.max(ctx.step.now.after(INTERVAL))));
        }
        drop_letter(id, place, target, ctx);
        ctx.partitions.get_mut(id).letters.from = Some(schema::behind(key.clone()));
    }
    if rows.len() == page {
        return Ok(Some(ctx.step.now));
    }
    // Remaining rows, if any, were written by this step.
    let left = ctx.partitions.get(id).record.dead_letters > 0;
    Ok(left.then(|| ctx.step.now.after(retention.max(INTERVAL))))
}

/// Deletes the surplus dead letters. Each deletion removes the oldest dead letter of the entity that has the most.
/// Therefore an entity that fills a partition does not displace the dead letters of others.
fn drop_surplus_letters(id: PartitionId, over: u64, ctx: &mut Ctx<'_>) -> Result<()> {
    let rows = ctx.reader.scan(
        ctx.partitions.get(id).letters.rest_of(schema::dead_letter::ages(id)),
        usize::MAX,
    )?;
    let mut letters: BTreeMap<&str, VecDeque<Place>> = BTreeMap::new();
    for (key, _) in &rows {
        let (place, target) = schema::dead_letter::age_parts(key).ok_or_else(|| broken("dead letter"))?;
        if !ctx.step.letters.contains(&place.number) {
            letters.entry(target).or_default().push_back(place);
        }
    }
    for _ in 0..over {
        let oldest = |places: &VecDeque<Place>| std::cmp::Reverse(places.front().map(|place| place.number));
        let most = letters
            .iter_mut()
            .max_by_key(|(_, places)| (places.len(), oldest(places)));
        let Some((target, place)) = most.and_then(|(target, places)| Some((*target, places.pop_front()?))) else {
            break;
        };
        drop_letter(id, place, target, ctx);
    }
    Ok(())
}

fn drop_letter(id: PartitionId, place: Place, target: &str, ctx: &mut Ctx<'_>) {
    tracing::warn!(entity = target, letter = %place.number, "a surplus or expired dead letter is deleted");
    remove_dead_letter(id, place, target, ctx);
}

/// A time later than any other.
pub(super) const NEVER: Timestamp = Timestamp(u64::MAX);

pub(super) fn broken(what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("the age key of a stored {what} does not decode"),
    )
}
