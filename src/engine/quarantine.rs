//! Quarantine: an instance whose state cannot be used waits, visibly, and nothing of it is lost.

use crate::engine::core::Core;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::message::{Settled, Token};
use crate::engine::step::Step;
use crate::engine::waiting::blocked;
use crate::error::Result;
use crate::failure::{TEXT_BYTES, shortened};
use crate::id::InstanceId;
use crate::store::records::{self, QuarantineRecord};
use crate::store::{Reader, keys};

impl Core {
    /// Puts an instance into quarantine and ends the calls that wait for it.
    pub(super) fn quarantine(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        reason: &str,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        // It may be the text of a decoder, which quotes what it read.
        let reason = &*shortened(reason, TEXT_BYTES);
        tracing::error!(entity = %id, reason, "an entity is quarantined; its messages wait");
        mailbox.block = Block::Quarantined(reason.to_owned());
        self.note_stopped(id, reason, step)?;
        let error = blocked(id, &mailbox.block);
        self.fail_waiting_calls(id, mailbox, &error, step, reader)
    }

    /// Notes that an instance cannot go on, so that every open tries it again.
    pub(super) fn note_stopped(&mut self, id: &InstanceId, reason: &str, step: &mut Step) -> Result<()> {
        let partition = self.partition_of(id);
        if self.partition_mut(partition).quarantined.insert(id.clone()) {
            let record = QuarantineRecord {
                reason: reason.to_owned(),
                since: step.now,
            };
            step.batch
                .put(&keys::quarantine(partition, id), &records::encode(&record)?);
        }
        Ok(())
    }

    /// Notes that an instance can go on.
    pub(super) fn end_quarantine(&mut self, id: &InstanceId, step: &mut Step) {
        let partition = self.partition_of(id);
        if self.partition_mut(partition).quarantined.remove(id) {
            tracing::info!(instance = %id, "an instance leaves its quarantine");
            step.batch.delete(&keys::quarantine(partition, id));
        }
    }

    /// Lets a quarantined or held instance go on; answers whether it was one.
    pub(super) fn resume(&mut self, id: &InstanceId, token: Token, step: &mut Step) {
        let held = self.held.remove(id);
        let mailbox = self.mailbox(id);
        let is_blocked = matches!(mailbox.block, Block::Quarantined(_) | Block::Held | Block::Stopped);
        if is_blocked {
            mailbox.block = Block::Open;
            self.states.remove(id);
        }
        self.make_ready(id);
        let answer = if held || is_blocked { "true" } else { "false" };
        step.settle(token, Settled::Answer(answer.into()));
    }
}
