//! The rows by which an orchestration finds its sub-orchestrations when it is purged.
//!
//! A row names the child and the order that the child began with, and so does the record of the child. So the rows outlive the
//! executions that wrote them, and never mean another orchestration that has taken the id of a child. A row goes with the child
//! or with the parent.

use crate::engine::core::Core;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::instance::Instance;
use crate::engine::orchestration::turn::Stage;
use crate::engine::step::Step;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
use crate::store::records::history::Parent;
use crate::store::records::instance::{InstanceRecord, Order};
use crate::store::{Reader, keys};

impl Core {
    /// Sends a sub-orchestration the order that it begins with.
    pub(super) fn order_child(
        &mut self,
        id: &InstanceId,
        parent: &mut Instance,
        child: InstanceId,
        order: Order,
        step: &mut Step,
    ) {
        let sent = self.send(id, child.clone(), order, step);
        step.batch
            .put(&keys::child(self.partition_of(id), id, &child, sent), &[]);
        parent.children_in = step.number;
    }

    /// Notifies the parent that no orchestration exists that began with this order: it is gone, or it was never made.
    pub(super) fn tell_gone(&mut self, id: &InstanceId, parent: &Parent, start: MessageId, step: &mut Step) {
        let parent = InstanceId::trusted(parent.instance.as_str());
        self.send(id, parent, Order::ChildGone { start }, step);
    }

    /// Notifies the parent of an orchestration, if it has one, that the orchestration is gone or has another parent now.
    pub(super) fn leave_parent(&mut self, id: &InstanceId, record: &InstanceRecord, step: &mut Step) {
        if let (Some(parent), Some(start)) = (&record.parent, record.start_order) {
            self.tell_gone(id, parent, start, step);
        }
    }

    /// Makes a sub-orchestration the child of the step of its parent that has sent this order.
    pub(super) fn adopt(&mut self, stage: &mut Stage<'_>, parent: &Parent, order: MessageId, step: &mut Step) {
        let Some(instance) = stage.instance.as_mut() else {
            return;
        };
        self.leave_parent(stage.id, &instance.record, step);
        instance.record.parent = Some(parent.clone());
        instance.record.start_order = Some(order);
        stage.changed = true;
    }

    /// Removes the row of a sub-orchestration that is gone.
    pub(super) fn forget_child(&mut self, stage: &mut Stage<'_>, message: &Message, start: MessageId, step: &mut Step) {
        if let (Origin::Instance(child), true) = (&message.origin, stage.instance.is_some()) {
            let key = keys::child(self.partition_of(stage.id), stage.id, child, start);
            step.batch.delete(&key);
        }
        self.consume(message, stage.mailbox, step);
    }

    /// Removes a page of the rows of an orchestration's children, and says whether more are left, which the next step has to
    /// remove. With `purge`, these children are to be purged, too.
    pub(super) fn forget_children(
        &mut self,
        stage: &mut Stage<'_>,
        purge: bool,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<bool> {
        let children = keys::children_of(self.partition_of(stage.id), stage.id);
        let page = reader.page(children, self.limits.page())?;
        for (key, _) in &page.rows {
            step.batch.delete(key);
            if let (true, Some((_, child, start))) = (purge, keys::child_parts(key)) {
                self.send(stage.id, InstanceId::trusted(child), Order::PurgeChild { start }, step);
            }
        }
        if let (Some(instance), false) = (stage.instance.as_mut(), page.rows.is_empty()) {
            instance.children_in = step.number;
        }
        Ok(page.full)
    }

    /// Removes the rows of all children of an orchestration at once, where that cannot wait for the next step.
    pub(super) fn forget_all_children(&mut self, id: &InstanceId, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let children = keys::children_of(self.partition_of(id), id);
        for key in reader.keys(children, usize::MAX)? {
            step.batch.delete(&key);
        }
        Ok(())
    }
}
