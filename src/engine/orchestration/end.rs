//! The end of an execution, and its notifications.

use crate::engine::core_step::Fact;
use crate::engine::ctx::Ctx;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::children::Children;
use crate::engine::orchestration::early::drop_early_events;
use crate::engine::orchestration::state::present;
use crate::engine::orchestration::turn::OrchestrationTurn;
use crate::engine::orchestration::waiters::{outcome, tell_waiters};
use crate::engine::quarantine::end_quarantine;
use crate::engine::timers::remove_timer;
use crate::error::Result;
use crate::id::{ExecutionId, InstanceId, MessageId};
use crate::model::history::{Command, OpenStep, Parent};
use crate::model::orchestration::START_TIMER;
use crate::model::orchestration::{EndRecord, OrchestrationStatus, Order, StartRecord};
use crate::model::{Action, Outcome};
use crate::schema;

/// Returns `true` if a command ends its execution.
pub(super) fn is_end(command: Option<&Command>) -> bool {
    matches!(
        command,
        Some(Command::Complete { .. } | Command::Fail { .. } | Command::ContinueAsNew { .. })
    )
}

impl OrchestrationTurn<'_> {
    /// Ends an orchestration permanently. The work of its open steps has already been canceled.
    pub(super) fn end(&mut self, status: OrchestrationStatus, end: EndRecord, ctx: &mut Ctx<'_>) -> Result<()> {
        let partition = ctx.settings.partition_of(self.id);
        let state = present(&mut self.state);
        state.record.status = status;
        state.record.unregistered.clear();
        state.run = None;
        state.written_in = ctx.step.number;
        let was_stopped = state.record.stopped.take().is_some();
        self.changed = true;
        ctx.step
            .put(&schema::orchestration::end_key(partition, self.id), &end)?;
        ctx.record_execution(self.id, state, status, Some(&end))?;
        tell_waiters(self.id, &state.record, &end, ctx);
        let parent = state.parent().cloned();
        state.end = Some(end.clone());
        tracing::debug!(orchestration = %self.id, ?status, "an orchestration has ended");
        ctx.step.facts.push(Fact::Ended {
            orchestration: state.record.name.clone(),
            status,
            after: state.record.created.until(ctx.step.now),
        });
        if was_stopped {
            end_quarantine(self.id, ctx);
        }
        // A parent that canceled it no longer waits.
        if let (Some(parent), false) = (parent, status == OrchestrationStatus::Canceled) {
            let outcome = outcome(self.id, status, Some(end)).into();
            tell_parent(self.id, &parent, outcome, ctx);
        }
        Ok(())
    }

    /// Ends an orchestration from outside: it is terminated or canceled. Its code does not run. The open steps are read
    /// from its history.
    pub(super) fn end_from_outside(
        &mut self,
        status: OrchestrationStatus,
        reason: &str,
        children: Children,
        ctx: &mut Ctx<'_>,
    ) -> Result<()> {
        let state = present(&mut self.state);
        let execution = state.record.execution;
        let has_begun = state.record.turns > 0;
        let open = self.open_steps(ctx)?;
        if !has_begun {
            remove_timer(self.id, START_TIMER, ctx)?;
        }
        // Events for its first turn must not reach an orchestration that replaces it.
        drop_early_events(self.id, ctx)?;
        for (sequence, open) in open.into_steps() {
            if let OpenStep::Child { instance } = &open {
                if children == Children::Included {
                    let parent = Parent {
                        instance: self.id.clone(),
                        execution,
                        sequence,
                    };
                    let order = Order::CancelChild {
                        parent,
                        reason: Some(format!("its parent `{}` was ended: {reason}", self.id)),
                        terminated: status == OrchestrationStatus::Terminated,
                    };
                    send(self.id, instance.clone(), order, ctx);
                }
                continue;
            }
            self.take_back(sequence, open, ctx)?;
        }
        self.end(status, EndRecord::Ended(reason.to_owned()), ctx)
    }

    /// Ends this execution and begins the next one before any other work.
    pub(super) fn continue_as_new(
        &mut self,
        input: Vec<u8>,
        version: Option<String>,
        events: Vec<(String, Vec<u8>)>,
        ctx: &mut Ctx<'_>,
    ) -> Result<()> {
        let id = ctx.step.next_id();
        let next = ExecutionId::derive(&ctx.settings.hub, self.id, id);
        let state = present(&mut self.state);
        ctx.record_execution(self.id, state, OrchestrationStatus::ContinuedAsNew, None)?;
        let record = &mut state.record;
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
        let partition = ctx.settings.partition_of(self.id);
        for turn in 0..record.turns {
            ctx.step.batch.delete(&schema::orchestration::turn_key(
                partition,
                self.id,
                record.execution,
                turn,
            ));
        }
        record.execution = next;
        record.rewound.clear();
        record.unregistered.clear();
        record.version = start.version.clone().unwrap_or_default();
        record.status = OrchestrationStatus::ContinuedAsNew;
        (record.turns, record.events, record.bytes) = (0, 0, 0);
        state.run = None;
        state.start = Some(Box::new(start));
        self.changed = true;
        self.next = Some(Message::new(
            id,
            self.id.clone(),
            Action::Order(Box::new(Order::Begin { execution: next })),
            Origin::Instance(self.id.clone()),
        ));
        Ok(())
    }
}

pub(super) fn tell_parent(id: &InstanceId, parent: &Parent, outcome: Outcome, ctx: &mut Ctx<'_>) {
    let order = Order::Completed {
        execution: parent.execution,
        sequence: parent.sequence,
        outcome,
    };
    send(id, parent.instance.clone(), order, ctx);
}

/// Sends an order to an orchestration when the turn is over. Returns the id of the message.
pub(super) fn send(from: &InstanceId, target: InstanceId, order: Order, ctx: &mut Ctx<'_>) -> MessageId {
    ctx.step.send(from, target, Action::Order(Box::new(order)))
}
