//! Orders from outside. They bypass the queue and do not need the orchestration's code.

use crate::engine::ctx::Ctx;
use crate::engine::mailbox::BlockReason;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::begin::{Life, acknowledge, exists_already};
use crate::engine::orchestration::children::{Children, tell_gone};
use crate::engine::orchestration::end::tell_parent;
use crate::engine::orchestration::rewind::Cut;
use crate::engine::orchestration::state::OrchestrationState;
use crate::engine::orchestration::turn::{OrchestrationTurn, Round};
use crate::engine::orchestration::waiters::{outcome, read_end};
use crate::engine::requests::settle_repeated;
use crate::engine::settle::finish;
use crate::engine::waiting::{kept_in_memory, save};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::model::Outcome;
use crate::model::history::{Incoming, Parent, TurnRecord};
use crate::model::orchestration::{OrchestrationStatus, Order, StartRecord};
use crate::time::Timestamp;
use crate::views::orchestrations::start_of;
use crate::views::turns::read_turns;

/// The result of an order.
enum Verdict {
    Done,
    Refused(Error),
}

/// The result of an order to rewind a sub-orchestration.
enum ChildRewind {
    Done,
    /// The order is executed only partially, and the next step of the core has to continue it.
    Unfinished,
    /// The sub-orchestration has to start again, with this time of its creation.
    StartsAgain {
        created: Timestamp,
    },
}

impl OrchestrationTurn<'_> {
    /// Executes an order and replies to its sender. Returns how the round continues, because an order may take more
    /// than one step of the core.
    pub(super) fn order(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<Round> {
        let Some(order) = message.order() else {
            unreachable!("only messages for orchestrations come here");
        };
        let verdict = match order {
            Order::Start(_) => return self.start(message, ctx),
            Order::Begin { .. } => return self.begin(message, ctx).map(|()| Round::Again),
            Order::Restart => return self.restart(message, ctx).map(|()| Round::Again),
            Order::ChildGone { start } => {
                self.forget_child(&message, *start, ctx);
                return Ok(Round::Again);
            }
            Order::CancelChild {
                parent,
                reason,
                terminated,
            } => {
                if is_child(self, parent) {
                    let unwanted = || format!("`{}` no longer needs it", parent.instance);
                    let status = match terminated {
                        true => OrchestrationStatus::Terminated,
                        false => OrchestrationStatus::Canceled,
                    };
                    let reason = reason.clone().unwrap_or_else(unwanted);
                    self.end_from_outside(status, &reason, Children::Included, ctx)?;
                    self.mailbox.block = None;
                }
                Verdict::Done
            }
            Order::Terminate { reason, children } => match self.running() {
                Ok(_) => {
                    self.end_from_outside(
                        OrchestrationStatus::Terminated,
                        reason,
                        Children::included(*children),
                        ctx,
                    )?;
                    self.mailbox.block = None;
                    Verdict::Done
                }
                Err(refused) => Verdict::Refused(refused),
            },
            Order::Suspend { reason } => self.suspend(reason, ctx)?,
            Order::Resume { reason } => self.resume_orchestration(reason, ctx)?,
            Order::Rewind { reason, start: None } => self.rewind(reason, ctx)?,
            Order::Rewind {
                reason,
                start: Some(start),
            } => match self.rewind_child(reason, start, ctx)? {
                ChildRewind::Done => Verdict::Done,
                ChildRewind::Unfinished => return self.continue_later(message, ctx),
                ChildRewind::StartsAgain { created } => {
                    let life = Life {
                        created,
                        order: start.order,
                    };
                    let start = StartRecord::clone(start);
                    self.create(message, start, life, ctx)?;
                    return Ok(Round::Again);
                }
            },
            Order::Purge { children, seen } => match self.can_be_purged(*seen) {
                Ok(()) if self.purge(Children::included(*children), ctx)? => {
                    return self.continue_later(message, ctx);
                }
                Ok(()) => Verdict::Done,
                Err(refused) => Verdict::Refused(refused),
            },
            Order::PurgeChild { start } => match self.purge_child(*start, ctx)? {
                true => return self.continue_later(message, ctx),
                false => Verdict::Done,
            },
            Order::Awaits {
                execution,
                sequence,
                on,
            } => {
                self.take_in_unregistered(*execution, *sequence, on.clone(), ctx)?;
                Verdict::Done
            }
            Order::Completed { .. } | Order::Raise { .. } | Order::LockLost { .. } => Verdict::Done,
        };
        let outcome = match verdict {
            Verdict::Done => Ok(b"true".to_vec()),
            Verdict::Refused(error) => Err(error.into()),
        };
        finish(self.id, self.mailbox, message, outcome, ctx)?;
        Ok(Round::Again)
    }

    /// Leaves a partially executed order to the next step of the core. The order gets a row now, so it is completed
    /// even if the hub crashes before. In memory no message overtakes it, so the intermediate state of the
    /// orchestration is not visible.
    pub(super) fn continue_later(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<Round> {
        let message = save(self.id, self.mailbox, message, ctx)?;
        self.mailbox.priority.push_front(message);
        Ok(Round::NextStep)
    }

    fn suspend(&mut self, reason: &str, ctx: &mut Ctx<'_>) -> Result<Verdict> {
        let status = match self.running() {
            Ok(state) => state.record.status,
            Err(refused) => return Ok(Verdict::Refused(refused)),
        };
        if status == OrchestrationStatus::Suspended {
            return Ok(Verdict::Done);
        }
        self.note(
            Incoming::Suspended {
                reason: reason.to_owned(),
            },
            ctx,
        )?;
        if let Some(state) = self.state.as_mut() {
            state.record.status = OrchestrationStatus::Suspended;
            self.changed = true;
        }
        self.mailbox.block = Some(BlockReason::Suspended);
        Ok(Verdict::Done)
    }

    /// Resumes an orchestration that is suspended or stopped.
    fn resume_orchestration(&mut self, reason: &str, ctx: &mut Ctx<'_>) -> Result<Verdict> {
        let (status, turns) = match self.running() {
            Ok(state) => (state.record.status, state.record.turns),
            Err(refused) => return Ok(Verdict::Refused(refused)),
        };
        if status == OrchestrationStatus::Suspended {
            self.note(
                Incoming::Resumed {
                    reason: reason.to_owned(),
                },
                ctx,
            )?;
        }
        if let Some(state) = self.state.as_mut()
            && status == OrchestrationStatus::Suspended
        {
            state.record.status = if turns == 0 {
                OrchestrationStatus::Pending
            } else {
                OrchestrationStatus::Running
            };
            self.changed = true;
        }
        self.mailbox.block = None;
        Ok(Verdict::Done)
    }

    /// Writes an entry into the history that is not delivered to the code. Before the first turn there is no history.
    fn note(&mut self, incoming: Incoming, ctx: &mut Ctx<'_>) -> Result<()> {
        if self.state.as_ref().is_none_or(|state| state.record.turns == 0) {
            return Ok(());
        }
        let turn = TurnRecord {
            time: ctx.step.now,
            incoming: vec![incoming],
            ..TurnRecord::default()
        };
        self.write_turn(&turn, ctx)
    }

    /// Restarts an ended orchestration with the input of its last execution. It stays the same orchestration: it keeps
    /// its parent and its creation time.
    fn restart(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<()> {
        let record = match self.ended() {
            Ok(state) => &state.record,
            Err(refused) => return finish(self.id, self.mailbox, message, Err(refused.into()), ctx),
        };
        let life = Life {
            created: record.created,
            order: record.start_order,
        };
        let start = start_of(ctx.reader, ctx.settings.partition_of(self.id), self.id, record)?;
        acknowledge(&message, b"true".to_vec(), ctx)?;
        let begin = Message {
            origin: Origin::of_stored(None),
            ..message
        };
        self.create(begin, start, life, ctx)
    }

    /// Rewinds a failed orchestration to before its first failure.
    fn rewind(&mut self, reason: &str, ctx: &mut Ctx<'_>) -> Result<Verdict> {
        let Some(state) = self.state.as_mut() else {
            return Ok(Verdict::Refused(Error::no_orchestration(self.id.as_str())));
        };
        if state.record.status != OrchestrationStatus::Failed {
            let status = state.record.status.as_str();
            return Ok(Verdict::Refused(wrong_state(
                self.id,
                &format!("it is {status}, and only a failed orchestration can be rewound"),
            )));
        }
        let mut turns = Vec::new();
        let record = state.record.clone();
        read_turns(
            ctx.reader,
            ctx.settings.partition_of(self.id),
            self.id,
            &record,
            0..record.turns,
            |_, turn| {
                turns.push(turn);
                true
            },
        )?;
        match Cut::find(turns) {
            Ok(cut) => {
                self.go_on_from(cut, reason, ctx)?;
                Ok(Verdict::Done)
            }
            Err(why) => Ok(Verdict::Refused(wrong_state(self.id, why))),
        }
    }

    /// Rewinds a sub-orchestration, because its parent, which requested `start`, is rewound. A running child continues,
    /// a completed one repeats its result, and a failed one is rewound. Any other child starts again. This includes a
    /// child that no longer exists, because it was purged or another orchestration has ended under its id. The child
    /// begins with this order, so later messages of its parent are for it.
    fn rewind_child(&mut self, reason: &str, start: &StartRecord, ctx: &mut Ctx<'_>) -> Result<ChildRewind> {
        let Some(parent) = &start.parent else {
            return Ok(ChildRewind::Done);
        };
        let mut created = ctx.step.now;
        if let Some(state) = &self.state {
            let status = state.record.status;
            if !state.is_child_of(parent) {
                if !status.is_terminal() {
                    let error = exists_already(self);
                    tell_parent(self.id, parent, Outcome::Runtime(error), ctx);
                    tell_gone(self.id, start, ctx);
                    return Ok(ChildRewind::Done);
                }
                if self.forget_children(Children::Left, ctx)? {
                    return Ok(ChildRewind::Unfinished);
                }
            } else {
                created = state.record.created;
                let end = state.end.clone();
                self.adopt(start, ctx);
                if status == OrchestrationStatus::Completed {
                    let end = match end {
                        Some(end) => Some(end),
                        None => read_end(self.id, ctx)?,
                    };
                    let outcome = outcome(self.id, status, end).into();
                    tell_parent(self.id, parent, outcome, ctx);
                    return Ok(ChildRewind::Done);
                }
                if !status.is_terminal() {
                    return Ok(ChildRewind::Done);
                }
                if status == OrchestrationStatus::Failed && matches!(self.rewind(reason, ctx)?, Verdict::Done) {
                    return Ok(ChildRewind::Done);
                }
            }
        }
        Ok(ChildRewind::StartsAgain { created })
    }

    /// Processes arrived messages of a suspended or stopped orchestration, as far as they do not need its code. The
    /// other messages wait.
    pub(super) fn wait_orders(&mut self, ctx: &mut Ctx<'_>) -> Result<Round> {
        while let Some(message) = self.mailbox.arrivals.pop_front() {
            if settle_repeated(&message, ctx)? {
                continue;
            }
            if self.needs_history(&message, ctx) {
                self.mailbox.arrivals.push_front(message);
                return Ok(Round::NextStep);
            }
            let message = match message.order() {
                None => {
                    self.drop_stranger(&message, ctx);
                    continue;
                }
                Some(Order::Raise { .. }) => match self.raise(message, ctx)? {
                    Some(message) => message,
                    None => continue,
                },
                Some(Order::Begin { .. } | Order::Completed { .. } | Order::LockLost { .. }) => message,
                // An earlier report about the same step may wait as a row, or behind one.
                Some(Order::Awaits { .. }) if self.may_have_reports() => message,
                Some(_) => {
                    let round = self.order(message, ctx)?;
                    if matches!(round, Round::NextStep) || self.mailbox.block.is_none() {
                        return Ok(round);
                    }
                    continue;
                }
            };
            let message = self.keep_waiting(message, ctx)?;
            let in_memory = kept_in_memory(self.mailbox, ctx);
            self.mailbox.park(message, in_memory);
        }
        Ok(Round::Done)
    }

    /// Returns `true` if a report of a missing dependency may wait in the queue.
    fn may_have_reports(&self) -> bool {
        let is_report = |message: &Message| matches!(message.order(), Some(Order::Awaits { .. }));
        self.mailbox.rows.is_some() || self.mailbox.waiting.iter().any(is_report)
    }

    /// Drops a message that is not for an orchestration.
    pub(super) fn drop_stranger(&mut self, message: &Message, ctx: &mut Ctx<'_>) {
        tracing::error!(orchestration = %self.id, message = %message.id, "a message for an entity reached an orchestration and is dropped");
        self.mailbox.consume(message, ctx);
    }
}

impl OrchestrationTurn<'_> {
    /// Returns the orchestration, if it exists and has not ended.
    fn running(&self) -> std::result::Result<&OrchestrationState, Error> {
        match &self.state {
            None => Err(Error::no_orchestration(self.id.as_str())),
            Some(state) if state.is_terminal() => Err(Error::new(
                ErrorKind::Ended,
                format!(
                    "the orchestration `{}` has already ended ({})",
                    self.id,
                    state.record.status.as_str()
                ),
            )),
            Some(state) => Ok(state),
        }
    }

    /// Returns the orchestration, if it exists and has ended.
    pub(super) fn ended(&self) -> std::result::Result<&OrchestrationState, Error> {
        match &self.state {
            None => Err(Error::no_orchestration(self.id.as_str())),
            Some(state) if !state.is_terminal() => Err(wrong_state(
                self.id,
                &format!(
                    "it is {} and has not ended; terminate it first",
                    state.record.status.as_str()
                ),
            )),
            Some(state) => Ok(state),
        }
    }
}

pub(super) fn is_child(stage: &OrchestrationTurn<'_>, parent: &Parent) -> bool {
    let is_its = |state: &OrchestrationState| !state.is_terminal() && state.parent() == Some(parent);
    stage.state.as_deref().is_some_and(is_its)
}

pub(super) fn wrong_state(id: &InstanceId, why: &str) -> Error {
    Error::new(
        ErrorKind::WrongState,
        format!("the orchestration `{id}` does not allow this: {why}"),
    )
}
