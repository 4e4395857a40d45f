//! A turn of an orchestration: its code receives the incoming messages, and its commands are executed.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::engine::changes::ChangeKind;
use crate::engine::code::TurnEnd;
use crate::engine::core_step::{CoreStep, Fact};
use crate::engine::ctx::Ctx;
use crate::engine::mailbox::{BlockReason, Mailbox};
use crate::engine::message::Message;
use crate::engine::orchestration::end::is_end;
use crate::engine::orchestration::orders::is_child;
use crate::engine::orchestration::replay::live;
use crate::engine::orchestration::state::{OrchestrationState, present, stopped};
use crate::engine::orchestration::state::{put_orchestration, take_orchestration};
use crate::engine::orchestration::waiters::tell_stop;
use crate::engine::quarantine::{end_quarantine, note_stopped};
use crate::engine::queue::{Next, Withdrawn};
use crate::engine::requests::settle_repeated;
use crate::error::Result;
use crate::failure::{TEXT_BYTES, shortened};
use crate::id::{ExecutionId, InstanceId, Sequence};
use crate::model::Action;
use crate::model::history::{Incoming, Parent, TurnRecord};
use crate::model::orchestration::{OrchestrationStatus, Order, ReusePolicy, StopKind, Stopped};
use crate::schema;

/// Maximum number of messages that one turn delivers. The rest waits for the next turn.
pub(super) const EVENTS_OF_A_TURN: usize = 1_024;

/// The subject of the turns of one orchestration, taken out of the core's maps.
pub(super) struct OrchestrationTurn<'a> {
    pub(super) id: &'a InstanceId,
    pub(super) mailbox: &'a mut Mailbox,
    /// `None` if the orchestration does not exist.
    pub(super) state: Option<Box<OrchestrationState>>,
    /// True if its row has to be written.
    pub(super) changed: bool,
    /// The message that begins the next execution, before any other work.
    pub(super) next: Option<Message>,
    /// True if this is its second execution within this step of the core.
    pub(super) continued: bool,
}

/// The continuation after a round of turns.
pub(super) enum Round {
    /// There may be more work now.
    Again,
    /// There is no more work, or it is blocked.
    Done,
    /// The next step of the core has to continue.
    NextStep,
}

/// The messages taken from the mailbox for one turn.
#[derive(Default)]
pub(super) struct TurnInput {
    pub(super) incoming: Vec<Incoming>,
    pub(super) messages: Vec<Message>,
    /// Size of all payloads in bytes.
    pub(super) bytes: usize,
    /// The steps whose completions are among the messages.
    pub(super) ended: BTreeSet<Sequence>,
}

impl OrchestrationTurn<'_> {
    fn rounds(&mut self, ctx: &mut Ctx<'_>) -> Result<bool> {
        loop {
            // An orchestration that continues as new without end leaves time for others in between.
            let has_to_rest = self.next.is_some() && (self.continued || ctx.activities.is_closing());
            if ctx.is_full() || has_to_rest || self.has_to_replay(ctx.step) {
                let is_stopped = |state: &OrchestrationState| state.record.stopped.is_some();
                let stopped = self.mailbox.block.is_none() && self.state.as_deref().is_some_and(is_stopped);
                let more = self.next.is_some() || !self.mailbox.is_idle() || self.has_early_events(ctx);
                return Ok(stopped || more);
            }
            match self.round(ctx)? {
                Round::Again => {}
                Round::Done => return Ok(false),
                Round::NextStep => return Ok(true),
            }
        }
    }

    /// Takes the messages up to the next one that needs a turn of its own, and runs the turn.
    fn round(&mut self, ctx: &mut Ctx<'_>) -> Result<Round> {
        if let Some(message) = self.next.take() {
            self.continued = true;
            self.begin(message, ctx)?;
            return Ok(Round::Again);
        }
        if self.has_early_events(ctx) {
            self.tell_early_events(ctx)?;
            return Ok(Round::Again);
        }
        let mut gathered = TurnInput::default();
        let mut next = Round::Done;
        while gathered.incoming.len() < EVENTS_OF_A_TURN && gathered.bytes < ctx.settings.limits.batch_bytes {
            let found = if self.mailbox.block.is_none() {
                self.mailbox.next_message(self.id, ctx)?
            } else {
                self.mailbox.next_priority(self.id, ctx)?
            };
            let message = match found {
                Next::Message(message) => message,
                Next::Later => {
                    next = Round::NextStep;
                    break;
                }
                Next::Nothing => break,
            };
            next = Round::Again;
            if settle_repeated(&message, ctx)? {
                continue;
            }
            let told = match &message.action {
                Action::Order(order) => matches!(
                    **order,
                    Order::Completed { .. } | Order::Raise { .. } | Order::LockLost { .. }
                ),
                // Operations of entities never reach this point, because clients and commands address their targets by
                // type.
                _ => {
                    self.drop_stranger(&message, ctx);
                    continue;
                }
            };
            // The code does not receive it, so it does not end the messages gathered for one turn.
            if let Some(Order::ChildGone { start }) = message.order() {
                self.forget_child(&message, *start, ctx);
                continue;
            }
            if told {
                if let Some(stopped) = self.gather(message, &mut gathered, ctx)? {
                    self.stop(gathered, stopped, ctx)?;
                    return Ok(Round::Again);
                }
                continue;
            }
            if !gathered.incoming.is_empty() {
                self.mailbox.return_first(message);
                break;
            }
            if self.needs_history(&message, ctx) {
                // It stays at the front, because this step may have executed it partially.
                self.mailbox.priority.push_front(message);
                return Ok(Round::NextStep);
            }
            if let Some(Order::CancelChild { parent, .. }) = message.order()
                && !is_child(self, parent)
            {
                // The start of the child, or the order to rewind it, may wait in the queue that this message bypassed.
                // Then the child is created and ends before it begins.
                let is_its_start = |waits: &Message| starts_for(waits, parent);
                match self.mailbox.withdraw(self.id, is_its_start, ctx)? {
                    Withdrawn::Later => {
                        self.mailbox.return_first(message);
                        return Ok(Round::NextStep);
                    }
                    Withdrawn::Yes(start) => self.make_to_cancel(*start, ctx)?,
                    Withdrawn::No => {}
                }
                if !is_child(self, parent) {
                    self.mailbox.consume(&message, ctx);
                    continue;
                }
            }
            return self.order(message, ctx);
        }
        if gathered.incoming.is_empty() {
            if !matches!(next, Round::Again) && self.mailbox.block.is_none() {
                self.try_stopped(ctx)?;
            }
            if matches!(next, Round::Done) && self.mailbox.block.is_some() {
                return self.wait_orders(ctx);
            }
            return Ok(next);
        }
        self.run_turn(gathered, ctx)?;
        Ok(next)
    }

    /// Returns `true` if an order has to read rows that this step wrote, so it has to wait for the next step.
    pub(super) fn needs_history(&self, message: &Message, ctx: &Ctx<'_>) -> bool {
        let Action::Order(order) = &message.action else {
            return false;
        };
        let Some(state) = self.state.as_deref() else {
            return false;
        };
        let (history, children) = match &**order {
            Order::Start(start) => (start.reuse == ReusePolicy::Terminate, true),
            Order::Suspend { .. } | Order::Resume { .. } | Order::ChildGone { .. } => (false, false),
            _ => (true, true),
        };
        let reads_children = children && state.is_terminal();
        history && state.written_in == ctx.step.number || reads_children && state.children_in == ctx.step.number
    }

    /// Adds one message to the turn, or settles it. Returns a stop if the code could not be loaded. Then the message is
    /// the last of `gathered`.
    fn gather(&mut self, mut message: Message, gathered: &mut TurnInput, ctx: &mut Ctx<'_>) -> Result<Option<Stopped>> {
        let (incoming, wanted) = match message.order() {
            Some(Order::Raise { name, payload, .. }) => {
                let incoming = Incoming::Raised {
                    name: name.clone(),
                    payload: payload.clone(),
                };
                match self.raise(message, ctx)? {
                    Some(raised) => message = raised,
                    None => return Ok(None),
                }
                (incoming, Ok(true))
            }
            Some(Order::Completed {
                execution,
                sequence,
                outcome,
            }) => {
                let incoming = Incoming::Completed {
                    sequence: *sequence,
                    outcome: outcome.clone(),
                };
                (incoming, self.wants(*execution, Some(*sequence), ctx)?)
            }
            Some(Order::LockLost {
                execution,
                lock,
                entity,
            }) => {
                let incoming = Incoming::LockLost {
                    lock: *lock,
                    entity: entity.clone(),
                };
                (incoming, self.wants(*execution, None, ctx)?)
            }
            _ => return Ok(None),
        };
        let stopped = wanted.as_ref().err().cloned();
        // The code waits for only one completion of a step, but does not know yet that it is about to receive the
        // first. A sub-orchestration that was rewound completes twice.
        let mut is_second = || match &incoming {
            Incoming::Completed { sequence, .. } => !gathered.ended.insert(*sequence),
            _ => false,
        };
        if wanted.unwrap_or(true) && !is_second() {
            gathered.bytes += incoming.bytes();
            gathered.incoming.push(incoming);
            gathered.messages.push(message);
        } else {
            self.mailbox.consume(&message, ctx);
        }
        Ok(stopped)
    }

    /// Returns `true` if a message for this execution, or for one of its steps, is still needed. The inner error is a
    /// stop if the code could not be loaded.
    pub(super) fn wants(
        &mut self,
        execution: ExecutionId,
        sequence: Option<Sequence>,
        ctx: &mut Ctx<'_>,
    ) -> Result<std::result::Result<bool, Stopped>> {
        let Some(state) = self.state.as_mut() else {
            return Ok(Ok(false));
        };
        if state.is_terminal() || state.record.execution != execution {
            return Ok(Ok(false));
        }
        let Some(sequence) = sequence else {
            return Ok(Ok(true));
        };
        Ok(live(self.id, state, ctx)?.map(|run| run.wants(sequence)))
    }

    /// Runs one turn with the gathered messages.
    pub(super) fn run_turn(&mut self, gathered: TurnInput, ctx: &mut Ctx<'_>) -> Result<()> {
        let state = present(&mut self.state);
        ctx.step.counts.operations += gathered.incoming.len() as u64;
        ctx.step.trace = ctx.trace_of(&state.record);
        let ended = match live(self.id, state, ctx)? {
            Ok(run) => run.turn(ctx.step.now, &gathered.incoming),
            Err(stopped) => Err(stopped),
        };
        let end = match ended.and_then(|end| check_history(self.id, state, &gathered, end, ctx)) {
            Ok(end) => end,
            Err(stopped) => return self.stop(gathered, stopped, ctx),
        };
        for message in &gathered.messages {
            ctx.step.counts.process(&message.id);
            self.mailbox.consume(message, ctx);
        }
        let turn = TurnRecord {
            time: ctx.step.now,
            incoming: gathered.incoming,
            commands: end.commands,
            notes: end.notes,
        };
        self.write_turn(&turn, ctx)?;
        self.go_on_after_stop(ctx);
        self.forget_unregistered(ctx);
        if let Some(status) = end.custom_status {
            let key = schema::orchestration::custom_status_key(ctx.settings.partition_of(self.id), self.id);
            ctx.step.batch.put(&key, &status);
            if let Some(state) = self.state.as_mut() {
                self.changed |= !std::mem::replace(&mut state.record.has_custom_status, true);
            }
        }
        ctx.emit_spans(end.spans);
        self.carry_out(turn.commands, end.unread, ctx)?;
        if ctx.settings.limits.strict_replay
            && let Some(state) = self.state.as_mut()
        {
            state.run = None;
        }
        Ok(())
    }

    /// Appends a turn to the history.
    pub(super) fn write_turn(&mut self, turn: &TurnRecord, ctx: &mut Ctx<'_>) -> Result<()> {
        let partition = ctx.settings.partition_of(self.id);
        let state = present(&mut self.state);
        let record = &mut state.record;
        let key = schema::orchestration::turn_key(partition, self.id, record.execution, record.turns);
        ctx.step.insert(&key, turn)?;
        record.count(turn, ctx.step.row.len());
        record.changed = ctx.step.now;
        state.written_in = ctx.step.number;
        ctx.step
            .note_change(ChangeKind::Turn, self.id, &record.name, Some(record.status));
        Ok(())
    }

    /// Stops an orchestration visibly. The messages that it was about to receive wait until it is retried.
    pub(super) fn stop(&mut self, gathered: TurnInput, mut stopped: Stopped, ctx: &mut Ctx<'_>) -> Result<()> {
        if let Cow::Owned(message) = shortened(&stopped.message, TEXT_BYTES) {
            stopped.message = message;
        }
        tracing::error!(orchestration = %self.id, kind = ?stopped.kind, message = stopped.message, "an orchestration is stopped");
        for message in gathered.messages.into_iter().rev() {
            let message = self.keep_waiting(message, ctx)?;
            self.mailbox.return_first(message);
        }
        note_stopped(self.id, &stopped.message, ctx)?;
        self.mailbox.block = Some(BlockReason::Stopped);
        tell_stop(self.id, &stopped, ctx);
        ctx.step.facts.push(Fact::Stopped {
            orchestration: self
                .state
                .as_ref()
                .map_or_else(String::new, |state| state.record.name.clone()),
            kind: stopped.kind,
        });
        if stopped.kind == StopKind::Unregistered {
            self.note_unregistered_stop(true, ctx);
        }
        if let Some(state) = self.state.as_mut() {
            state.run = None;
            state.record.stopped = Some(stopped);
            self.changed = true;
        }
        Ok(())
    }

    /// Writes the row of an unprocessed message.
    pub(super) fn keep_waiting(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<Message> {
        if !message.stored {
            let partition = ctx.settings.partition_of(self.id);
            self.mailbox.give_row(&mut message, partition, ctx.step)?;
        }
        Ok(message)
    }

    /// Records that an orchestration continues.
    pub(super) fn go_on_after_stop(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(state) = self.state.as_mut()
            && let Some(stopped) = state.record.stopped.take()
        {
            self.changed = true;
            end_quarantine(self.id, ctx);
            if stopped.kind == StopKind::Unregistered {
                self.note_unregistered_stop(false, ctx);
            }
        }
    }

    /// Checks whether a stopped orchestration can continue with the current code, although no message waits for it.
    fn try_stopped(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        let Some(state) = self.state.as_mut() else {
            return Ok(());
        };
        if state.record.stopped.is_none() || state.is_terminal() || state.written_in == ctx.step.number {
            return Ok(());
        }
        match live(self.id, state, ctx)? {
            Ok(_) => self.go_on_after_stop(ctx),
            Err(stopped) => self.stop(TurnInput::default(), stopped, ctx)?,
        }
        Ok(())
    }
}

/// Runs the turns of an orchestration. Returns `true` if it has to run again in the next step.
pub(in crate::engine) fn orchestrate(id: &InstanceId, mailbox: &mut Mailbox, ctx: &mut Ctx<'_>) -> Result<bool> {
    let state = take_orchestration(id, ctx)?;
    ctx.step.trace = state.as_ref().and_then(|state| ctx.trace_of(&state.record));
    let mut stage = OrchestrationTurn {
        id,
        mailbox,
        state,
        changed: false,
        next: None,
        continued: false,
    };
    stage.look_at_status();
    let mut again = stage.rounds(ctx)?;
    if let Some(next) = stage.next.take() {
        let next = stage.keep_waiting(next, ctx)?;
        stage.mailbox.return_first(next);
        // It might continue as new without end. The next open continues it.
        again &= !ctx.activities.is_closing();
    }
    let OrchestrationTurn { state, changed, .. } = stage;
    if let Some(state) = state {
        put_orchestration(id, state, changed, ctx)?;
    }
    Ok(again)
}

/// Checks that a turn keeps the history within its limits.
fn check_history(
    id: &InstanceId,
    state: &OrchestrationState,
    gathered: &TurnInput,
    end: TurnEnd,
    ctx: &Ctx<'_>,
) -> std::result::Result<TurnEnd, Stopped> {
    let record = &state.record;
    let before = record.events;
    let after = before + (gathered.incoming.len() + end.commands.len()) as u64;
    let (most, bytes) = (ctx.settings.limits.history_events, ctx.settings.limits.history_bytes);
    // An orchestration that ends, or begins a new history, may exceed them.
    let ends = is_end(end.commands.last());
    if !ends && (after > most || record.bytes > bytes) {
        return Err(stopped(
            StopKind::HistoryLimit,
            format!(
                "the history of `{id}` has {after} events and {} bytes, but the limit is {most} events and {bytes} \
                 bytes; terminate it, or change its code to continue as new earlier",
                record.bytes
            ),
        ));
    }
    if before <= most / 5 && after > most / 5 {
        tracing::warn!(orchestration = %id, events = after, limit = most, "a history has grown to a fifth of its limit");
    }
    Ok(end)
}

/// Returns `true` if a message starts or rewinds the sub-orchestration of this step of a parent.
fn starts_for(message: &Message, parent: &Parent) -> bool {
    match message.order() {
        Some(Order::Start(start) | Order::Rewind { start: Some(start), .. }) => start.parent.as_ref() == Some(parent),
        _ => false,
    }
}

impl OrchestrationTurn<'_> {
    /// Returns `true` if its code has to be replayed from rows that this step wrote and that its reader does not show.
    fn has_to_replay(&self, step: &CoreStep) -> bool {
        let unloaded =
            |state: &OrchestrationState| state.run.is_none() && state.written_in == step.number && !state.is_terminal();
        self.next.is_none() && self.state.as_deref().is_some_and(unloaded)
    }

    /// Blocks a suspended orchestration.
    fn look_at_status(&mut self) {
        let suspended = |state: &OrchestrationState| state.record.status == OrchestrationStatus::Suspended;
        if self.mailbox.block.is_none() && self.state.as_deref().is_some_and(suspended) {
            self.mailbox.block = Some(BlockReason::Suspended);
        }
    }
}
