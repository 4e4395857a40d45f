//! External events: to an orchestration that runs, and to one that does not exist yet.

use serde_bytes::ByteBuf;

use crate::engine::core::Core;
use crate::engine::mailbox::Block;
use crate::engine::message::{Message, Origin, Settled};
use crate::engine::orchestration::instance::Instance;
use crate::engine::orchestration::turn::Stage;
use crate::engine::orchestration::waiters::not_found;
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::store::records;
use crate::store::records::instance::{EarlyEventRecord, Order};
use crate::store::{Reader, keys};
use crate::time::Timestamp;

/// What is answered to who raised an event that was taken in.
const TAKEN_IN: &[u8] = b"true";

impl Core {
    /// Takes in an event. It comes back if it is to be told in the turn that is being gathered.
    pub(super) fn raise(
        &mut self,
        stage: &mut Stage<'_>,
        mut message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<Message>> {
        let keep_until = match message.order() {
            Some(Order::Raise { keep_until, .. }) => *keep_until,
            _ => None,
        };
        if let Some(error) = self.has_no_room(stage, &message, step, reader)? {
            // It is not remembered: nothing happened, and a retry may find room.
            if let Some(token) = message.token() {
                step.settle(token, Settled::Failed(Box::new(error.into())));
            }
            return Ok(None);
        }
        let refused = match &stage.instance {
            Some(instance) if message.id < instance.record.since => Error::new(
                ErrorKind::Ended,
                format!(
                    "the event was raised at an orchestration `{}` that has ended and in whose place another one is",
                    stage.id
                ),
            ),
            Some(instance) if instance.is_terminal() => Error::new(
                ErrorKind::Ended,
                format!(
                    "the orchestration `{}` has ended ({}), so that no event reaches it any more",
                    stage.id,
                    instance.record.status.as_str()
                ),
            ),
            // Its first turn is still to come, and gets the event.
            Some(instance) if instance.record.turns == 0 => {
                return self.keep_event(stage, message, Timestamp(u64::MAX), step, reader);
            }
            Some(_) => {
                self.acknowledge(&message, TAKEN_IN.to_vec(), step, reader)?;
                if !message.stored {
                    message.origin = Origin::of_stored(None);
                }
                return Ok(Some(message));
            }
            None => match keep_until.filter(|until| *until > step.now) {
                Some(until) => return self.keep_event(stage, message, until, step, reader),
                None => not_found(stage.id),
            },
        };
        self.finish(stage.id, stage.mailbox, message, Err(refused.into()), step, reader)?;
        Ok(None)
    }

    /// Why an event of a client cannot wait in the queue of an orchestration that takes nothing now.
    fn has_no_room(
        &self,
        stage: &mut Stage<'_>,
        message: &Message,
        step: &Step,
        reader: &dyn Reader,
    ) -> Result<Option<Error>> {
        let state = match stage.mailbox.block {
            Block::Suspended => "is suspended; resume or terminate it",
            Block::Stopped => {
                "has stopped; its status says why: open with a build that can go on with it, or terminate it"
            }
            _ => return Ok(None),
        };
        let begun = |instance: &Instance| !instance.is_terminal() && instance.record.turns > 0;
        let is_new = !message.stored && message.client().is_some_and(|client| !client.must_store);
        if !is_new
            || !stage.instance.as_deref().is_some_and(begun)
            || !self.is_queue_full(stage.id, stage.mailbox, step, reader)?
        {
            return Ok(None);
        }
        let limit = self.limits.queue;
        Ok(Some(Error::new(
            ErrorKind::Overloaded,
            format!(
                "{limit} messages wait for the orchestration `{}`, which {state}, and raise the event again then",
                stage.id
            ),
        )))
    }

    /// Keeps an event for the first turn of an orchestration.
    fn keep_event(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        until: Timestamp,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<Message>> {
        let partition = self.partition_of(stage.id);
        // One that has a row was taken in before, and its sender was told so.
        if !message.stored && self.partition(partition).record.early_events >= self.limits.early_events {
            let limit = self.limits.early_events;
            let error = Error::new(
                ErrorKind::Overloaded,
                format!(
                    "{limit} events wait for orchestrations that are still to begin, and no more are kept; raise it again \
                     when `{}` is there",
                    stage.id
                ),
            );
            self.finish(stage.id, stage.mailbox, message, Err(error.into()), step, reader)?;
            return Ok(None);
        }
        let Some(Order::Raise { name, payload, .. }) = message.order() else {
            return Ok(None);
        };
        let record = EarlyEventRecord {
            name: name.clone(),
            payload: payload.clone(),
            expires: until,
        };
        let key = keys::early_event(partition, stage.id, message.id);
        step.put(&key, &record)?;
        step.early_events.insert(key, Some(record));
        let counters = self.partition_mut(partition);
        counters.record.early_events += 1;
        counters.record_changed = true;
        self.finish(stage.id, stage.mailbox, message, Ok(TAKEN_IN.to_vec()), step, reader)?;
        Ok(None)
    }

    /// The events that were kept for an orchestration which begins now, oldest first.
    pub(super) fn take_early_events(
        &mut self,
        id: &InstanceId,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Vec<(String, ByteBuf)>> {
        let partition = self.partition_of(id);
        if self.partition(partition).record.early_events == 0 {
            return Ok(Vec::new());
        }
        let range = keys::early_events_of(partition, id);
        let mut rows = std::collections::BTreeMap::new();
        for (key, value) in reader.scan(range.clone(), usize::MAX)? {
            rows.insert(key, Some(records::decode(&value, "early event")?));
        }
        // What this very step kept or removed is not seen by the reader.
        for (key, event) in step.early_events.range(range) {
            rows.insert(key.clone(), event.clone());
        }
        let mut events = Vec::with_capacity(rows.len());
        for (key, event) in rows {
            let Some(event): Option<EarlyEventRecord> = event else {
                continue;
            };
            self.forget_early_event(partition, key, step);
            if event.expires > step.now {
                events.push((event.name, ByteBuf::from(event.payload)));
            }
        }
        Ok(events)
    }

    fn forget_early_event(&mut self, partition: PartitionId, key: Vec<u8>, step: &mut Step) {
        step.batch.delete(&key);
        step.early_events.insert(key, None);
        let counters = self.partition_mut(partition);
        counters.record.early_events = counters.record.early_events.saturating_sub(1);
        counters.record_changed = true;
    }

    /// Forgets events whose orchestration never began.
    pub(in crate::engine) fn sweep_early_events(
        &mut self,
        id: PartitionId,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        if self.partition(id).record.early_events == 0 {
            return Ok(());
        }
        // They are few: their number is bounded, and most are taken soon.
        for (key, value) in reader.scan(keys::early_events(id), usize::MAX)? {
            let record: EarlyEventRecord = records::decode(&value, "early event")?;
            if record.expires <= self.aging.at(step.now) && !step.early_events.contains_key(&key) {
                tracing::warn!(
                    event = record.name,
                    "an event is forgotten, because its orchestration never began"
                );
                self.forget_early_event(id, key, step);
            }
        }
        Ok(())
    }
}
