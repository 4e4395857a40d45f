//! The beginning of an execution: by a start, by a due start time, or by continuing as new.

use crate::engine::core_step::{CoreStep, Fact};
use crate::engine::ctx::Ctx;
use crate::engine::dead_letters::bury;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::children::{Children, forget_all_children, leave_parent, tell_gone};
use crate::engine::orchestration::early::take_early_events;
use crate::engine::orchestration::end::tell_parent;
use crate::engine::orchestration::replay::first_run;
use crate::engine::orchestration::state::{OrchestrationState, erase_execution, present};
use crate::engine::orchestration::turn::{OrchestrationTurn, Round, TurnInput};
use crate::engine::settle::{answer_call, finish};
use crate::engine::timers::{remove_timer, set_timer};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ExecutionId, InstanceId, MessageId};
use crate::model::history::{Incoming, SEMANTICS, Started};
use crate::model::orchestration::START_TIMER;
use crate::model::orchestration::{OrchestrationStatus, Order, ReusePolicy, StartRecord};
use crate::model::{Action, Outcome, TimerRecord};
use crate::schema;
use crate::time::Timestamp;
use crate::views::orchestrations::start_of;

/// The properties of an orchestration that its executions share.
pub(super) struct Life {
    /// Time of the start.
    pub(super) created: Timestamp,
    /// The order of its parent with which a sub-orchestration began.
    pub(super) order: Option<MessageId>,
}

impl Life {
    /// Returns the properties of an orchestration that begins with this start.
    fn of(start: &StartRecord, step: &CoreStep) -> Self {
        Self {
            created: step.now,
            order: start.order,
        }
    }
}

impl OrchestrationTurn<'_> {
    /// Processes a message that requests a start. Returns how the round continues.
    pub(super) fn start(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<Round> {
        let Some(Order::Start(start)) = message.order() else {
            unreachable!("only starts come here");
        };
        let mut start = StartRecord::clone(start);
        // An orchestration that an entity starts belongs to the trace of the operation.
        start.trace = start.trace.take().or_else(|| message.trace.clone());
        let life = Life::of(&start, ctx.step);
        let Some(state) = self.state.as_deref() else {
            self.create(message, start, life, ctx)?;
            return Ok(Round::Again);
        };
        let record = &state.record;
        let again = start.parent.is_some() && start.parent == record.parent;
        if again && !state.is_terminal() {
            // A client rewound or restarted the child before its parent did.
            tell_gone(self.id, &start, ctx);
            self.mailbox.consume(&message, ctx);
            return Ok(Round::Again);
        }
        match start.reuse {
            ReusePolicy::RejectDuplicate => {
                self.refuse_start(message, &start, ctx)?;
                return Ok(Round::Again);
            }
            _ if state.is_terminal() => {}
            ReusePolicy::Ignore if start.parent.is_none() => {
                let answer = execution_json(record.execution);
                finish(self.id, self.mailbox, message, Ok(answer), ctx)?;
                return Ok(Round::Again);
            }
            ReusePolicy::Terminate => {
                let reason = "replaced by a new start";
                self.end_from_outside(OrchestrationStatus::Terminated, reason, Children::Included, ctx)?;
                self.mailbox.block = None;
            }
            ReusePolicy::Error | ReusePolicy::Ignore => {
                self.refuse_start(message, &start, ctx)?;
                return Ok(Round::Again);
            }
        }
        // The next attempt of a sub-orchestration keeps the children of the previous attempt.
        if !again && self.forget_children(Children::Left, ctx)? {
            return self.continue_later(message, ctx);
        }
        self.create(message, start, life, ctx)?;
        Ok(Round::Again)
    }

    fn refuse_start(&mut self, message: Message, start: &StartRecord, ctx: &mut Ctx<'_>) -> Result<()> {
        let error = exists_already(self);
        if let Some(parent) = &start.parent {
            tell_parent(self.id, parent, Outcome::Runtime(error.clone()), ctx);
            tell_gone(self.id, start, ctx);
        } else if message.client().is_none() {
            // The sender does not wait, so an error would have no receiver.
            bury(&message, error.message(), ctx)?;
            self.mailbox.consume(&message, ctx);
            return Ok(());
        }
        finish(self.id, self.mailbox, message, Err(error.into()), ctx)
    }

    /// Creates the orchestration, replacing an ended one with the same id, and begins its execution.
    pub(super) fn create(
        &mut self,
        mut message: Message,
        mut start: StartRecord,
        life: Life,
        ctx: &mut Ctx<'_>,
    ) -> Result<()> {
        let execution = ExecutionId::derive(&ctx.settings.hub, self.id, message.id);
        acknowledge(&message, execution_json(execution), ctx)?;
        self.mailbox.consume(&message, ctx);
        let at = start.at.take().filter(|at| *at > ctx.step.now);
        self.make(execution, message.id, start, life, ctx);
        let begin = Order::Begin { execution };
        if let Some(at) = at {
            let record = TimerRecord {
                source: None,
                action: Action::Order(Box::new(begin)),
                trace: None,
            };
            // The timer of a former start was removed with that start. A restart within one step finds none.
            remove_timer(self.id, START_TIMER, ctx)?;
            return set_timer(
                ctx.settings.partition_of(self.id),
                self.id,
                START_TIMER,
                at,
                &record,
                ctx,
            );
        }
        // From here on, it is a message of the hub itself.
        message.stored = false;
        message.origin = Origin::of_stored(None);
        message.action = Action::Order(Box::new(begin));
        self.begin(message, ctx)
    }

    /// Creates the orchestration before its first turn, replacing an ended one with the same id.
    fn make(
        &mut self,
        execution: ExecutionId,
        message: MessageId,
        mut start: StartRecord,
        life: Life,
        ctx: &mut Ctx<'_>,
    ) {
        settle_version(&mut start, ctx);
        note_name(self.id, &start, ctx);
        ctx.record_creation(self.id, execution, &mut start);
        tracing::debug!(orchestration = %self.id, name = start.name, %execution, "an orchestration is made");
        let mut state = OrchestrationState::new(execution, start, OrchestrationStatus::Pending, ctx.step.now);
        state.record.created = life.created;
        state.record.start_order = life.order;
        if let Some(before) = self.state.take() {
            if before.record.start_order != life.order {
                leave_parent(self.id, &before.record, ctx);
            }
            erase_execution(self.id, &before, ctx);
            state = state.replaces(&before, message);
        }
        ctx.step.erased.remove(self.id);
        self.state = Some(Box::new(state));
        self.changed = true;
    }

    /// Creates a sub-orchestration whose parent cancels it before the start, or the order to rewind it, was processed.
    /// It can then end like any other. If its id is in use, nothing is created. An existing child that was to be
    /// rewound stays as it is.
    pub(super) fn make_to_cancel(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<()> {
        let (start, rewinds) = match message.order() {
            Some(Order::Start(start)) => (start, false),
            Some(Order::Rewind { start: Some(start), .. }) => (start, true),
            _ => return Ok(()),
        };
        let life = Life::of(start, ctx.step);
        if let (Some(parent), Some(before)) = (&start.parent, &self.state) {
            if rewinds && before.is_child_of(parent) {
                self.adopt(start, ctx);
                return Ok(());
            }
            if !before.is_terminal() {
                tell_gone(self.id, start, ctx);
                return Ok(());
            }
            if before.record.parent != start.parent {
                forget_all_children(self.id, ctx)?;
            }
        }
        let execution = ExecutionId::derive(&ctx.settings.hub, self.id, message.id);
        self.make(execution, message.id, StartRecord::clone(start), life, ctx);
        Ok(())
    }

    /// Runs the first turn of an execution whose record exists. If its code cannot run, the start is kept together with
    /// the events for the first turn.
    pub(super) fn begin(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<()> {
        self.mailbox.consume(&message, ctx);
        message.stored = false;
        let partition = ctx.settings.partition_of(self.id);
        // The execution may have ended before it could begin.
        let Some(state) = self.state.as_mut().filter(|state| state.awaits(&message)) else {
            return Ok(());
        };
        let known = state.start.take();
        let is_row = known.is_none();
        let mut start = match known {
            Some(start) => *start,
            None => start_of(ctx.reader, partition, self.id, &state.record)?,
        };
        let early = take_early_events(self.id, &start.events, ctx)?;
        let is_settled = settle_version(&mut start, ctx);
        let is_same = early.is_empty() && !is_settled;
        start.events.extend(early);
        note_name(self.id, &start, ctx);
        let state = present(&mut self.state);
        state.record.version = start.version.clone().unwrap_or_default();
        state.record.status = OrchestrationStatus::Running;
        self.changed = true;
        let first = started(&start, state.record.execution);
        state.run = first_run(self.id, &state.record, ctx);
        let raised = start.events.iter().map(|(name, payload)| Incoming::Raised {
            name: name.clone(),
            payload: payload.to_vec(),
        });
        let incoming = std::iter::once(Incoming::Started(Box::new(first)))
            .chain(raised)
            .collect();
        let id = message.id;
        let gathered = TurnInput {
            incoming,
            messages: vec![message],
            ..TurnInput::default()
        };
        let execution = state.record.execution;
        let waited = ctx.age(id);
        self.run_turn(gathered, ctx)?;
        let state = present(&mut self.state);
        if state.record.execution == execution && state.record.turns == 0 {
            // The orchestration is stopped. An equal row need not be written again.
            state.start = (!(is_row && is_same)).then(|| Box::new(start));
            return Ok(());
        }
        ctx.step.facts.push(Fact::Started {
            orchestration: start.name,
            waited,
        });
        if is_row {
            ctx.step
                .batch
                .delete(&schema::orchestration::start_key(partition, self.id));
        }
        Ok(())
    }
}

/// Records the name of an orchestration for the next open. There are few names, so they remain when their
/// orchestrations are gone.
fn note_name(id: &InstanceId, start: &StartRecord, ctx: &mut Ctx<'_>) {
    let partition = ctx.settings.partition_of(id);
    let key = schema::orchestration::name_key(partition, &start.name, start.version.as_deref().unwrap_or_default());
    let names = &mut ctx.partitions.get_mut(partition).names;
    if !names.contains(&key) {
        ctx.step.batch.put(&key, &[]);
        names.insert(key);
    }
}

/// Sets the version of a start without a version to the newest one. Returns `true` if it was set. If the name is not
/// registered, the version remains open until a build that knows the name retries the start.
fn settle_version(start: &mut StartRecord, ctx: &Ctx<'_>) -> bool {
    if start.version.is_some() {
        return false;
    }
    let newest = ctx.settings.registry.versions(&start.name).last();
    start.version = newest.map(|code| code.version().to_owned());
    start.version.is_some()
}

/// Replies to a client, and to clients that repeated the request, that the request is accepted.
pub(super) fn acknowledge(message: &Message, answer: Vec<u8>, ctx: &mut Ctx<'_>) -> Result<()> {
    if message.is_call() {
        answer_call(message, Ok(answer), ctx)?;
    }
    Ok(())
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

/// Returns the error for an id that is in use, or that was used and must not be reused.
pub(super) fn exists_already(stage: &OrchestrationTurn<'_>) -> Error {
    let ended = stage.state.as_ref().filter(|state| state.is_terminal());
    let (how, way_out) = match ended {
        Some(state) => (
            format!("has ended ({})", state.record.status.as_str()),
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

/// Returns the id of an execution as JSON, which is the answer to a start.
fn execution_json(execution: ExecutionId) -> Vec<u8> {
    format!("\"{execution}\"").into_bytes()
}
