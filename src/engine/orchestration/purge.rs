//! The purge of an ended orchestration, alone or with its sub-orchestrations.

use crate::engine::ctx::Ctx;
use crate::engine::orchestration::children::{Children, leave_parent};
use crate::engine::orchestration::orders::wrong_state;
use crate::engine::orchestration::state::erase;
use crate::engine::orchestration::turn::OrchestrationTurn;
use crate::error::{Error, Result};
use crate::id::{ExecutionId, MessageId};
use crate::time::Timestamp;

impl OrchestrationTurn<'_> {
    /// Removes an ended orchestration, together with its sub-orchestrations if `children` are included. Returns `true`
    /// if more of these are left than fit into the step, so the next one has to continue.
    pub(super) fn purge(&mut self, children: Children, ctx: &mut Ctx<'_>) -> Result<bool> {
        if self.forget_children(children, ctx)? {
            return Ok(true);
        }
        if let Some(state) = self.state.take() {
            leave_parent(self.id, &state.record, ctx);
            erase(self.id, &state, ctx);
        }
        Ok(false)
    }

    /// Removes a sub-orchestration and its own sub-orchestrations, because its parent is purged. A child that has not
    /// ended remains, and so does another orchestration that has taken the id since. Returns the same as
    /// [`purge`](Self::purge).
    pub(super) fn purge_child(&mut self, start: MessageId, ctx: &mut Ctx<'_>) -> Result<bool> {
        let is_it = self.ended().is_ok_and(|state| state.record.start_order == Some(start));
        if !is_it {
            return Ok(false);
        }
        if self.forget_children(Children::Included, ctx)? {
            return Ok(true);
        }
        // The parent has already removed its row of the child.
        if let Some(state) = self.state.take() {
            erase(self.id, &state, ctx);
        }
        Ok(false)
    }
}

impl OrchestrationTurn<'_> {
    /// Returns an error unless the orchestration has ended and has not changed since it was `seen`.
    pub(super) fn can_be_purged(&self, seen: Option<(ExecutionId, Timestamp)>) -> std::result::Result<(), Error> {
        let record = &self.ended()?.record;
        match seen {
            Some(seen) if seen != (record.execution, record.changed) => Err(wrong_state(
                self.id,
                "it has changed since the purge found it; inspect it again",
            )),
            _ => Ok(()),
        }
    }
}
