//! How an execution begins: a start, a start time that has come, and what follows on a continue-as-new.

use crate::engine::core::Core;
use crate::engine::mailbox::Block;
use crate::engine::message::{Message, Origin, Settled};
use crate::engine::orchestration::instance::Instance;
use crate::engine::orchestration::turn::{Gathered, Stage};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ExecutionId, InstanceId};
use crate::store::records::history::{Incoming, SEMANTICS, Started, StepOutcome};
use crate::store::records::instance::{OrchestrationStatus, Order, ReusePolicy, StartRecord};
use crate::store::records::{Action, RequestOutcome, TimerRecord};
use crate::store::{Reader, keys};

/// The timer of an orchestration that waits for its start time.
pub(crate) const START_TIMER: &str = "start";

impl Core {
    /// Processes a message that asks for a start.
    pub(super) fn start(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let Some(Order::Start(start)) = message.order() else {
            return Ok(());
        };
        let start = StartRecord::clone(start);
        if let Some(instance) = stage.instance.as_ref().filter(|instance| !instance.is_terminal()) {
            let record = &instance.record;
            if start.execution.is_some() {
                let awaited = start.execution == Some(record.execution) && record.turns == 0;
                return if awaited {
                    self.begin_execution(stage, message, start, step, reader)
                } else {
                    // Its execution has ended before it could begin.
                    self.consume(&message, stage.mailbox, step);
                    Ok(())
                };
            }
            match start.reuse {
                ReusePolicy::Ignore if start.parent.is_none() => {
                    let answer = execution_json(record.execution);
                    return self.finish(stage.id, stage.mailbox, message, Ok(answer), step, reader);
                }
                ReusePolicy::Terminate => {
                    let reason = "a new start took its place";
                    self.end_from_outside(stage, OrchestrationStatus::Terminated, reason, true, step, reader)?;
                    stage.mailbox.block = Block::Open;
                }
                ReusePolicy::Error | ReusePolicy::Ignore => {
                    return self.refuse_start(stage, message, &start, step, reader);
                }
            }
        } else if start.execution.is_some() {
            self.consume(&message, stage.mailbox, step);
            return Ok(());
        }
        self.create(stage, message, start, step, reader)
    }

    fn refuse_start(
        &mut self,
        stage: &mut Stage<'_>,
        message: Message,
        start: &StartRecord,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let error = exists_already(stage.id);
        if let Some(parent) = &start.parent {
            self.tell_parent(stage.id, parent, StepOutcome::Runtime(error.clone()), step);
        }
        self.finish(stage.id, stage.mailbox, message, Err(error.into()), step, reader)
    }

    /// Makes the orchestration, in the place of one that has ended under its id.
    fn create(
        &mut self,
        stage: &mut Stage<'_>,
        mut message: Message,
        mut start: StartRecord,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let execution = ExecutionId::derive(&self.hub, stage.id, message.id);
        self.acknowledge(&message, execution_json(execution), step, reader)?;
        // From here on it is a message of the hub's own, which the record waits for.
        self.consume(&message, stage.mailbox, step);
        message.stored = false;
        message.origin = Origin::of_stored(None);
        start.execution = Some(execution);
        self.settle_version(&mut start);
        let at = start.at.take().filter(|at| *at > step.now);
        let status = if at.is_some() {
            OrchestrationStatus::Pending
        } else {
            OrchestrationStatus::Running
        };
        let mut instance = Instance::new(execution, &started(&start, execution), status, step.now);
        if let Some(before) = stage.instance.take() {
            self.erase_execution(stage.id, &before, step);
            instance = instance.replaces(&before);
        }
        step.erased.remove(stage.id);
        stage.instance = Some(Box::new(instance));
        stage.changed = true;
        tracing::debug!(orchestration = %stage.id, name = start.name, %execution, "an orchestration is made");
        let Some(at) = at else {
            return self.begin_execution(stage, message, start, step, reader);
        };
        self.note_name(stage.id, &start, step);
        let record = TimerRecord {
            source: None,
            action: Action::Order(Box::new(Order::Start(Box::new(start)))),
        };
        // One that a former start left is gone with it; a restart within one step finds none.
        self.remove_timer(stage.id, START_TIMER, step, reader)?;
        self.set_timer(self.partition_of(stage.id), stage.id, START_TIMER, at, &record, step)
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

    /// Runs the first turn of an execution whose record is there.
    fn begin_execution(
        &mut self,
        stage: &mut Stage<'_>,
        mut message: Message,
        mut start: StartRecord,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        self.consume(&message, stage.mailbox, step);
        message.stored = false;
        let early = self.take_early_events(stage.id, step, reader)?;
        start.events.extend(early);
        let settled = self.settle_version(&mut start);
        self.note_name(stage.id, &start, step);
        let Some(instance) = stage.instance.as_mut() else {
            return Ok(());
        };
        if settled {
            instance.record.version = start.version.clone().unwrap_or_default();
        }
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
        message.action = Action::Order(Box::new(Order::Start(Box::new(start))));
        let gathered = Gathered {
            incoming,
            messages: vec![message],
            ..Gathered::default()
        };
        self.run_turn(stage, gathered, step, reader)
    }

    /// Tells a client, and whoever repeats its request, that what it asked for is taken in.
    pub(super) fn acknowledge(
        &mut self,
        message: &Message,
        answer: Vec<u8>,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        if message.client().is_none() || message.stored {
            return Ok(());
        }
        if message.client().is_some_and(|client| client.request.is_some()) {
            self.remember(message, RequestOutcome::Answer(answer.clone()), step, reader)?;
        }
        if let Some(token) = message.token() {
            step.settle(token, Settled::Answer(answer));
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
    }
}

/// What is said of an id that is in use.
pub(super) fn exists_already(id: &InstanceId) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!(
            "an orchestration `{id}` exists and has not ended; choose another id, or start it with another reuse policy"
        ),
    )
}

/// The id of an execution as JSON, which is what a start answers.
fn execution_json(execution: ExecutionId) -> Vec<u8> {
    format!("\"{execution}\"").into_bytes()
}
