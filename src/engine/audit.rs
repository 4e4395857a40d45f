//! The newest changes of an entity's state, for types that keep them.

use std::collections::VecDeque;

use crate::engine::ctx::Ctx;
use crate::engine::message::Message;
use crate::engine::turn::EntityTurn;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
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
            let keys = ctx.reader.keys(schema::audit::of(partition, self.id), usize::MAX)?;
            let places = keys.iter().filter_map(|key| schema::message::id_of(key)).collect();
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
