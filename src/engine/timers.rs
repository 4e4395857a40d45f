//! Scheduled operations. Their rows are in the partition of the receiver, and only its core decides whether a timer is
//! canceled or fired.

use crate::engine::ctx::Ctx;
use crate::engine::message::{Message, Origin, Response};
use crate::engine::requests::{remember, settle_repeated};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::model::{self, Action, Outcome, RequestOutcome, TimerRecord};
use crate::planted::{self, Fault};
use crate::schema;
use crate::store::PageBounds;
use crate::time::Timestamp;

/// Processes a message that sets or cancels a timer. It needs neither the state nor the code of the instance. If the
/// message is stored, its row is deleted, and the caller has to record that change in the mailbox.
pub(super) fn control(message: Message, ctx: &mut Ctx<'_>) -> Result<()> {
    if message.stored {
        ctx.step
            .batch
            .delete(&message.key(ctx.settings.partition_of(&message.target)));
    }
    if settle_repeated(&message, ctx)? {
        return Ok(());
    }
    let settled = match &message.action {
        Action::Operation { .. } | Action::Lock(_) | Action::Order(_) => return Ok(()),
        Action::Schedule { timer, due, .. } => {
            schedule(&message, timer, *due, ctx)?;
            Response::Accepted
        }
        Action::Cancel { timer } => {
            let removed = remove_timer(&message.target, timer, ctx)?;
            Response::Answer(if removed { "true" } else { "false" }.into())
        }
    };
    let outcome = match &settled {
        Response::Answer(answer) => RequestOutcome::Ended(Outcome::Answer(answer.clone())),
        _ => RequestOutcome::Accepted,
    };
    remember(&message, outcome, ctx)?;
    if let Some(token) = message.token() {
        ctx.step.settle(token, settled);
    }
    Ok(())
}

fn schedule(message: &Message, timer: &str, due: Timestamp, ctx: &mut Ctx<'_>) -> Result<()> {
    let Action::Schedule {
        operation, arguments, ..
    } = &message.action
    else {
        unreachable!("only messages that set a timer come here");
    };
    remove_timer(&message.target, timer, ctx)?;
    let partition = ctx.settings.partition_of(&message.target);
    let record = TimerRecord {
        source: message.source(),
        action: Action::Operation {
            operation: operation.clone(),
            arguments: arguments.clone(),
        },
        trace: message.trace.clone(),
    };
    set_timer(partition, &message.target, timer, due, &record, ctx)
}

/// Writes the rows of a timer. A timer of the same name must not exist.
pub(super) fn set_timer(
    partition: PartitionId,
    target: &InstanceId,
    timer: &str,
    due: Timestamp,
    record: &TimerRecord,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let name = schema::timer::name_key(partition, target, timer);
    let row = schema::timer::key(partition, due, target, timer);
    if !(planted::is(Fault::ForgetTimer) && due.0.is_multiple_of(4)) {
        ctx.step.insert(&row, record)?;
    }
    ctx.step.batch.insert(&name, &due.0.to_be_bytes());
    ctx.step.timers.insert(name, Some(due));
    ctx.partitions.get_mut(partition).timer_added(due);
    Ok(())
}

/// Removes a timer that has not fired. Returns `true` if it existed.
pub(super) fn remove_timer(id: &InstanceId, timer: &str, ctx: &mut Ctx<'_>) -> Result<bool> {
    let partition = ctx.settings.partition_of(id);
    let name = schema::timer::name_key(partition, id, timer);
    let due = match ctx.step.timers.get(&name) {
        Some(due) => *due,
        None => ctx
            .reader
            .get(&name)?
            .as_deref()
            .map(schema::timer::due_of)
            .transpose()?,
    };
    let Some(due) = due else {
        return Ok(false);
    };
    ctx.step.batch.delete(&schema::timer::key(partition, due, id, timer));
    ctx.step.batch.delete(&name);
    ctx.step.timers.insert(name, None);
    Ok(true)
}

/// Converts due timers into messages. This step consumes them or writes them as rows.
pub(super) fn fire_timers(ctx: &mut Ctx<'_>) -> Result<()> {
    let mut due: Vec<(Timestamp, PartitionId)> = ctx
        .partitions
        .owned()
        .filter_map(|partition| Some((partition.next_due?, partition.id)))
        .filter(|(next, _)| *next <= ctx.step.now)
        .collect();
    // The size of the timers that one step fires is limited. The timers that have waited longest come first.
    due.sort_unstable();
    let mut left = ctx.settings.limits.page_bytes;
    for (_, id) in due {
        if left == 0 {
            break;
        }
        let fired = fire_timers_of(id, left, ctx)?;
        left = left.saturating_sub(fired);
    }
    Ok(())
}

/// Fires timers of one partition, up to `bytes` bytes and one more timer. Returns the size of the fired timers.
fn fire_timers_of(id: PartitionId, bytes: usize, ctx: &mut Ctx<'_>) -> Result<usize> {
    let mut range = schema::timer::before(id, Timestamp(ctx.step.now.0.saturating_add(1)));
    range.start = schema::timer::before(id, ctx.partitions.get(id).timers_from).end;
    let bounds = PageBounds {
        rows: ctx.settings.limits.page,
        bytes,
    };
    let page = ctx.reader.page(range, bounds)?;
    let mut last = None;
    for (key, value) in &page.rows {
        let (due, instance, timer) = schema::timer::parts(key)
            .ok_or_else(|| Error::new(ErrorKind::Corrupted, "the key of a stored timer does not decode"))?;
        last = Some(due);
        fire(id, due, &InstanceId::trusted(instance), timer, value, ctx)?;
    }
    let partition = ctx.partitions.get_mut(id);
    if page.full {
        partition.timers_from = last.unwrap_or_default();
        partition.next_due = last;
    } else {
        partition.timers_from = Timestamp(ctx.step.now.0.saturating_add(1));
        partition.find_next_due(ctx.reader)?;
    }
    // The reader does not show the timers that this step set, and they may be due before the timers that have just
    // fired.
    let prefix = schema::timer::name_key(id, &InstanceId::trusted(""), "");
    let own = |(name, due): (&Vec<u8>, &Option<Timestamp>)| due.filter(|_| name[..3] == prefix[..3]);
    if let Some(due) = ctx.step.timers.iter().filter_map(own).min() {
        partition.timer_added(due);
    }
    Ok(page.bytes)
}

fn fire(
    partition: PartitionId,
    due: Timestamp,
    instance: &InstanceId,
    timer: &str,
    value: &[u8],
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let name = schema::timer::name_key(partition, instance, timer);
    // A message of this step has canceled the timer or set it again, perhaps for the same time. The reader still shows
    // the old row. The new timer fires in the next step.
    if ctx.step.timers.contains_key(&name) {
        return Ok(());
    }
    let record: TimerRecord = model::decode(value, "timer")?;
    ctx.step
        .batch
        .delete(&schema::timer::key(partition, due, instance, timer));
    ctx.step.batch.delete(&name);
    ctx.step.timers.insert(name, None);
    ctx.step.counts.timers_fired += 1;
    ctx.step.counts.lateness = ctx.step.counts.lateness.max(due.until(ctx.step.now));
    let origin = Origin::of_stored(record.source);
    let message = Message::new(ctx.step.next_id(), instance.clone(), record.action, origin).in_trace(record.trace);
    ctx.step.outbound.push(message);
    Ok(())
}
