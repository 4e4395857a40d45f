//! Quarantine: an instance whose state cannot be used waits, visibly, and nothing of it is lost.

use crate::engine::ctx::Ctx;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::mailboxes::Mailboxes;
use crate::engine::message::{Settled, Token};
use crate::engine::settle::fail_waiting_calls;
use crate::engine::waiting::blocked;
use crate::error::Result;
use crate::failure::{TEXT_BYTES, shortened};
use crate::id::InstanceId;
use crate::store::keys;
use crate::store::records::{self, QuarantineRecord};

/// Lets a quarantined or held instance go on; answers whether it was one.
pub(super) fn resume(id: &InstanceId, token: Token, mailboxes: &mut Mailboxes, ctx: &mut Ctx<'_>) {
    let held = mailboxes.release_hold(id);
    let mailbox = mailboxes.mailbox(id, ctx.settings, ctx.partitions);
    let is_blocked = matches!(mailbox.block, Block::Quarantined(_) | Block::Held | Block::Stopped);
    if is_blocked {
        mailbox.block = Block::Open;
        ctx.states.remove(id);
    }
    mailboxes.make_ready(id, ctx.settings, ctx.partitions);
    let answer = if held || is_blocked { "true" } else { "false" };
    ctx.step.settle(token, Settled::Answer(answer.into()));
}

/// Puts an instance into quarantine and ends the calls that wait for it.
pub(super) fn quarantine(id: &InstanceId, mailbox: &mut Mailbox, reason: &str, ctx: &mut Ctx<'_>) -> Result<()> {
    // It may be the text of a decoder, which quotes what it read.
    let reason = &*shortened(reason, TEXT_BYTES);
    tracing::error!(entity = %id, reason, "an entity is quarantined; its messages wait");
    mailbox.block = Block::Quarantined(reason.to_owned());
    note_stopped(id, reason, ctx)?;
    let error = blocked(id, &mailbox.block);
    fail_waiting_calls(id, mailbox, &error, ctx)
}

/// Notes that an instance cannot go on, so that every open tries it again.
pub(super) fn note_stopped(id: &InstanceId, reason: &str, ctx: &mut Ctx<'_>) -> Result<()> {
    let partition = ctx.settings.partition_of(id);
    if ctx.partitions.get_mut(partition).quarantined.insert(id.clone()) {
        let record = QuarantineRecord {
            reason: reason.to_owned(),
            since: ctx.step.now,
        };
        ctx.step
            .batch
            .put(&keys::quarantine(partition, id), &records::encode(&record)?);
    }
    Ok(())
}

/// Notes that an instance can go on.
pub(super) fn end_quarantine(id: &InstanceId, ctx: &mut Ctx<'_>) {
    let partition = ctx.settings.partition_of(id);
    if ctx.partitions.get_mut(partition).quarantined.remove(id) {
        tracing::info!(instance = %id, "an instance leaves its quarantine");
        ctx.step.batch.delete(&keys::quarantine(partition, id));
    }
}
