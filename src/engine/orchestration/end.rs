//! The end of an execution, and who hears of it.

use crate::engine::core::Core;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::open_steps::OpenSteps;
use crate::engine::orchestration::turn::Stage;
use crate::engine::orchestration::waiters::outcome;
use crate::engine::step::Step;
use crate::error::Result;
use crate::id::{ExecutionId, InstanceId, MessageId};
use crate::store::records::Action;
use crate::store::records::history::{Command, OpenStep, Parent, StepOutcome};
use crate::store::records::instance::{EndRecord, OrchestrationStatus, Order, StartRecord};
use crate::store::{Reader, keys};

/// Whether a command ends its execution.
pub(super) fn is_end(command: Option<&Command>) -> bool {
    matches!(
        command,
        Some(Command::Complete { .. } | Command::Fail { .. } | Command::ContinueAsNew { .. })
    )
}

impl Core {
    /// Ends an orchestration for good. What it had begun is taken back already.
    pub(super) fn end(
        &mut self,
        stage: &mut Stage<'_>,
        status: OrchestrationStatus,
        end: EndRecord,
        step: &mut Step,
    ) -> Result<()> {
        let partition = self.partition_of(stage.id);
        let Some(instance) = stage.instance.as_mut() else {
            return Ok(());
        };
        instance.record.status = status;
        instance.record.unregistered.clear();
        instance.run = None;
        instance.written_in = step.number;
        let was_stopped = instance.record.stopped.take().is_some();
        stage.changed = true;
        step.put(&keys::end(partition, stage.id), &end)?;
        self.tell_waiters(stage.id, &instance.record, &end, step);
        let parent = instance.parent().cloned();
        instance.end = Some(end.clone());
        tracing::debug!(orchestration = %stage.id, ?status, "an orchestration has ended");
        metrics::counter!("abide.orchestrations.ended", "status" => status.as_str()).increment(1);
        if was_stopped {
            self.end_quarantine(stage.id, step);
        }
        // A parent that cancelled it waits no more.
        if let (Some(parent), false) = (parent, status == OrchestrationStatus::Canceled) {
            let outcome = outcome(stage.id, status, Some(end)).into();
            self.tell_parent(stage.id, &parent, outcome, step);
        }
        Ok(())
    }

    pub(super) fn tell_parent(&mut self, id: &InstanceId, parent: &Parent, outcome: StepOutcome, step: &mut Step) {
        let order = Order::Completed {
            execution: parent.execution,
            sequence: parent.sequence,
            outcome,
        };
        self.send(id, InstanceId::trusted(parent.instance.as_str()), order, step);
    }

    /// Sends an order to an orchestration when the turn is over, and returns the id of the message.
    pub(super) fn send(&self, from: &InstanceId, target: InstanceId, order: Order, step: &mut Step) -> MessageId {
        step.send(from, target, Action::Order(Box::new(order)))
    }

    /// Ends an orchestration that did not end by itself: it is terminated or cancelled. Its code is not asked; what it has
    /// begun is read from its history.
    pub(super) fn end_from_outside(
        &mut self,
        stage: &mut Stage<'_>,
        status: OrchestrationStatus,
        reason: &str,
        children: bool,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let Some(instance) = stage.instance.as_ref() else {
            return Ok(());
        };
        let execution = instance.record.execution;
        let mut open = OpenSteps::default();
        self.read_turns(stage.id, &instance.record, reader, |_, turn| {
            open.follow(&turn);
            true
        })?;
        if instance.record.turns == 0 {
            self.remove_timer(stage.id, super::begin::START_TIMER, step, reader)?;
        }
        // What was kept for its first turn is not for an orchestration that takes its place.
        self.drop_early_events(stage.id, step, reader)?;
        for (sequence, open) in open.into_steps() {
            if let OpenStep::Child { instance } = &open {
                if children {
                    let parent = Parent {
                        instance: stage.id.as_str().to_owned(),
                        execution,
                        sequence,
                    };
                    let order = Order::CancelChild {
                        parent,
                        reason: Some(format!("its parent `{}` was ended: {reason}", stage.id)),
                        terminated: status == OrchestrationStatus::Terminated,
                    };
                    self.send(stage.id, InstanceId::trusted(instance.as_str()), order, step);
                }
                continue;
            }
            self.take_back(stage, sequence, open, step, reader)?;
        }
        self.end(stage, status, EndRecord::Ended(reason.to_owned()), step)
    }

    /// Ends this execution and lets the next one begin before anything else is looked at.
    pub(super) fn continue_as_new(
        &mut self,
        stage: &mut Stage<'_>,
        input: Vec<u8>,
        version: Option<String>,
        events: Vec<(String, Vec<u8>)>,
        step: &mut Step,
    ) -> Result<()> {
        let id = step.next_id();
        let next = ExecutionId::derive(&self.hub, stage.id, id);
        let Some(instance) = stage.instance.as_mut() else {
            return Ok(());
        };
        let record = &mut instance.record;
        let start = StartRecord {
            name: record.name.clone(),
            version: Some(version.unwrap_or_else(|| record.version.clone())),
            input,
            tags: record.tags.clone(),
            trace: record.trace.clone(),
            parent: record.parent.clone(),
            events: events
                .into_iter()
                .map(|(name, payload)| (name, payload.into()))
                .collect(),
            ..StartRecord::default()
        };
        let partition = self.partition_of(stage.id);
        for turn in 0..record.turns {
            step.batch
                .delete(&keys::turn(partition, stage.id, record.execution, turn));
        }
        record.execution = next;
        record.rewound.clear();
        record.unregistered.clear();
        record.version = start.version.clone().unwrap_or_default();
        record.status = OrchestrationStatus::ContinuedAsNew;
        (record.turns, record.events, record.bytes) = (0, 0, 0);
        instance.run = None;
        instance.start = Some(Box::new(start));
        stage.changed = true;
        stage.next = Some(Message::new(
            id,
            stage.id.clone(),
            Action::Order(Box::new(Order::Begin { execution: next })),
            Origin::Instance(stage.id.clone()),
        ));
        Ok(())
    }
}
