//! The rows through which an orchestration finds its sub-orchestrations when it is purged.
//!
//! A row names the child and the order with which the child began, and the record of the child names the same order.
//! Therefore rows outlive the executions that wrote them, and never refer to another orchestration that has taken the
//! id of a child. A row is removed with the child or with the parent.

use crate::engine::ctx::Ctx;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::end::send;
use crate::engine::orchestration::state::{OrchestrationState, present};
use crate::engine::orchestration::turn::OrchestrationTurn;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
use crate::model::orchestration::{OrchestrationRecord, Order, StartRecord};
use crate::schema;

/// The sub-orchestrations in an action on their parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Children {
    Included,
    Left,
}

impl Children {
    pub(super) fn included(included: bool) -> Self {
        if included { Self::Included } else { Self::Left }
    }
}

impl OrchestrationTurn<'_> {
    /// Makes the orchestration the child of the parent's step that sent this order.
    pub(super) fn adopt(&mut self, start: &StartRecord, ctx: &mut Ctx<'_>) {
        let state = present(&mut self.state);
        leave_parent(self.id, &state.record, ctx);
        state.record.parent = start.parent.clone();
        state.record.start_order = start.order;
        self.changed = true;
    }

    /// Removes the row of a sub-orchestration that no longer exists.
    pub(super) fn forget_child(&mut self, message: &Message, start: MessageId, ctx: &mut Ctx<'_>) {
        if let (Origin::Instance(child), true) = (&message.origin, self.state.is_some()) {
            let key = schema::child::key(ctx.settings.partition_of(self.id), self.id, child, start);
            ctx.step.batch.delete(&key);
        }
        self.mailbox.consume(message, ctx);
    }

    /// Removes a page of the orchestration's child rows. Returns `true` if rows are left for the next step. With
    /// `purge`, these children are purged, too.
    pub(super) fn forget_children(&mut self, children: Children, ctx: &mut Ctx<'_>) -> Result<bool> {
        let rows = schema::child::of(ctx.settings.partition_of(self.id), self.id);
        let page = ctx.reader.page(rows, ctx.settings.limits.page())?;
        for (key, _) in &page.rows {
            ctx.step.batch.delete(key);
            if let (Children::Included, Some((_, child, start))) = (children, schema::child::parts(key)) {
                send(self.id, InstanceId::trusted(child), Order::PurgeChild { start }, ctx);
            }
        }
        if let (Some(state), false) = (self.state.as_mut(), page.rows.is_empty()) {
            state.children_in = ctx.step.number;
        }
        Ok(page.full)
    }
}

/// Sends a sub-orchestration the order with which it begins.
pub(super) fn order_child(
    id: &InstanceId,
    parent: &mut OrchestrationState,
    child: InstanceId,
    mut start: Box<StartRecord>,
    order: impl FnOnce(Box<StartRecord>) -> Order,
    ctx: &mut Ctx<'_>,
) {
    let number = ctx.step.next_id();
    start.order = Some(number);
    let key = schema::child::key(ctx.settings.partition_of(id), id, &child, number);
    ctx.step.batch.put(&key, &[]);
    parent.children_in = ctx.step.number;
    send(id, child, order(start), ctx);
}

/// Notifies the parent that no orchestration exists that began with this order, because it was never created.
pub(super) fn tell_gone(id: &InstanceId, start: &StartRecord, ctx: &mut Ctx<'_>) {
    if let (Some(parent), Some(start)) = (&start.parent, start.order) {
        send(id, parent.instance.clone(), Order::ChildGone { start }, ctx);
    }
}

/// Notifies the parent of an orchestration, if there is one, that the orchestration is gone or has another parent.
pub(super) fn leave_parent(id: &InstanceId, record: &OrchestrationRecord, ctx: &mut Ctx<'_>) {
    if let (Some(parent), Some(start)) = (&record.parent, record.start_order) {
        send(id, parent.instance.clone(), Order::ChildGone { start }, ctx);
    }
}

/// Removes all child rows of an orchestration at once, for callers that cannot wait for the next step.
pub(super) fn forget_all_children(id: &InstanceId, ctx: &mut Ctx<'_>) -> Result<()> {
    let children = schema::child::of(ctx.settings.partition_of(id), id);
    for key in ctx.reader.keys(children, usize::MAX)? {
        ctx.step.batch.delete(&key);
    }
    Ok(())
}
