//! The newest changes of an entity's state, for types that keep them.

use std::collections::VecDeque;

use crate::engine::ctx::Ctx;
use crate::engine::message::{Message, Response, Token};
use crate::engine::turn::EntityTurn;
use crate::error::Result;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::model::AuditRecord;
use crate::schema;

/// The places of the stored changes of an entity, oldest first.
#[derive(Debug)]
pub(crate) struct Audit(VecDeque<MessageId>);

impl EntityTurn<'_> {
    /// Stores the state after an operation that may have changed it, if the type of the entity keeps its changes. The oldest
    /// change makes room.
    pub(super) fn note_audit(&mut self, operation: &str, message: &Message, ctx: &mut Ctx<'_>) -> Result<()> {
        match self.code.audit() {
            0 => Ok(()),
            most => self.keep_change(most, operation, message.source(), ctx),
        }
    }

    fn keep_change(
        &mut self,
        most: usize,
        operation: &str,
        source: Option<InstanceId>,
        ctx: &mut Ctx<'_>,
    ) -> Result<()> {
        let partition = ctx.settings.partition_of(self.id);
        if self.entity.audit.is_none() {
            let places = stored_places(partition, self.id, ctx)?;
            self.entity.audit = Some(Box::new(Audit(places)));
        }
        let state = self.entity.object.is_some().then(|| {
            let encoding = self.entity.encoding.clone();
            serde_bytes::ByteBuf::from(ctx.step.encodings[encoding].to_vec())
        });
        let place = ctx.step.next_id();
        let record = AuditRecord {
            time: ctx.step.now,
            operation: operation.to_owned(),
            source,
            state,
        };
        ctx.step.put(&schema::audit::key(partition, self.id, place), &record)?;
        let Some(audit) = self.entity.audit.as_mut() else {
            unreachable!("it was set above");
        };
        audit.0.push_back(place);
        while audit.0.len() > most {
            if let Some(oldest) = audit.0.pop_front() {
                ctx.step.batch.delete(&schema::audit::key(partition, self.id, oldest));
            }
        }
        Ok(())
    }
}

/// Deletes the kept changes of an entity. The answer is `true` if there were any.
pub(super) fn delete_changes(id: &InstanceId, token: Token, ctx: &mut Ctx<'_>) -> Result<()> {
    let partition = ctx.settings.partition_of(id);
    // An entity in memory knows the changes of this step as well.
    let known = ctx.states.get_mut(id).and_then(|entity| entity.audit.as_mut());
    let places = match known {
        Some(audit) => std::mem::take(&mut audit.0),
        None => {
            let places = stored_places(partition, id, ctx)?;
            if let Some(entity) = ctx.states.get_mut(id) {
                entity.audit = Some(Box::new(Audit(VecDeque::new())));
            }
            places
        }
    };
    for place in &places {
        ctx.step.batch.delete(&schema::audit::key(partition, id, *place));
    }
    let answer = if places.is_empty() { "false" } else { "true" };
    ctx.step.settle(token, Response::Answer(answer.into()));
    Ok(())
}

/// Deletes a page of the kept changes of types that no longer keep any. Returns `false` if there are no more.
pub(super) fn sweep_changes(partition: PartitionId, ctx: &mut Ctx<'_>) -> Result<bool> {
    for name in ctx.settings.registry.entities_without_audit() {
        let range = ctx
            .partitions
            .get(partition)
            .changes
            .rest_of(schema::audit::of_type(partition, name));
        let keys = ctx.reader.keys(range, ctx.settings.limits.page)?;
        for key in &keys {
            ctx.step.batch.delete(key);
        }
        if !keys.is_empty() {
            let changes = keys.len();
            tracing::info!(
                name,
                partition = partition.0,
                changes,
                "kept changes are deleted because their entity type keeps none any more"
            );
        }
        if let Some(last) = keys.into_iter().next_back() {
            ctx.partitions.get_mut(partition).changes.from = Some(schema::behind(last));
            return Ok(true);
        }
    }
    Ok(false)
}

fn stored_places(partition: PartitionId, id: &InstanceId, ctx: &Ctx<'_>) -> Result<VecDeque<MessageId>> {
    let keys = ctx.reader.keys(schema::audit::of(partition, id), usize::MAX)?;
    Ok(keys.iter().filter_map(|key| schema::message::id_of(key)).collect())
}

#[cfg(test)]
mod tests;
