//! Dead letters: messages that this build cannot process. They are bounded in number, visible, and can be redelivered.

use crate::engine::ctx::Ctx;
use crate::engine::message::{LetterFate, Message, Origin, Response, Token};
use crate::error::Result;
use crate::failure::{TEXT_BYTES, shortened};
use crate::id::{MessageId, PartitionId};
use crate::model::{self, DeadLetterRecord, Place};
use crate::schema;
use crate::store::Reader;
use crate::time::Timestamp;

/// Stores a message that cannot be processed as a dead letter. The dead letter gets an id of its own, because the
/// previous wait of the message does not determine its age among the dead letters.
pub(super) fn bury(message: &Message, reason: &str, ctx: &mut Ctx<'_>) -> Result<()> {
    let Some(what) = message.action.asks_for() else {
        return Ok(());
    };
    let reason = &*shortened(reason, TEXT_BYTES);
    tracing::warn!(target_id = %message.target, what, reason, "a message became a dead letter");
    let place = ctx.step.next_place();
    let record = DeadLetterRecord {
        source: message.source(),
        target: message.target.clone(),
        action: message.action.clone(),
        reason: reason.to_owned(),
        died: place.since,
        trace: message.trace.clone(),
    };
    let partition = ctx.settings.partition_of(&message.target);
    ctx.step
        .put(&schema::dead_letter::key(partition, place.number), &record)?;
    let age = schema::dead_letter::age_key(partition, place, message.target.as_str());
    ctx.step.batch.put(&age, &[]);
    ctx.step.counts.dead_letters += 1;
    let expires = place.since.after(ctx.settings.limits.dead_letter_retention);
    let most = ctx.settings.limits.dead_letters;
    let partition = ctx.partitions.get_mut(partition);
    partition.record.dead_letters += 1;
    partition.record_changed = true;
    let due = if partition.record.dead_letters > most {
        ctx.step.now
    } else {
        expires
    };
    partition.letters.look_at(due);
    ctx.partitions.next_sweep = ctx.partitions.next_sweep.min(due);
    Ok(())
}

/// Redelivers a dead letter as a new message, or deletes it. The answer is `true` if it existed.
pub(super) fn settle_dead_letter(
    partition: PartitionId,
    id: MessageId,
    fate: LetterFate,
    token: Token,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let key = schema::dead_letter::key(partition, id);
    let row = if ctx.step.letters.contains(&id) {
        None
    } else {
        ctx.reader.get(&key)?
    };
    let Some(row) = row else {
        ctx.step.settle(token, Response::Answer("false".into()));
        return Ok(());
    };
    if fate == LetterFate::Redeliver {
        let record: DeadLetterRecord = match model::decode(&row, "dead letter") {
            Ok(record) => record,
            Err(error) => {
                ctx.step.settle(token, Response::Failed(Box::new(error.into())));
                return Ok(());
            }
        };
        let message = Message::new(
            ctx.step.next_id(),
            record.target,
            record.action,
            Origin::of_stored(record.source),
        )
        .in_trace(record.trace);
        ctx.step.outbound.push(message);
    }
    // An unreadable dead letter has a place as well.
    let (place, target) = place_of_letter(partition, id, ctx.reader)?;
    remove_dead_letter(partition, place, &target, ctx);
    ctx.step.settle(token, Response::Answer("true".into()));
    Ok(())
}

/// Removes the rows of a dead letter that the reader shows, at most once per step.
pub(super) fn remove_dead_letter(partition: PartitionId, place: Place, target: &str, ctx: &mut Ctx<'_>) {
    if !ctx.step.letters.insert(place.number) {
        return;
    }
    ctx.step
        .batch
        .delete(&schema::dead_letter::key(partition, place.number));
    ctx.step
        .batch
        .delete(&schema::dead_letter::age_key(partition, place, target));
    let partition = ctx.partitions.get_mut(partition);
    partition.record.dead_letters = partition.record.dead_letters.saturating_sub(1);
    partition.record_changed = true;
}

/// Returns the place of a dead letter among those of its partition, and the target of its message.
fn place_of_letter(partition: PartitionId, id: MessageId, reader: &dyn Reader) -> Result<(Place, String)> {
    let place = Place {
        number: id,
        since: Timestamp::default(),
    };
    let first = schema::dead_letter::age_key(partition, place, "");
    let found = reader.first_key(first..schema::dead_letter::ages(partition).end)?;
    let parts = found.as_deref().and_then(schema::dead_letter::age_parts);
    Ok(match parts.filter(|(found, _)| found.number == id) {
        Some((place, target)) => (place, target.to_owned()),
        None => (place, String::new()),
    })
}

#[cfg(test)]
mod tests;
