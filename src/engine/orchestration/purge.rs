//! Purge: an orchestration that has ended is forgotten, on its own or with its sub-orchestrations.

use crate::engine::core::Core;
use crate::engine::orchestration::orders::wrong_state;
use crate::engine::orchestration::turn::Stage;
use crate::engine::step::Step;
use crate::error::{Error, Result};
use crate::id::{ExecutionId, MessageId};
use crate::store::Reader;
use crate::time::Timestamp;

impl Core {
    /// Removes an orchestration that has ended, and its sub-orchestrations if `children`. Says whether more of these are left
    /// than fit into the step, so that the next one has to go on.
    pub(super) fn purge(
        &mut self,
        stage: &mut Stage<'_>,
        children: bool,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<bool> {
        if self.forget_children(stage, children, step, reader)? {
            return Ok(true);
        }
        if let Some(instance) = stage.instance.take() {
            self.leave_parent(stage.id, &instance.record, step);
            self.erase_instance(stage.id, &instance, step);
        }
        Ok(false)
    }

    /// Removes a sub-orchestration, with its own, because its parent is purged. One that has not ended stays, and so does another
    /// orchestration that has taken the id since. Returns what [`purge`](Self::purge) does.
    pub(super) fn purge_child(
        &mut self,
        stage: &mut Stage<'_>,
        start: MessageId,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<bool> {
        let is_it = stage
            .ended()
            .is_ok_and(|instance| instance.record.start_order == Some(start));
        if !is_it {
            return Ok(false);
        }
        if self.forget_children(stage, true, step, reader)? {
            return Ok(true);
        }
        // Its parent has removed the row of it already.
        if let Some(instance) = stage.instance.take() {
            self.erase_instance(stage.id, &instance, step);
        }
        Ok(false)
    }
}

impl Stage<'_> {
    /// Whether a client may purge the orchestration: it has ended, and nothing has happened since it was `seen`.
    pub(super) fn can_be_purged(&self, seen: Option<(ExecutionId, Timestamp)>) -> std::result::Result<(), Error> {
        let record = &self.ended()?.record;
        match seen {
            Some(seen) if seen != (record.execution, record.changed) => Err(wrong_state(
                self.id,
                "it has changed since the purge found it; look at it again",
            )),
            _ => Ok(()),
        }
    }
}
