//! Orders from outside: they pass the queue and need none of the orchestration's code.

use crate::engine::core::Core;
use crate::engine::mailbox::Block;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::begin::{Life, exists_already};
use crate::engine::orchestration::instance::Instance;
use crate::engine::orchestration::rewind::Cut;
use crate::engine::orchestration::turn::{Round, Stage};
use crate::engine::orchestration::waiters::{not_found, outcome};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, MessageId};
use crate::store::Reader;
use crate::store::instances::start_of;
use crate::store::records::Action;
use crate::store::records::history::{Incoming, Parent, StepOutcome, TurnRecord};
use crate::store::records::instance::{OrchestrationStatus, Order, StartRecord};

/// Why an order was not carried out.
type Refused = std::result::Result<(), Error>;

impl Core {
    /// Carries out an order, and answers who gave it. Says how the round goes on: an order may take more than one step.
    pub(super) fn order(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Round> {
        let Some(order) = message.order() else {
            return Ok(Round::Again);
        };
        let refused = match order {
            Order::Start(_) => return self.start(stage, message, step, reader),
            Order::Begin { .. } => return self.begin(stage, message, step, reader).map(|()| Round::Again),
            Order::Restart => return self.restart(stage, message, step, reader).map(|()| Round::Again),
            Order::ChildGone { start } => {
                self.forget_child(stage, &message, *start, step);
                return Ok(Round::Again);
            }
            Order::CancelChild {
                parent,
                reason,
                terminated,
            } => {
                if is_child(stage, parent) {
                    let unwanted = || format!("`{}` does not want it any more", parent.instance);
                    let status = match terminated {
                        true => OrchestrationStatus::Terminated,
                        false => OrchestrationStatus::Canceled,
                    };
                    let reason = reason.clone().unwrap_or_else(unwanted);
                    self.end_from_outside(stage, status, &reason, true, step, reader)?;
                    stage.mailbox.block = Block::Open;
                }
                Ok(())
            }
            Order::Terminate { reason, children } => match stage.running() {
                Ok(_) => {
                    self.end_from_outside(stage, OrchestrationStatus::Terminated, reason, *children, step, reader)?;
                    stage.mailbox.block = Block::Open;
                    Ok(())
                }
                Err(refused) => Err(refused),
            },
            Order::Suspend { reason } => self.suspend(stage, reason, step)?,
            Order::Resume { reason } => self.resume_orchestration(stage, reason, step)?,
            Order::Rewind { reason, start: None } => self.rewind(stage, reason, step, reader)?,
            Order::Rewind {
                reason,
                start: Some(start),
            } => match self.rewind_child(stage, message.id, reason, start, step, reader)? {
                true => return self.continue_later(stage, message, step, reader),
                false => Ok(()),
            },
            Order::Purge { children, seen } => match stage.can_be_purged(*seen) {
                Ok(()) if self.purge(stage, *children, step, reader)? => {
                    return self.continue_later(stage, message, step, reader);
                }
                refused => refused,
            },
            Order::PurgeChild { start } => match self.purge_child(stage, *start, step, reader)? {
                true => return self.continue_later(stage, message, step, reader),
                false => Ok(()),
            },
            Order::Awaits {
                execution,
                sequence,
                on,
            } => self
                .take_in_unregistered(stage, *execution, *sequence, on.clone(), step, reader)
                .map(Ok)?,
            Order::Completed { .. } | Order::Raise { .. } | Order::LockLost { .. } => Ok(()),
        };
        let outcome = match refused {
            Ok(()) => Ok(b"true".to_vec()),
            Err(error) => Err(error.into()),
        };
        self.finish(stage.id, stage.mailbox, message, outcome, step, reader)?;
        Ok(Round::Again)
    }

    /// Lets the next step go on with an order that is carried out in part. The order has a row from now on, so that it is
    /// carried out in full even if the hub goes down before. In memory nothing passes it, so that no one finds the orchestration
    /// as it is now.
    pub(super) fn continue_later(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Round> {
        let message = self.save(stage.id, stage.mailbox, message, step, reader)?;
        stage.mailbox.urgent.push_front(message);
        Ok(Round::NextStep)
    }

    fn suspend(&mut self, stage: &mut Stage<'_>, reason: &str, step: &mut Step) -> Result<Refused> {
        let status = match stage.running() {
            Ok(instance) => instance.record.status,
            Err(refused) => return Ok(Err(refused)),
        };
        if status == OrchestrationStatus::Suspended {
            return Ok(Ok(()));
        }
        self.note(
            stage,
            Incoming::Suspended {
                reason: reason.to_owned(),
            },
            step,
        )?;
        if let Some(instance) = stage.instance.as_mut() {
            instance.record.status = OrchestrationStatus::Suspended;
            stage.changed = true;
        }
        stage.mailbox.block = Block::Suspended;
        Ok(Ok(()))
    }

    /// Lets an orchestration go on that was suspended, or that is stopped.
    fn resume_orchestration(&mut self, stage: &mut Stage<'_>, reason: &str, step: &mut Step) -> Result<Refused> {
        let (status, turns) = match stage.running() {
            Ok(instance) => (instance.record.status, instance.record.turns),
            Err(refused) => return Ok(Err(refused)),
        };
        if status == OrchestrationStatus::Suspended {
            self.note(
                stage,
                Incoming::Resumed {
                    reason: reason.to_owned(),
                },
                step,
            )?;
        }
        if let Some(instance) = stage.instance.as_mut()
            && status == OrchestrationStatus::Suspended
        {
            instance.record.status = if turns == 0 {
                OrchestrationStatus::Pending
            } else {
                OrchestrationStatus::Running
            };
            stage.changed = true;
        }
        stage.mailbox.block = Block::Open;
        Ok(Ok(()))
    }

    /// Writes something into the history that the code is not told. Before the first turn there is no history.
    fn note(&mut self, stage: &mut Stage<'_>, incoming: Incoming, step: &mut Step) -> Result<()> {
        if stage
            .instance
            .as_ref()
            .is_none_or(|instance| instance.record.turns == 0)
        {
            return Ok(());
        }
        let turn = TurnRecord {
            time: step.now,
            incoming: vec![incoming],
            ..TurnRecord::default()
        };
        self.write_turn(stage, &turn, step)
    }

    /// Begins again with the input of the execution that has ended. It stays the same orchestration: it keeps its parent and
    /// the time at which it was created.
    fn restart(&mut self, stage: &mut Stage<'_>, message: Message, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let record = match stage.ended() {
            Ok(instance) => &instance.record,
            Err(refused) => return self.finish(stage.id, stage.mailbox, message, Err(refused.into()), step, reader),
        };
        let life = Life {
            created: record.created,
            order: record.start_order,
        };
        let start = start_of(reader, self.partition_of(stage.id), stage.id, record)?;
        self.acknowledge(&message, b"true".to_vec(), step, reader)?;
        self.consume(&message, stage.mailbox, step);
        let begin = Message {
            origin: Origin::of_stored(None),
            stored: false,
            ..message
        };
        self.create(stage, begin, start, life, step, reader)
    }

    /// Begins a failed orchestration again from before its first failure.
    fn rewind(&mut self, stage: &mut Stage<'_>, reason: &str, step: &mut Step, reader: &dyn Reader) -> Result<Refused> {
        let Some(instance) = stage.instance.as_mut() else {
            return Ok(Err(not_found(stage.id)));
        };
        if instance.record.status != OrchestrationStatus::Failed {
            let status = instance.record.status.as_str();
            return Ok(Err(wrong_state(
                stage.id,
                &format!("it is {status}, and only one that has failed can be rewound"),
            )));
        }
        let mut turns = Vec::new();
        let record = instance.record.clone();
        self.read_turns(stage.id, &record, reader, |_, turn| {
            turns.push(turn);
            true
        })?;
        match Cut::find(turns) {
            Ok(cut) => self.go_on_from(stage, cut, reason, step).map(Ok),
            Err(why) => Ok(Err(wrong_state(stage.id, why))),
        }
    }

    /// Rewinds a sub-orchestration, because its parent, which asked for `start`, is rewound. One that has not ended continues,
    /// one that has completed repeats its result, and one that has failed is rewound. Any other starts again, and so does one
    /// that no longer exists: it was purged, or another one has ended under its id. It begins with the order of this id, so
    /// that what its parent sent after that is for it.
    ///
    /// Says whether the order is carried out in part, and the next step has to go on with it.
    fn rewind_child(
        &mut self,
        stage: &mut Stage<'_>,
        order: MessageId,
        reason: &str,
        start: &StartRecord,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<bool> {
        let Some(parent) = &start.parent else {
            return Ok(false);
        };
        let mut created = step.now;
        if let Some(instance) = &stage.instance {
            let status = instance.record.status;
            if !instance.is_child_of(parent) {
                if !status.is_terminal() {
                    let error = exists_already(stage);
                    self.tell_parent(stage.id, parent, StepOutcome::Runtime(error), step);
                    self.tell_gone(stage.id, parent, order, step);
                    return Ok(false);
                }
                if self.forget_children(stage, false, step, reader)? {
                    return Ok(true);
                }
            } else {
                created = instance.record.created;
                let end = instance.end.clone();
                self.adopt(stage, parent, order, step);
                if status == OrchestrationStatus::Completed {
                    let end = match end {
                        Some(end) => Some(end),
                        None => self.read_end(stage.id, reader)?,
                    };
                    let outcome = outcome(stage.id, status, end).into();
                    self.tell_parent(stage.id, parent, outcome, step);
                    return Ok(false);
                }
                if !status.is_terminal() {
                    return Ok(false);
                }
                if status == OrchestrationStatus::Failed && self.rewind(stage, reason, step, reader)?.is_ok() {
                    return Ok(false);
                }
            }
        }
        let message = Message::new(
            order,
            stage.id.clone(),
            Action::Order(Box::new(Order::Restart)),
            Origin::of_stored(None),
        );
        let life = Life {
            created,
            order: Some(order),
        };
        self.create(stage, message, start.clone(), life, step, reader)
            .map(|()| false)
    }

    /// Processes what arrived at an orchestration that is suspended or stopped, as far as that needs none of its code, and
    /// lets the rest wait.
    pub(super) fn wait_orders(&mut self, stage: &mut Stage<'_>, step: &mut Step, reader: &dyn Reader) -> Result<Round> {
        while let Some(message) = stage.mailbox.arrivals.pop_front() {
            if self.settle_repeated(&message, step, reader)? {
                continue;
            }
            if self.needs_history(stage, &message, step) {
                stage.mailbox.arrivals.push_front(message);
                return Ok(Round::NextStep);
            }
            let message = match message.order() {
                None => {
                    self.drop_stranger(stage, &message, step);
                    continue;
                }
                Some(Order::Raise { .. }) => match self.raise(stage, message, step, reader)? {
                    Some(message) => message,
                    None => continue,
                },
                Some(Order::Begin { .. } | Order::Completed { .. } | Order::LockLost { .. }) => message,
                Some(_) => {
                    let round = self.order(stage, message, step, reader)?;
                    if matches!(round, Round::NextStep) || matches!(stage.mailbox.block, Block::Open) {
                        return Ok(round);
                    }
                    continue;
                }
            };
            let message = self.keep_waiting(stage, message, step)?;
            let in_memory = self.kept_in_memory(stage.mailbox);
            stage.mailbox.park(message, in_memory);
        }
        Ok(Round::Done)
    }

    /// Drops what is not meant for an orchestration.
    pub(super) fn drop_stranger(&mut self, stage: &mut Stage<'_>, message: &Message, step: &mut Step) {
        tracing::error!(orchestration = %stage.id, message = %message.id, "a message for an entity reached an orchestration and is dropped");
        self.consume(message, stage.mailbox, step);
    }
}

impl Stage<'_> {
    /// The orchestration, if it is there and has not ended.
    fn running(&self) -> std::result::Result<&Instance, Error> {
        match &self.instance {
            None => Err(not_found(self.id)),
            Some(instance) if instance.is_terminal() => Err(Error::new(
                ErrorKind::Ended,
                format!(
                    "the orchestration `{}` has ended already ({})",
                    self.id,
                    instance.record.status.as_str()
                ),
            )),
            Some(instance) => Ok(instance),
        }
    }

    /// The orchestration, if it is there and has ended.
    pub(super) fn ended(&self) -> std::result::Result<&Instance, Error> {
        match &self.instance {
            None => Err(not_found(self.id)),
            Some(instance) if !instance.is_terminal() => Err(wrong_state(
                self.id,
                &format!(
                    "it is {} and has not ended; terminate it first",
                    instance.record.status.as_str()
                ),
            )),
            Some(instance) => Ok(instance),
        }
    }
}

pub(super) fn is_child(stage: &Stage<'_>, parent: &Parent) -> bool {
    let is_its = |instance: &Instance| !instance.is_terminal() && instance.parent() == Some(parent);
    stage.instance.as_deref().is_some_and(is_its)
}

pub(super) fn wrong_state(id: &InstanceId, why: &str) -> Error {
    Error::new(
        ErrorKind::WrongState,
        format!("this cannot be done with the orchestration `{id}`: {why}"),
    )
}
