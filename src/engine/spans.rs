//! Spans of traces, derived from what becomes durable.
//!
//! No span is open in the engine. When an orchestration, a step or an operation has ended, the engine describes its
//! whole span, and the description leaves the process like every other output: once the commit is durable. Ids follow
//! from execution, step and attempt, so a parent knows the span of a child that does not exist yet, and a repetition
//! after a crash has the same ids. See docs/decisions/0038-spans.md.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::Location;

use xxhash_rust::xxh3::xxh3_64;

use crate::engine::code::{OrchestrationRun, TurnEnd};
use crate::engine::ctx::Ctx;
use crate::engine::message::{Effect, Message, Output};
use crate::engine::orchestration::OrchestrationState;
use crate::error::Result;
use crate::failure::CallFailure;
use crate::id::{ActivityKey, ExecutionId, InstanceId, MessageId, Sequence};
use crate::model::history::{Command, Incoming, TurnRecord};
use crate::model::orchestration::{EndRecord, OrchestrationRecord, OrchestrationStatus, StartRecord, Stopped};
use crate::model::{self, Action, Outcome};
use crate::schema;
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(not(feature = "otel"), allow(dead_code))]
pub(crate) struct FinishedSpan {
    /// The trace and the id of the span.
    pub(crate) context: TraceContext,
    /// The id of the parent. `None` for the first span of a trace.
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) kind: SpanKind,
    pub(crate) name: String,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
    pub(crate) error: Option<String>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(not(feature = "otel"), allow(dead_code))]
pub(crate) enum Attribute {
    Text(Cow<'static, str>),
    Instance(InstanceId),
    Number(i64),
}

impl From<&InstanceId> for Attribute {
    fn from(id: &InstanceId) -> Self {
        Self::Instance(id.clone())
    }
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u64> for Attribute {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpanKind {
    Client,
    Server,
    Producer,
    Consumer,
    Internal,
}

/// The names of attributes. Source: the Durable Task SDKs, `Tracing/Schema.cs`.
mod schema_names {
    pub(super) const TYPE: &str = "durabletask.type";
    pub(super) const NAME: &str = "durabletask.task.name";
    pub(super) const VERSION: &str = "durabletask.task.version";
    pub(super) const INSTANCE: &str = "durabletask.task.instance_id";
    pub(super) const EXECUTION: &str = "durabletask.task.execution_id";
    pub(super) const STATUS: &str = "durabletask.task.status";
    pub(super) const TASK: &str = "durabletask.task.task_id";
    pub(super) const OPERATION: &str = "durabletask.task.operation";
    pub(super) const SCHEDULED: &str = "durabletask.task.scheduled_time";
    pub(super) const TARGET: &str = "durabletask.event.target_instance_id";
    pub(super) const FIRE_AT: &str = "durabletask.fire_at";
}
use schema_names::*;

/// Distinguishes the spans of one execution or message.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Purpose {
    Execution,
    Creation,
    Step,
    Attempt,
    Operation,
}

/// Derives the id of a span. It is never zero, which would be invalid.
fn span_id(of: &[u8], purpose: Purpose, number: u64, attempt: u32) -> [u8; 8] {
    let mut bytes = [0; 64];
    let parts = [&[purpose as u8][..], &number.to_be_bytes(), &attempt.to_be_bytes(), of];
    let mut length = 0;
    for part in parts {
        bytes[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    xxh3_64(&bytes[..length]).max(1).to_be_bytes()
}

/// Returns the trace with the id of the span of this execution.
fn execution_span(trace: &TraceContext, execution: ExecutionId) -> TraceContext {
    trace.with_span(span_id(&execution.0, Purpose::Execution, 0, 0))
}

/// Returns the trace with the id of the span of an attempt, which `trace` requests.
pub(crate) fn attempt_span(trace: &TraceContext, activity: &ActivityKey, attempt: u32) -> TraceContext {
    let id = span_id(&activity.execution.0, Purpose::Attempt, activity.sequence, attempt);
    trace.with_span(id)
}

/// Describes the span of an attempt, without its end.
pub(crate) fn attempt(
    requested_by: &TraceContext,
    activity: &ActivityKey,
    name: &str,
    number: u32,
    start: Timestamp,
) -> FinishedSpan {
    FinishedSpan {
        context: attempt_span(requested_by, activity, number),
        parent: Some(requested_by.span()),
        kind: SpanKind::Server,
        name: format!("activity:{name}"),
        start,
        end: start,
        attributes: vec![
            (TYPE, "activity".into()),
            (NAME, name.to_owned().into()),
            (INSTANCE, (&activity.instance).into()),
            (TASK, activity.sequence.into()),
        ],
        error: None,
    }
}

/// Returns the text of a failed outcome.
pub(crate) fn error_of(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Answer(_) => None,
        Outcome::Returned(failure) => Some(failure.to_string()),
        Outcome::Runtime(error) => Some(error.to_string()),
    }
}

fn versioned(what: &str, name: &str, version: &str) -> String {
    match version {
        "" => format!("{what}:{name}"),
        version => format!("{what}:{name}@({version})"),
    }
}

impl Ctx<'_> {
    /// Returns the trace if its spans are recorded.
    fn recorded<'t>(&self, trace: Option<&'t TraceContext>) -> Option<&'t TraceContext> {
        trace.filter(|trace| self.settings.limits.spans.is_some() && trace.is_sampled())
    }

    /// Releases a span once the commit of this step is durable.
    fn emit(&mut self, span: FinishedSpan) {
        self.step.outputs.push(Output::Effect(Effect::Span(Box::new(span))));
    }

    /// Releases spans once the commit of this step is durable.
    pub(super) fn emit_spans(&mut self, spans: Vec<FinishedSpan>) {
        for span in spans {
            self.emit(span);
        }
    }

    /// Returns the trace of everything that an orchestration sends: its own span is the parent.
    pub(super) fn trace_of(&self, record: &OrchestrationRecord) -> Option<Box<TraceContext>> {
        match self.recorded(record.trace.as_deref()) {
            Some(trace) => Some(Box::new(execution_span(trace, record.execution))),
            None => record.trace.clone(),
        }
    }

    /// Records the creation of an orchestration by a client, an entity or another orchestration that does not wait. The
    /// new orchestration belongs to the span of its creation. Without a trace, the creation begins one.
    pub(super) fn record_creation(&mut self, id: &InstanceId, execution: ExecutionId, start: &mut StartRecord) {
        let Some(sampling) = self.settings.limits.spans else {
            return;
        };
        // A parent that waits records the whole time of its step.
        if start.parent.is_some() {
            return;
        }
        let parent = start.trace.as_deref();
        let trace = match parent {
            Some(trace) if trace.is_sampled() => trace.clone(),
            Some(_) => return,
            None if sampling.includes(execution.0) => TraceContext::new(execution.0),
            None => return,
        };
        let parent = parent.map(TraceContext::span);
        let context = trace.with_span(span_id(&execution.0, Purpose::Creation, 0, 0));
        start.trace = Some(Box::new(context.clone()));
        let version = start.version.as_deref().unwrap_or_default();
        let mut attributes = vec![
            (TYPE, "orchestration".into()),
            (NAME, start.name.as_str().to_owned().into()),
            (INSTANCE, id.into()),
            (EXECUTION, execution.to_string().into()),
        ];
        if !version.is_empty() {
            attributes.push((VERSION, version.to_owned().into()));
        }
        if let Some(at) = start.at {
            attributes.push((SCHEDULED, at.to_string().into()));
        }
        let now = self.step.now;
        self.emit(FinishedSpan {
            context,
            parent,
            kind: SpanKind::Producer,
            name: versioned("create_orchestration", &start.name, version),
            start: now,
            end: now,
            attributes,
            error: None,
        });
    }

    /// Records the end of an execution.
    pub(super) fn record_execution(
        &mut self,
        id: &InstanceId,
        state: &OrchestrationState,
        status: OrchestrationStatus,
        end: Option<&EndRecord>,
    ) -> Result<()> {
        let record = state.record();
        let Some(trace) = self.recorded(record.trace.as_deref()) else {
            return Ok(());
        };
        let mut attributes = vec![
            (TYPE, "orchestration".into()),
            (NAME, record.name.as_str().to_owned().into()),
            (INSTANCE, id.into()),
            (EXECUTION, record.execution.to_string().into()),
            (STATUS, status.as_str().into()),
        ];
        if !record.version.is_empty() {
            attributes.push((VERSION, record.version.as_str().to_owned().into()));
        }
        let error = match (status, end) {
            (OrchestrationStatus::Failed, Some(EndRecord::Failed(failure))) => Some(failure.to_string()),
            (OrchestrationStatus::Terminated | OrchestrationStatus::Canceled, Some(EndRecord::Ended(reason))) => {
                Some(reason.clone())
            }
            _ => None,
        };
        let span = FinishedSpan {
            context: execution_span(trace, record.execution),
            parent: Some(trace.span()),
            kind: SpanKind::Server,
            name: versioned("orchestration", &record.name, &record.version),
            start: self.begin_of(id, record)?,
            end: self.step.now,
            attributes,
            error,
        };
        self.emit(span);
        Ok(())
    }

    /// Returns the time of the first turn of an execution.
    fn begin_of(&self, id: &InstanceId, record: &OrchestrationRecord) -> Result<Timestamp> {
        if record.turns == 0 {
            return Ok(self.step.now);
        }
        let partition = self.settings.partition_of(id);
        let key = schema::orchestration::turn_key(partition, id, record.execution, 0);
        // The reader does not show a first turn of this step.
        let Some(row) = self.reader.get(&key)? else {
            return Ok(self.step.now);
        };
        Ok(model::decode::<TurnRecord>(&row, "turn")?.time)
    }

    /// Returns the trace of the work that a command requests: the span of the step is its parent. A command that is
    /// over at once is recorded now, and all others when they end.
    pub(super) fn trace_of_step(
        &mut self,
        id: &InstanceId,
        execution: ExecutionId,
        command: &Command,
    ) -> Option<Box<TraceContext>> {
        let own = self.step.trace.clone();
        let trace = self.recorded(own.as_deref())?.clone();
        let (sequence, attempt) = match command {
            Command::CallActivity { sequence, attempt, .. }
            | Command::StartOrchestration {
                sequence,
                attempt,
                wait: true,
                ..
            } => (*sequence, *attempt),
            Command::CallEntity { sequence, .. }
            | Command::SignalEntity { sequence, .. }
            | Command::SendEvent { sequence, .. } => (*sequence, 1),
            _ => return None,
        };
        let context = step_span(&trace, execution, sequence, attempt);
        let now = self.step.now;
        let (name, mut attributes) = match command {
            Command::SignalEntity {
                target, operation, at, ..
            } => {
                let mut attributes = vec![
                    (TYPE, "entity".into()),
                    (OPERATION, "signal_entity".into()),
                    (TARGET, target.into()),
                ];
                if let Some((_, due)) = at {
                    attributes.push((SCHEDULED, due.to_string().into()));
                }
                (entity_span(target, operation), attributes)
            }
            Command::SendEvent { instance, name, .. } => (
                format!("orchestration_event:{name}"),
                vec![
                    (TYPE, "event".into()),
                    (NAME, name.as_str().to_owned().into()),
                    (TARGET, instance.into()),
                ],
            ),
            _ => return Some(Box::new(context)),
        };
        attributes.push((INSTANCE, id.into()));
        attributes.push((TASK, sequence.into()));
        self.emit(FinishedSpan {
            context: context.clone(),
            parent: Some(trace.span()),
            kind: SpanKind::Producer,
            name,
            start: now,
            end: now,
            attributes,
            error: None,
        });
        Some(Box::new(context))
    }

    /// Returns the trace of everything that an operation sends: the span of the operation is the parent.
    pub(super) fn trace_of_operation(&self, message: &Message) -> Option<Box<TraceContext>> {
        let trace = message.trace.as_deref()?;
        match self.recorded(Some(trace)) {
            Some(trace) => Some(Box::new(operation_span(trace, message.id))),
            None => message.trace.clone(),
        }
    }

    /// Records the end of an operation of an entity.
    pub(super) fn record_operation(&mut self, message: &Message, error: Option<String>) {
        let Some(trace) = message.trace.as_deref() else { return };
        let (Some(trace), Action::Operation { operation, .. }) = (self.recorded(Some(trace)), &message.action) else {
            return;
        };
        let is_call = message.is_call() || message.step().is_some();
        let (kind, what) = match is_call {
            true => (SpanKind::Server, "call_entity"),
            false => (SpanKind::Consumer, "signal_entity"),
        };
        let now = self.step.now;
        self.emit(FinishedSpan {
            context: operation_span(trace, message.id),
            parent: Some(trace.span()),
            kind,
            name: entity_span(&message.target, operation),
            start: now,
            end: now,
            attributes: vec![
                (TYPE, "entity".into()),
                (OPERATION, what.into()),
                (INSTANCE, (&message.target).into()),
            ],
            error,
        });
    }
}

fn operation_span(trace: &TraceContext, message: MessageId) -> TraceContext {
    let id = span_id(
        &message.batch.to_be_bytes(),
        Purpose::Operation,
        message.index.into(),
        0,
    );
    // Message ids are unique in a hub, and the span of the sender distinguishes hubs that share a trace.
    let bytes = [id, trace.span()].concat();
    trace.with_span(xxh3_64(&bytes).max(1).to_be_bytes())
}

fn entity_span(target: &InstanceId, operation: &str) -> String {
    ["entity:", target.entity_name(), ":", operation].concat()
}

fn step_span(trace: &TraceContext, execution: ExecutionId, sequence: Sequence, attempt: u32) -> TraceContext {
    trace.with_span(span_id(&execution.0, Purpose::Step, sequence, attempt))
}

/// A run that also describes the spans of its steps. The times of the steps come from the history, so a replay restores
/// them, and only a live turn releases spans.
pub(super) struct TracedRun {
    run: Box<dyn OrchestrationRun>,
    instance: InstanceId,
    execution: ExecutionId,
    name: String,
    /// The trace, with the span of the execution.
    trace: TraceContext,
    /// The steps that have not ended.
    open: BTreeMap<Sequence, OpenSpan>,
}

/// The span of a step that has not ended.
struct OpenSpan {
    start: Timestamp,
    attempt: u32,
    kind: SpanKind,
    name: String,
    attributes: Vec<(&'static str, Attribute)>,
}

/// Memory of the span of an open step, in bytes.
const OPEN_SPAN: usize = 512;

impl TracedRun {
    /// Wraps a run whose spans are recorded.
    pub(super) fn wrap(
        run: Box<dyn OrchestrationRun>,
        instance: &InstanceId,
        record: &OrchestrationRecord,
    ) -> Box<dyn OrchestrationRun> {
        let Some(trace) = record.trace.as_deref().filter(|trace| trace.is_sampled()) else {
            return run;
        };
        Box::new(Self {
            run,
            instance: instance.clone(),
            execution: record.execution,
            name: record.name.clone(),
            trace: execution_span(trace, record.execution),
            open: BTreeMap::new(),
        })
    }

    /// Begins and ends the spans of a turn. Returns the ended ones.
    fn follow(&mut self, time: Timestamp, incoming: &[Incoming], commands: &[Command]) -> Vec<FinishedSpan> {
        let mut finished = Vec::new();
        for incoming in incoming {
            if let Incoming::Completed { sequence, outcome } = incoming
                && let Some(open) = self.open.remove(sequence)
            {
                finished.push(self.finish(*sequence, open, time, error_of(outcome)));
            }
        }
        for command in commands {
            match command {
                Command::Cancel { sequence, .. } => {
                    self.open.remove(sequence);
                }
                command => {
                    if let Some((sequence, open)) = self.begin(time, command) {
                        self.open.insert(sequence, open);
                    }
                }
            }
        }
        finished
    }

    fn begin(&self, start: Timestamp, command: &Command) -> Option<(Sequence, OpenSpan)> {
        let (sequence, attempt, kind, name, attributes) = match command {
            Command::CallActivity {
                sequence,
                name,
                attempt,
                ..
            } => (
                *sequence,
                *attempt,
                SpanKind::Client,
                format!("activity:{name}"),
                vec![(TYPE, "activity".into()), (NAME, name.as_str().to_owned().into())],
            ),
            Command::StartOrchestration {
                sequence,
                instance,
                name,
                version,
                wait: true,
                attempt,
                ..
            } => {
                let version = version.as_deref().unwrap_or_default();
                let mut attributes = vec![
                    (TYPE, "orchestration".into()),
                    (NAME, name.as_str().to_owned().into()),
                    (TARGET, instance.into()),
                ];
                if !version.is_empty() {
                    attributes.push((VERSION, version.to_owned().into()));
                }
                let name = versioned("orchestration", name, version);
                (*sequence, *attempt, SpanKind::Client, name, attributes)
            }
            Command::CallEntity {
                sequence,
                target,
                operation,
                ..
            } => (
                *sequence,
                1,
                SpanKind::Client,
                entity_span(target, operation),
                vec![
                    (TYPE, "entity".into()),
                    (OPERATION, "call_entity".into()),
                    (TARGET, target.into()),
                ],
            ),
            Command::CreateTimer { sequence, due } => (
                *sequence,
                1,
                SpanKind::Internal,
                format!("orchestration:{}:timer", self.name),
                vec![
                    (TYPE, "timer".into()),
                    (NAME, self.name.as_str().to_owned().into()),
                    (FIRE_AT, due.to_string().into()),
                ],
            ),
            _ => return None,
        };
        let open = OpenSpan {
            start,
            attempt,
            kind,
            name,
            attributes,
        };
        Some((sequence, open))
    }

    fn finish(&self, sequence: Sequence, open: OpenSpan, end: Timestamp, error: Option<String>) -> FinishedSpan {
        let mut attributes = open.attributes;
        attributes.push((INSTANCE, (&self.instance).into()));
        attributes.push((TASK, sequence.into()));
        FinishedSpan {
            context: step_span(&self.trace, self.execution, sequence, open.attempt),
            parent: Some(self.trace.span()),
            kind: open.kind,
            name: open.name,
            start: open.start,
            end,
            attributes,
            error,
        }
    }
}

impl OrchestrationRun for TracedRun {
    fn turn(&mut self, time: Timestamp, incoming: &[Incoming]) -> std::result::Result<TurnEnd, Stopped> {
        let mut end = self.run.turn(time, incoming)?;
        end.spans = self.follow(time, incoming, &end.commands);
        Ok(end)
    }

    fn places(&self) -> Vec<(Sequence, &'static Location<'static>)> {
        self.run.places()
    }

    fn replay(&mut self, number: u32, turn: &TurnRecord) -> std::result::Result<Option<Vec<u8>>, Stopped> {
        let custom_status = self.run.replay(number, turn)?;
        self.follow(turn.time, &turn.incoming, &turn.commands);
        Ok(custom_status)
    }

    fn wants(&self, sequence: Sequence) -> bool {
        self.run.wants(sequence)
    }

    fn bytes(&self) -> usize {
        self.run.bytes() + size_of::<Self>() + self.name.len() + self.open.len() * OPEN_SPAN
    }
}

/// Returns the text of the error of an operation.
pub(super) fn error_of_call(failure: &CallFailure) -> String {
    match failure {
        CallFailure::Returned(failure) => failure.to_string(),
        CallFailure::Runtime(error) => error.to_string(),
    }
}
