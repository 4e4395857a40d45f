//! The effects of the commands of a turn.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::activities::{ActivityRequest, drop_activity, request_activity};
use crate::engine::core_step::Fact;
use crate::engine::ctx::Ctx;
use crate::engine::message::Origin;
use crate::engine::orchestration::children::order_child;
use crate::engine::orchestration::end::send;
use crate::engine::orchestration::state::{OrchestrationState, present};
use crate::engine::orchestration::turn::OrchestrationTurn;
use crate::engine::orchestration::unregistered::unregistered_of;
use crate::engine::timers::{remove_timer, set_timer};
use crate::error::Result;
use crate::id::{ActivityKey, ExecutionId, InstanceId, Sequence};
use crate::model::history::{Command, OpenStep, Parent};
use crate::model::orchestration::sort_for_locking;
use crate::model::orchestration::{
    EndRecord, LockId, LockOrder, OrchestrationRecord, OrchestrationStatus, Order, StartRecord,
};
use crate::model::{Action, Outcome, StepRef, TimerRecord};
use crate::time::Timestamp;
use crate::trace::TraceContext;

impl OrchestrationTurn<'_> {
    /// Executes the commands of a turn.
    pub(super) fn carry_out(
        &mut self,
        commands: Vec<Command>,
        unread: Vec<(String, Vec<u8>)>,
        ctx: &mut Ctx<'_>,
    ) -> Result<()> {
        let mut unread = Some(unread);
        for command in commands {
            match command {
                Command::ContinueAsNew {
                    input,
                    version,
                    keep_events,
                } => {
                    let events = unread.take().filter(|_| keep_events).unwrap_or_default();
                    self.continue_as_new(input, version, events, ctx)?;
                }
                Command::Complete { output } => {
                    self.end(OrchestrationStatus::Completed, EndRecord::Completed(output), ctx)?;
                }
                Command::Fail { failure } => {
                    self.end(OrchestrationStatus::Failed, EndRecord::Failed(failure), ctx)?;
                }
                Command::Cancel { sequence, step: open } => self.take_back(sequence, open, ctx)?,
                command => {
                    let unregistered = unregistered_of(&command, ctx);
                    if let Some(state) = self.state.as_mut() {
                        begin_step(self.id, state, command, ctx)?;
                    }
                    if let Some((sequence, on)) = unregistered {
                        self.note_unregistered(sequence, Some(on), ctx);
                    }
                }
            }
        }
        Ok(())
    }

    /// Cancels the work that an open step of the orchestration started.
    pub(super) fn take_back(&mut self, sequence: Sequence, open: OpenStep, ctx: &mut Ctx<'_>) -> Result<()> {
        let id = self.id;
        let state = present(&mut self.state);
        let execution = state.record.execution;
        match open {
            OpenStep::Activity => {
                let activity = ActivityKey {
                    instance: id.clone(),
                    execution,
                    sequence,
                };
                drop_activity(&activity, ctx)
            }
            OpenStep::Timer { .. } => {
                let name = timer_name(execution, sequence);
                remove_timer(id, &name, ctx).map(drop)
            }
            OpenStep::Child { instance } => {
                let parent = Parent {
                    instance: id.clone(),
                    execution,
                    sequence,
                };
                send(
                    id,
                    instance,
                    Order::CancelChild {
                        parent,
                        reason: None,
                        terminated: false,
                    },
                    ctx,
                );
                Ok(())
            }
            OpenStep::Lock { mut entities, granted } => {
                let owner = lock_id(id, execution, sequence);
                let release = |rest| {
                    Action::Lock(Box::new(LockOrder::Release {
                        owner: owner.clone(),
                        rest,
                    }))
                };
                let origin = || Origin::Instance(id.clone());
                sort_for_locking(&mut entities, ctx.settings.partitions);
                let mut rest = VecDeque::from(entities);
                if granted {
                    for entity in rest {
                        ctx.step.send_from(origin(), entity, release(VecDeque::new()));
                    }
                } else if let Some(first) = rest.pop_front() {
                    // The request is still on its way, so the release follows its path.
                    ctx.step.send_from(origin(), first, release(rest));
                }
                Ok(())
            }
            OpenStep::Event | OpenStep::Call { .. } => Ok(()),
        }
    }
}

/// Starts the work that a command requests.
pub(super) fn begin_step(
    id: &InstanceId,
    state: &mut OrchestrationState,
    command: Command,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let execution = state.record.execution;
    let Some(step) = ctx.trace_of_step(id, execution, &command) else {
        return request(id, state, command, ctx);
    };
    let own = ctx.step.trace.replace(step);
    let requested = request(id, state, command, ctx);
    ctx.step.trace = own;
    requested
}

fn request(id: &InstanceId, state: &mut OrchestrationState, command: Command, ctx: &mut Ctx<'_>) -> Result<()> {
    let execution = state.record.execution;
    match command {
        Command::CallActivity {
            sequence,
            name,
            input,
            attempt,
            timeout_ms,
        } => {
            if attempt > 1 {
                ctx.step.facts.push(Fact::ActivityRetried { activity: name.clone() });
            }
            let request = ActivityRequest {
                activity: ActivityKey {
                    instance: id.clone(),
                    execution,
                    sequence,
                },
                name,
                input,
                attempt,
                asked_by: state.record.asked_by(sequence),
                timeout: timeout_ms.map(Duration::from_millis),
            };
            request_activity(request, ctx)
        }
        Command::CreateTimer { sequence, due } => set_step_timer(id, execution, sequence, due, ctx),
        command @ Command::StartOrchestration { .. } => {
            if let Command::StartOrchestration { name, attempt: 2.., .. } = &command {
                let orchestration = name.clone();
                ctx.step.facts.push(Fact::OrchestrationRetried { orchestration });
            }
            let trace = ctx.step.trace.clone();
            if let Some((target, start)) = to_start(id, &state.record, command, trace) {
                if start.parent.is_some() {
                    order_child(id, state, target, start, Order::Start, ctx);
                } else {
                    send(id, target, Order::Start(start), ctx);
                }
            }
            Ok(())
        }
        Command::CallEntity {
            sequence,
            target,
            operation,
            arguments,
            lock,
        } => {
            let caller = StepRef {
                execution,
                sequence,
                lock,
            };
            let action = Action::Operation {
                operation: operation.into(),
                arguments,
            };
            ctx.step.send_from(Origin::Step(id.clone(), caller), target, action);
            Ok(())
        }
        Command::SignalEntity {
            target,
            operation,
            arguments,
            at,
            ..
        } => {
            let action = match at {
                None => Action::Operation {
                    operation: operation.into(),
                    arguments,
                },
                Some((timer, due)) => Action::Schedule {
                    timer,
                    due,
                    operation: operation.into(),
                    arguments,
                },
            };
            ctx.step.send_from(Origin::Instance(id.clone()), target, action);
            Ok(())
        }
        Command::CancelSignal { target, timer, .. } => {
            ctx.step
                .send_from(Origin::Instance(id.clone()), target, Action::Cancel { timer });
            Ok(())
        }
        Command::SendEvent {
            instance,
            name,
            payload,
            ..
        } => {
            let order = Order::Raise {
                name,
                payload,
                keep_until: None,
            };
            send(id, instance, order, ctx);
            Ok(())
        }
        Command::Lock { sequence, mut entities } => {
            let owner = lock_id(id, execution, sequence);
            sort_for_locking(&mut entities, ctx.settings.partitions);
            let mut rest = VecDeque::from(entities);
            if let Some(first) = rest.pop_front() {
                let action = Action::Lock(Box::new(LockOrder::Take { owner, rest }));
                ctx.step.send_from(Origin::Instance(id.clone()), first, action);
            }
            Ok(())
        }
        // These commands send nothing out of the execution, or end it.
        Command::WaitForEvent { .. }
        | Command::Refuse { .. }
        | Command::Cancel { .. }
        | Command::ContinueAsNew { .. }
        | Command::Complete { .. }
        | Command::Fail { .. } => Ok(()),
    }
}

fn set_step_timer(
    id: &InstanceId,
    execution: ExecutionId,
    sequence: Sequence,
    due: Timestamp,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let order = Order::Completed {
        execution,
        sequence,
        outcome: Outcome::Answer(b"null".to_vec()),
    };
    let record = TimerRecord {
        source: Some(id.clone()),
        action: Action::Order(Box::new(order)),
        trace: ctx.step.trace.clone(),
    };
    let name = timer_name(execution, sequence);
    set_timer(ctx.settings.partition_of(id), id, &name, due, &record, ctx)
}

/// Returns the id and the start record of the orchestration that a command starts.
pub(super) fn to_start(
    id: &InstanceId,
    starter: &OrchestrationRecord,
    command: Command,
    trace: Option<Box<TraceContext>>,
) -> Option<(InstanceId, Box<StartRecord>)> {
    let Command::StartOrchestration {
        sequence,
        instance,
        name,
        version,
        input,
        tags,
        wait,
        ..
    } = command
    else {
        return None;
    };
    let parent = wait.then(|| Parent {
        instance: id.clone(),
        execution: starter.execution,
        sequence,
    });
    let start = StartRecord {
        name,
        version,
        input,
        tags,
        parent,
        trace,
        ..StartRecord::default()
    };
    Some((instance, Box::new(start)))
}

fn lock_id(id: &InstanceId, execution: ExecutionId, sequence: Sequence) -> LockId {
    LockId {
        instance: id.clone(),
        execution,
        sequence,
    }
}

/// Returns the name of the timer of a step. It contains the execution, which distinguishes it from timers of earlier
/// executions.
fn timer_name(execution: ExecutionId, sequence: Sequence) -> String {
    format!("{execution}:{sequence}")
}
