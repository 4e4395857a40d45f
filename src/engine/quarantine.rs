//! Quarantine: an instance whose state cannot be used waits visibly and loses nothing.

use crate::engine::ctx::Ctx;
use crate::engine::mailbox::{BlockReason, Mailbox};
use crate::engine::mailboxes::Mailboxes;
use crate::engine::message::{Response, Token};
use crate::engine::settle::fail_waiting_calls;
use crate::engine::waiting::blocked;
use crate::error::Result;
use crate::failure::{TEXT_BYTES, shortened};
use crate::id::InstanceId;
use crate::model::{self, QuarantineRecord};
use crate::schema;

/// Releases a quarantined or held instance. The answer is `true` if the instance was blocked.
pub(super) fn resume(id: &InstanceId, token: Token, mailboxes: &mut Mailboxes, ctx: &mut Ctx<'_>) {
    let held = mailboxes.release_hold(id);
    let mailbox = mailboxes.mailbox(id, ctx.settings, ctx.partitions);
    let is_blocked = matches!(
        mailbox.block,
        Some(BlockReason::Quarantined(_) | BlockReason::Held | BlockReason::Stopped)
    );
    if is_blocked {
        mailbox.block = None;
        ctx.states.remove(id);
    }
    mailboxes.make_ready(id, ctx.settings, ctx.partitions);
    let answer = if held || is_blocked { "true" } else { "false" };
    ctx.step.settle(token, Response::Answer(answer.into()));
}

/// Quarantines an instance and fails the calls that wait for it.
pub(super) fn quarantine(id: &InstanceId, mailbox: &mut Mailbox, reason: &str, ctx: &mut Ctx<'_>) -> Result<()> {
    // The reason may be the text of a decoder, which may quote its input.
    let reason = &*shortened(reason, TEXT_BYTES);
    tracing::error!(entity = %id, reason, "an entity is quarantined; its messages wait");
    mailbox.block = Some(BlockReason::Quarantined(reason.to_owned()));
    note_stopped(id, reason, ctx)?;
    let error = blocked(id, mailbox.block.as_ref());
    fail_waiting_calls(id, mailbox, &error, ctx)
}

/// Records that an instance cannot continue, so every open retries it.
pub(super) fn note_stopped(id: &InstanceId, reason: &str, ctx: &mut Ctx<'_>) -> Result<()> {
    let partition = ctx.settings.partition_of(id);
    if ctx.partitions.get_mut(partition).quarantined.insert(id.clone()) {
        let record = QuarantineRecord {
            reason: reason.to_owned(),
            since: ctx.step.now,
        };
        ctx.step
            .batch
            .put(&schema::quarantine::key(partition, id), &model::encode(&record)?);
    }
    Ok(())
}

/// Records that an instance can continue.
pub(super) fn end_quarantine(id: &InstanceId, ctx: &mut Ctx<'_>) {
    let partition = ctx.settings.partition_of(id);
    if ctx.partitions.get_mut(partition).quarantined.remove(id) {
        tracing::info!(instance = %id, "an instance leaves quarantine");
        ctx.step.batch.delete(&schema::quarantine::key(partition, id));
    }
}
