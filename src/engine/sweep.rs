//! What is kept for a time only: old request ids and dead letters are removed, a page at a time.

use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::step::Step;
use crate::error::Result;
use crate::id::{InstanceId, PartitionId};
use crate::store::records::{self, DeadLetterRecord};
use crate::store::{Reader, keys};
use crate::time::Timestamp;

/// How often it is looked what is old.
const INTERVAL: Duration = Duration::from_secs(60);

impl Core {
    /// When the next sweep is due, if there is anything that can grow old.
    pub(super) fn sweep_due(&self) -> Option<Timestamp> {
        self.owned()
            .any(|partition| {
                partition.record.requests > 0 || partition.record.dead_letters > 0 || partition.record.early_events > 0
            })
            .then_some(self.next_sweep)
    }

    /// Removes what is old or over its limit.
    pub(super) fn sweep(&mut self, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        if self.sweep_due().is_none_or(|due| due > step.now) {
            return Ok(());
        }
        let owned: Vec<PartitionId> = self.owned().map(|partition| partition.id).collect();
        let mut more = false;
        for id in owned {
            more |= self.sweep_requests(id, step, reader)?;
            more |= self.sweep_dead_letters(id, step, reader)?;
            self.sweep_early_events(id, step, reader)?;
        }
        self.next_sweep = if more { step.now } else { step.now.after(INTERVAL) };
        Ok(())
    }

    /// Forgets request ids; says whether there may be more to forget.
    fn sweep_requests(&mut self, id: PartitionId, step: &mut Step, reader: &dyn Reader) -> Result<bool> {
        let count = self.partition(id).record.requests;
        if count == 0 {
            return Ok(false);
        }
        let mut over = count.saturating_sub(self.limits.requests);
        let rows = reader.scan(keys::request_expiries(id), self.limits.page)?;
        let mut removed = 0;
        for (key, _) in &rows {
            let Some((expires, instance, request)) = keys::request_expiry_parts(key) else {
                continue;
            };
            if expires > self.aging.at(step.now) && over == 0 {
                break;
            }
            over = over.saturating_sub(1);
            removed += 1;
            let request = keys::request(id, &InstanceId::trusted(instance), request);
            step.batch.delete(&request);
            step.batch.delete(key);
            // Its call may end in this very step and must not count on the row that goes.
            step.requests.insert(request, None);
        }
        if removed > 0 {
            let partition = self.partition_mut(id);
            partition.record.requests = partition.record.requests.saturating_sub(removed);
            partition.record_changed = true;
        }
        Ok(removed == self.limits.page as u64)
    }

    /// Drops dead letters; says whether there may be more to drop.
    fn sweep_dead_letters(&mut self, id: PartitionId, step: &mut Step, reader: &dyn Reader) -> Result<bool> {
        let count = self.partition(id).record.dead_letters;
        if count == 0 {
            return Ok(false);
        }
        let mut over = count.saturating_sub(self.limits.dead_letters);
        let rows = reader.scan(keys::dead_letters(id), self.limits.page)?;
        let mut removed = 0;
        for (key, value) in &rows {
            let record: DeadLetterRecord = records::decode(value, "dead letter")?;
            let expired = record.died.after(self.limits.dead_letter_retention) <= self.aging.at(step.now);
            if !expired && over == 0 {
                break;
            }
            over = over.saturating_sub(1);
            removed += 1;
            if step.letters.insert(key.clone()) {
                tracing::warn!(entity = record.target, operation = %record.operation, "a dead letter is dropped for good");
                self.remove_dead_letter(id, key, step);
            }
        }
        Ok(removed == self.limits.page)
    }
}
