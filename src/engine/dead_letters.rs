//! Dead letters: messages that nobody can process in this build. Bounded, visible, and deliverable again.

use crate::engine::core::Core;
use crate::engine::message::{Message, Origin, Settled, Token};
use crate::engine::step::Step;
use crate::error::Result;
use crate::failure::{TEXT_BYTES, shortened};
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::store::records::{self, Action, DeadLetterRecord};
use crate::store::{Reader, keys};

impl Core {
    /// Keeps a message that cannot be processed.
    pub(super) fn bury(&mut self, message: &Message, reason: &str, step: &mut Step) -> Result<()> {
        let Action::Operation { operation, arguments } = &message.action else {
            return Ok(());
        };
        let reason = &*shortened(reason, TEXT_BYTES);
        tracing::warn!(entity = %message.target, operation = %operation, reason, "a message became a dead letter");
        let record = DeadLetterRecord {
            source: message.source(),
            target: message.target.as_str().to_owned(),
            operation: operation.clone(),
            arguments: arguments.clone(),
            reason: reason.to_owned(),
            died: step.now,
        };
        let partition = self.partition_of(&message.target);
        step.batch
            .put(&keys::dead_letter(partition, message.id), &records::encode(&record)?);
        step.counts.dead_letters += 1;
        let partition = self.partition_mut(partition);
        partition.record.dead_letters += 1;
        partition.record_changed = true;
        if partition.record.dead_letters > self.limits.dead_letters {
            self.next_sweep = step.now;
        }
        Ok(())
    }

    /// Sends a dead letter again as a new message, or drops it; answers whether there was one.
    pub(super) fn settle_dead_letter(
        &mut self,
        partition: PartitionId,
        id: MessageId,
        redeliver: bool,
        token: Token,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let key = keys::dead_letter(partition, id);
        let row = if step.letters.insert(key.clone()) {
            reader.get(&key)?
        } else {
            None
        };
        let Some(row) = row else {
            step.settle(token, Settled::Answer("false".into()));
            return Ok(());
        };
        let record: DeadLetterRecord = records::decode(&row, "dead letter")?;
        self.remove_dead_letter(partition, &key, step);
        if redeliver {
            let message = Message {
                id: step.next_id(),
                target: InstanceId::trusted(record.target),
                action: Action::Operation {
                    operation: record.operation,
                    arguments: record.arguments,
                },
                origin: Origin::of_stored(record.source),
                stored: false,
            };
            self.route(message, step, reader)?;
        }
        step.settle(token, Settled::Answer("true".into()));
        Ok(())
    }

    pub(super) fn remove_dead_letter(&mut self, partition: PartitionId, key: &[u8], step: &mut Step) {
        step.batch.delete(key);
        let partition = self.partition_mut(partition);
        partition.record.dead_letters = partition.record.dead_letters.saturating_sub(1);
        partition.record_changed = true;
    }
}
