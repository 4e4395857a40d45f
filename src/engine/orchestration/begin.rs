//! How an execution begins: a start, a start time that has come, and what follows on a continue-as-new.

use crate::engine::core::Core;
use crate::engine::mailbox::Block;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::instance::Instance;
use crate::engine::orchestration::turn::{Gathered, Round, Stage};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ExecutionId, InstanceId, MessageId};
use crate::store::instances::start_of;
use crate::store::records::history::{Incoming, SEMANTICS, Started, StepOutcome};
use crate::store::records::instance::{OrchestrationStatus, Order, ReusePolicy, StartRecord};
use crate::store::records::{Action, TimerRecord};
use crate::store::{Reader, keys};
use crate::time::Timestamp;

/// What an orchestration keeps while its executions come and go.
pub(super) struct Life {
    /// When it was started.
    pub(super) created: Timestamp,
    /// The order of its parent that it began with, for a sub-orchestration.
    pub(super) order: Option<MessageId>,
}

impl Life {
    /// One that begins with this message.
    fn of(start: &StartRecord, message: &Message, step: &Step) -> Self {
        Self {
            created: step.now,
            order: start.parent.is_some().then_some(message.id),
        }
    }
}

/// The timer of an orchestration that waits for its start time.
pub(super) const START_TIMER: &str = "start";

impl Core {
    /// Processes a message that asks for a start. Says how the round goes on.
    pub(super) fn start(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Round> {
        let Some(Order::Start(start)) = message.order() else {
            return Ok(Round::Again);
        };
        let mut start = StartRecord::clone(start);
        // What an entity starts belongs to the trace of the operation.
        start.trace = start.trace.take().or_else(|| message.trace.clone());
        let life = Life::of(&start, &message, step);
        let Some(instance) = stage.instance.as_deref() else {
            self.create(stage, message, start, life, step, reader)?;
            return Ok(Round::Again);
        };
        let record = &instance.record;
        let again = start
            .parent
            .as_ref()
            .filter(|parent| record.parent.as_ref() == Some(*parent));
        if let (Some(parent), false) = (again, instance.is_terminal()) {
            // A client rewound or restarted it before its parent did.
            self.tell_gone(stage.id, parent, message.id, step);
            self.consume(&message, stage.mailbox, step);
            return Ok(Round::Again);
        }
        match start.reuse {
            ReusePolicy::RejectDuplicate => {
                self.refuse_start(stage, message, &start, step, reader)?;
                return Ok(Round::Again);
            }
            _ if instance.is_terminal() => {}
            ReusePolicy::Ignore if start.parent.is_none() => {
                let answer = execution_json(record.execution);
                self.finish(stage.id, stage.mailbox, message, Ok(answer), step, reader)?;
                return Ok(Round::Again);
            }
            ReusePolicy::Terminate => {
                let reason = "a new start took its place";
                self.end_from_outside(stage, OrchestrationStatus::Terminated, reason, true, step, reader)?;
                stage.mailbox.block = Block::Open;
            }
            ReusePolicy::Error | ReusePolicy::Ignore => {
                self.refuse_start(stage, message, &start, step, reader)?;
                return Ok(Round::Again);
            }
        }
        // The next attempt of a sub-orchestration keeps the children of the last one.
        if again.is_none() && self.forget_children(stage, false, step, reader)? {
            return self.continue_later(stage, message, step, reader);
        }
        self.create(stage, message, start, life, step, reader)?;
        Ok(Round::Again)
    }

    fn refuse_start(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        start: &StartRecord,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let error = exists_already(stage);
        if let Some(parent) = &start.parent {
            self.tell_parent(stage.id, parent, StepOutcome::Runtime(error.clone()), step);
            self.tell_gone(stage.id, parent, message.id, step);
        } else if message.client().is_none() {
            // Its sender does not wait, so an error would reach no one.
            self.bury(&message, error.message(), step)?;
            self.consume(&message, stage.mailbox, step);
            return Ok(());
        }
        self.finish(stage.id, stage.mailbox, message, Err(error.into()), step, reader)
    }

    /// Makes the orchestration, in the place of one that has ended under its id, and lets it begin.
    pub(super) fn create(
        &mut self,
        stage: &mut Stage<'_>,
        mut message: Message,
        mut start: StartRecord,
        life: Life,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let execution = ExecutionId::derive(&self.hub, stage.id, message.id);
        self.acknowledge(&message, execution_json(execution), step, reader)?;
        self.consume(&message, stage.mailbox, step);
        let at = start.at.take().filter(|at| *at > step.now);
        self.make(stage, message.id, start, life, step);
        let begin = Order::Begin { execution };
        if let Some(at) = at {
            let record = TimerRecord {
                source: None,
                action: Action::Order(Box::new(begin)),
                trace: None,
            };
            // One that a former start left is gone with it; a restart within one step finds none.
            self.remove_timer(stage.id, START_TIMER, step, reader)?;
            return self.set_timer(self.partition_of(stage.id), stage.id, START_TIMER, at, &record, step);
        }
        // From here on it is a message of the hub's own.
        message.stored = false;
        message.origin = Origin::of_stored(None);
        message.action = Action::Order(Box::new(begin));
        self.begin(stage, message, step, reader)
    }

    /// Makes the orchestration, which waits for its first turn, in the place of one that has ended under its id.
    fn make(&mut self, stage: &mut Stage<'_>, message: MessageId, mut start: StartRecord, life: Life, step: &mut Step) {
        let execution = ExecutionId::derive(&self.hub, stage.id, message);
        self.settle_version(&mut start);
        self.note_name(stage.id, &start, step);
        tracing::debug!(orchestration = %stage.id, name = start.name, %execution, "an orchestration is made");
        let mut instance = Instance::new(execution, start, OrchestrationStatus::Pending, step.now);
        instance.record.created = life.created;
        instance.record.start_order = life.order;
        if let Some(before) = stage.instance.take() {
            if before.record.start_order != life.order {
                self.leave_parent(stage.id, &before.record, step);
            }
            self.erase_execution(stage.id, &before, step);
            instance = instance.replaces(&before, message);
        }
        step.erased.remove(stage.id);
        stage.instance = Some(Box::new(instance));
        stage.changed = true;
    }

    /// Makes a sub-orchestration whose parent cancels it before its start, or the order to rewind it, was taken in, so that it
    /// can end like any other. Where its id is in use, nothing is made. A child that is there to be rewound stays as it is.
    pub(super) fn make_to_cancel(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let (start, rewinds) = match message.order() {
            Some(Order::Start(start)) => (start, false),
            Some(Order::Rewind { start: Some(start), .. }) => (start, true),
            _ => return Ok(()),
        };
        let life = Life::of(start, &message, step);
        if let (Some(parent), Some(before)) = (&start.parent, &stage.instance) {
            if rewinds && before.is_child_of(parent) {
                self.adopt(stage, parent, message.id, step);
                return Ok(());
            }
            if !before.is_terminal() {
                self.tell_gone(stage.id, parent, message.id, step);
                return Ok(());
            }
            if before.record.parent != start.parent {
                self.forget_all_children(stage.id, step, reader)?;
            }
        }
        self.make(stage, message.id, StartRecord::clone(start), life, step);
        Ok(())
    }

    /// Notes for the next open which orchestrations there are. There are few names, so they stay when their orchestrations go.
    fn note_name(&mut self, id: &InstanceId, start: &StartRecord, step: &mut Step) {
        let partition = self.partition_of(id);
        let key = keys::orchestration_name(partition, &start.name, start.version.as_deref().unwrap_or_default());
        let names = &mut self.partition_mut(partition).names;
        if !names.contains(&key) {
            step.batch.put(&key, &[]);
            names.insert(key);
        }
    }

    /// Gives a start that names no version the newest one, and says whether it did. Where nobody registered the name it
    /// stays open, until the start is tried again by a build that knows it.
    fn settle_version(&self, start: &mut StartRecord) -> bool {
        if start.version.is_some() {
            return false;
        }
        let newest = self.registry.versions(&start.name).last();
        start.version = newest.map(|code| code.version().to_owned());
        start.version.is_some()
    }

    /// Runs the first turn of an execution whose record is there. If its code cannot run, its start is kept with the events
    /// that it was about to receive.
    pub(super) fn begin(
        &mut self,
        stage: &mut Stage<'_>,
        mut message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        self.consume(&message, stage.mailbox, step);
        message.stored = false;
        let partition = self.partition_of(stage.id);
        // Its execution may have ended before it could begin.
        let Some(instance) = stage.instance.as_mut().filter(|instance| instance.awaits(&message)) else {
            return Ok(());
        };
        let known = instance.start.take();
        let is_row = known.is_none();
        let mut start = match known {
            Some(start) => *start,
            None => start_of(reader, partition, stage.id, &instance.record)?,
        };
        let early = self.take_early_events(stage.id, &start.events, step, reader)?;
        let is_settled = self.settle_version(&mut start);
        let is_same = early.is_empty() && !is_settled;
        start.events.extend(early);
        self.note_name(stage.id, &start, step);
        let Some(instance) = stage.instance.as_mut() else {
            return Ok(());
        };
        instance.record.version = start.version.clone().unwrap_or_default();
        instance.record.status = OrchestrationStatus::Running;
        stage.changed = true;
        let first = started(&start, instance.record.execution);
        instance.run = self.first_run(stage.id, &instance.record);
        let raised = start.events.iter().map(|(name, payload)| Incoming::Raised {
            name: name.clone(),
            payload: payload.to_vec(),
        });
        let incoming = std::iter::once(Incoming::Started(Box::new(first)))
            .chain(raised)
            .collect();
        let gathered = Gathered {
            incoming,
            messages: vec![message],
            ..Gathered::default()
        };
        let execution = instance.record.execution;
        self.run_turn(stage, gathered, step, reader)?;
        let Some(instance) = stage.instance.as_mut() else {
            return Ok(());
        };
        if instance.record.execution == execution && instance.record.turns == 0 {
            // It is stopped. A row that says the same need not be written again.
            instance.start = (!(is_row && is_same)).then(|| Box::new(start));
        } else if is_row {
            step.batch.delete(&keys::start(partition, stage.id));
        }
        Ok(())
    }

    /// Tells a client, and whoever repeats its request, that what it asked for is taken in.
    pub(super) fn acknowledge(
        &mut self,
        message: &Message,
        answer: Vec<u8>,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        if message.is_call() {
            self.answer_call(message, Ok(answer), step, reader)?;
        }
        Ok(())
    }
}

fn started(start: &StartRecord, execution: ExecutionId) -> Started {
    Started {
        semantics: SEMANTICS,
        name: start.name.clone(),
        version: start.version.clone().unwrap_or_default(),
        input: start.input.clone(),
        parent: start.parent.clone(),
        tags: start.tags.clone(),
        seed: execution,
        trace: start.trace.clone(),
    }
}

/// What is said of an id that is in use, or that was used and is not to be used again.
pub(super) fn exists_already(stage: &Stage<'_>) -> Error {
    let ended = stage.instance.as_ref().filter(|instance| instance.is_terminal());
    let (how, way_out) = match ended {
        Some(instance) => (
            format!("has ended ({})", instance.record.status.as_str()),
            "choose another id, purge it,",
        ),
        None => ("has not ended".to_owned(), "choose another id,"),
    };
    Error::new(
        ErrorKind::AlreadyExists,
        format!(
            "an orchestration `{}` exists and {how}; {way_out} or start it with another reuse policy",
            stage.id
        ),
    )
}

/// The id of an execution as JSON, which is what a start answers.
fn execution_json(execution: ExecutionId) -> Vec<u8> {
    format!("\"{execution}\"").into_bytes()
}
