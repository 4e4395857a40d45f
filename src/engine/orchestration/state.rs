//! Orchestrations in memory, and their cache.

use crate::engine::changes::ChangeKind;
use crate::engine::code::OrchestrationRun;
use crate::engine::core_step::CoreStep;
use crate::engine::ctx::Ctx;
use crate::engine::message::Message;
use crate::error::Result;
use crate::id::{ExecutionId, InstanceId, MessageId};
use crate::maps::{self, InstanceMap};
use crate::model::history::Parent;
use crate::model::orchestration::{
    EndRecord, OrchestrationRecord, OrchestrationStatus, Order, StartRecord, StopKind, Stopped,
};
use crate::schema;
use crate::time::Timestamp;
use crate::views::orchestrations::{self, TURNS_AHEAD};

/// An orchestration in memory.
pub(crate) struct OrchestrationState {
    pub(super) record: OrchestrationRecord,
    /// Its live code, if it was not unloaded since the last turn.
    pub(super) run: Option<Box<dyn OrchestrationRun>>,
    /// The start of its execution, until its first turn or until it is written as a row.
    pub(super) start: Option<Box<StartRecord>>,
    /// Its end, if it ended in this step, whose reader does not show it. Later it is read from its row.
    pub(super) end: Option<EndRecord>,
    /// Status and creation time under which the index of the store contains it.
    indexed: Option<(OrchestrationStatus, Timestamp)>,
    /// What its row said last, for the changes that watchers receive.
    noted: Option<Noted>,
    /// True if this step has to write its row.
    dirty: bool,
    /// Number of turns that its row counts.
    turns_in_row: u32,
    /// Number of bytes that the cache counted for it.
    counted: usize,
    /// The step of the core that last changed its history. The reader of that step does not show the change.
    pub(super) written_in: u64,
    /// The step of the core that last changed its child rows. The reader of that step does not show the change.
    pub(super) children_in: u64,
}

/// The parts of a row whose changes watchers receive.
#[derive(Clone, Copy)]
struct Noted {
    status: OrchestrationStatus,
    created: Timestamp,
    execution: ExecutionId,
    is_stopped: bool,
}

impl Noted {
    fn of(record: &OrchestrationRecord) -> Self {
        Self {
            status: record.status,
            created: record.created,
            execution: record.execution,
            is_stopped: record.stopped.is_some(),
        }
    }

    /// Counts what has changed since `before`, and notes it for those who watch the hub.
    fn note_changes_since(self, before: Option<Self>, id: &InstanceId, name: &str, step: &mut CoreStep) {
        let is_new = before.is_none_or(|before| {
            let is_next = before.status.is_terminal() && before.execution != self.execution;
            before.created != self.created || is_next
        });
        let is_other = is_new || before.is_some_and(|before| before.status != self.status);
        let status = Some(self.status);
        if is_new {
            step.counts.started += 1;
            step.note_change(ChangeKind::Started, id, name, status);
        }
        if is_other && self.status.is_terminal() {
            match self.status {
                OrchestrationStatus::Completed => step.counts.completed += 1,
                OrchestrationStatus::Failed => step.counts.failed += 1,
                _ => step.counts.terminated += 1,
            }
            step.note_change(ChangeKind::Ended, id, name, status);
        }
        let was_stopped = before.is_some_and(|before| before.is_stopped);
        if self.is_stopped && !was_stopped {
            step.note_change(ChangeKind::Stopped, id, name, status);
        } else if !is_new && !self.status.is_terminal() && (is_other || self.is_stopped != was_stopped) {
            step.note_change(ChangeKind::Status, id, name, status);
        }
    }
}

impl OrchestrationState {
    /// Creates an orchestration that is new to the store.
    pub(super) fn new(execution: ExecutionId, start: StartRecord, status: OrchestrationStatus, now: Timestamp) -> Self {
        Self {
            record: OrchestrationRecord {
                name: start.name.clone(),
                version: start.version.clone().unwrap_or_default(),
                status,
                execution,
                parent: start.parent.clone(),
                tags: start.tags.clone(),
                trace: start.trace.clone(),
                created: now,
                changed: now,
                ..OrchestrationRecord::default()
            },
            run: None,
            start: Some(Box::new(start)),
            end: None,
            indexed: None,
            noted: None,
            dirty: false,
            turns_in_row: 0,
            counted: 0,
            written_in: 0,
            children_in: 0,
        }
    }

    fn stored(record: OrchestrationRecord) -> Self {
        Self {
            indexed: Some((record.status, record.created)),
            noted: Some(Noted::of(&record)),
            // The row may lack as many turns as are allowed, so the next turn writes it. The row of an ended
            // orchestration counts all turns, so a client that waits for its end is answered without a write.
            turns_in_row: if record.status.is_terminal() { record.turns } else { 0 },
            record,
            run: None,
            start: None,
            end: None,
            dirty: false,
            counted: 0,
            written_in: 0,
            children_in: 0,
        }
    }

    /// Takes the place of `before` in the store, from the message `since` on.
    pub(super) fn replaces(mut self, before: &Self, since: MessageId) -> Self {
        self.indexed = before.indexed;
        self.noted = before.noted;
        self.record.since = since;
        self
    }

    pub(in crate::engine) fn record(&self) -> &OrchestrationRecord {
        &self.record
    }

    pub(super) fn parent(&self) -> Option<&Parent> {
        self.record.parent.as_ref()
    }

    /// Returns `true` if it is the child of this step, in any execution of the parent. A rewind changes the execution.
    pub(super) fn is_child_of(&self, parent: &Parent) -> bool {
        let is_its = |known: &Parent| known.instance == parent.instance && known.sequence == parent.sequence;
        self.parent().is_some_and(is_its)
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.record.status.is_terminal()
    }

    /// Returns `true` if this message makes it run the first turn of its execution.
    pub(super) fn awaits(&self, message: &Message) -> bool {
        let begins = matches!(message.order(), Some(Order::Begin { execution }) if *execution == self.record.execution);
        begins && self.record.turns == 0 && !self.is_terminal()
    }

    /// Returns its approximate memory between two steps of the core, in bytes.
    fn weight(&self) -> usize {
        let record = &self.record;
        let code = self.run.as_ref().map_or(0, |run| {
            // The heap memory of the future is unknown. It derives from the history, which is rarely kept as a whole.
            let kept = record.bytes.min(KEPT_BYTES) as usize;
            run.bytes() + kept
        });
        672 + size_of::<(String, String)>() * record.tags.len() + record.text_bytes() + code
    }
}

/// Maximum number of bytes of its history that a live execution is assumed to keep.
const KEPT_BYTES: u64 = 256 << 10;

/// The reason why an orchestration must exist where it is used.
pub(super) const PRESENT: &str = "the caller has checked that the orchestration exists";

/// Returns the orchestration of a turn.
///
/// # Panics
/// Panics if there is none, which poisons the hub. A message that has no effect must not look like a processed one.
pub(super) fn present(state: &mut Option<Box<OrchestrationState>>) -> &mut OrchestrationState {
    state.as_mut().expect(PRESENT)
}

/// The orchestrations in memory, bounded in bytes. An orchestration is unloaded if it was not used while the younger
/// generation filled half of the budget. Its code is replayed when it is needed again.
#[derive(Default)]
pub(crate) struct Orchestrations {
    // Boxed because they move into every turn and back.
    young: InstanceMap<Box<OrchestrationState>>,
    old: InstanceMap<Box<OrchestrationState>>,
    young_bytes: usize,
    budget: usize,
}

impl Orchestrations {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            ..Self::default()
        }
    }

    /// Returns the number of orchestrations in memory.
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn get_mut(&mut self, id: &InstanceId) -> Option<&mut OrchestrationState> {
        match self.young.get_mut(id) {
            Some(state) => Some(state),
            None => self.old.get_mut(id).map(Box::as_mut),
        }
    }

    fn take(&mut self, id: &InstanceId) -> Option<Box<OrchestrationState>> {
        if let Some(state) = self.young.remove(id) {
            self.young_bytes = self.young_bytes.saturating_sub(state.counted);
            return Some(state);
        }
        self.old.remove(id)
    }

    fn put(&mut self, id: InstanceId, mut state: Box<OrchestrationState>) {
        state.counted = state.weight();
        self.young_bytes += state.counted;
        self.young.insert(id, state);
    }

    /// Returns the held memory by an independent measure: the encoded records and the live code.
    #[cfg(test)]
    pub(in crate::engine) fn held_bytes(&self) -> usize {
        let states = self.young.values().chain(self.old.values());
        let bytes = states.map(|state| {
            let end = state.end.as_ref().map_or(0, encoded);
            encoded(&state.record) + end + state.run.as_ref().map_or(0, |run| run.bytes())
        });
        bytes.sum()
    }

    /// Panics if the counted bytes are fewer than the held bytes, or exceed the budget.
    #[cfg(test)]
    pub(in crate::engine) fn recount(&self) {
        let mut counted = 0;
        for (id, state) in &self.young {
            let held = encoded(&state.record) + state.run.as_ref().map_or(0, |run| run.bytes());
            assert!(
                held.max(state.weight()) <= state.counted,
                "{held} bytes, weighed as {}, are held for {id}, but {} bytes are counted",
                state.weight(),
                state.counted
            );
            counted += state.counted;
        }
        assert_eq!(self.young_bytes, counted, "the bytes of all orchestrations");
        assert!(
            counted <= self.budget / 2,
            "{counted} bytes are held, and the budget is {}",
            self.budget
        );
    }

    /// Unloads orchestrations that were not used recently, if the budget is used up. Must be called between two steps.
    pub(crate) fn age(&mut self) {
        if self.young_bytes > self.budget / 2 {
            maps::age(&mut self.young, &mut self.old);
            self.young_bytes = 0;
        }
    }
}

#[cfg(test)]
fn encoded(record: &impl serde::Serialize) -> usize {
    crate::model::encode(record).map_or(0, |row| row.len())
}

/// Takes an orchestration from memory, or reads it from the store.
pub(super) fn take_orchestration(id: &InstanceId, ctx: &mut Ctx<'_>) -> Result<Option<Box<OrchestrationState>>> {
    if let Some(state) = ctx.orchestrations.take(id) {
        return Ok(Some(state));
    }
    if ctx.step.erased.contains(id) {
        return Ok(None);
    }
    let record = orchestrations::record(ctx.reader, ctx.settings.partition_of(id), id)?;
    Ok(record.map(|record| Box::new(OrchestrationState::stored(record))))
}

/// Returns an orchestration after its turn. Its row is written when the step closes, if `changed` is set or the row
/// lags behind by many turns. The rows of turns cover all other changes.
pub(super) fn put_orchestration(
    id: &InstanceId,
    mut state: Box<OrchestrationState>,
    changed: bool,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    if changed {
        state.record.changed = ctx.step.now;
    }
    if let Some(start) = state.start.take() {
        ctx.step.put(
            &schema::orchestration::start_key(ctx.settings.partition_of(id), id),
            &*start,
        )?;
        state.written_in = ctx.step.number;
    }
    let is_behind = state.record.turns >= state.turns_in_row.saturating_add(TURNS_AHEAD);
    if (changed || is_behind) && !std::mem::replace(&mut state.dirty, true) {
        ctx.step.orchestrations.push(id.clone());
    }
    ctx.orchestrations.put(id.clone(), state);
    Ok(())
}

/// Removes all rows of an ended orchestration.
pub(super) fn erase(id: &InstanceId, state: &OrchestrationState, ctx: &mut Ctx<'_>) {
    let partition = ctx.settings.partition_of(id);
    ctx.step.batch.delete(&schema::orchestration::key(partition, id));
    if let Some((status, created)) = state.indexed {
        ctx.step
            .batch
            .delete(&schema::orchestration::status_key(partition, status, created, id));
    }
    erase_execution(id, state, ctx);
    ctx.step.note_change(ChangeKind::Purged, id, &state.record.name, None);
    ctx.step.erased.insert(id.clone());
}

/// Removes the history, the end and the custom status of an execution.
pub(super) fn erase_execution(id: &InstanceId, state: &OrchestrationState, ctx: &mut Ctx<'_>) {
    let partition = ctx.settings.partition_of(id);
    let record = &state.record;
    for turn in 0..record.turns {
        ctx.step
            .batch
            .delete(&schema::orchestration::turn_key(partition, id, record.execution, turn));
    }
    // The start may have a row although it is also in memory, to be written again.
    if record.turns == 0 {
        ctx.step.batch.delete(&schema::orchestration::start_key(partition, id));
    }
    if record.status.is_terminal() {
        ctx.step.batch.delete(&schema::orchestration::end_key(partition, id));
    }
    if record.has_custom_status {
        ctx.step
            .batch
            .delete(&schema::orchestration::custom_status_key(partition, id));
    }
}

/// Writes the rows of all orchestrations that the step changed.
pub(in crate::engine) fn write_orchestrations(ctx: &mut Ctx<'_>) -> Result<()> {
    for id in std::mem::take(&mut ctx.step.orchestrations) {
        let partition = ctx.settings.partition_of(&id);
        let Some(state) = ctx.orchestrations.get_mut(&id) else {
            continue;
        };
        if !std::mem::take(&mut state.dirty) {
            continue;
        }
        state.end = None;
        let record = &state.record;
        state.turns_in_row = record.turns;
        ctx.step.put(&schema::orchestration::key(partition, &id), record)?;
        let noted = Noted::of(record);
        let before = state.noted.replace(noted);
        noted.note_changes_since(before, &id, &record.name, ctx.step);
        let index = (record.status, record.created);
        if state.indexed != Some(index) {
            if let Some((status, created)) = state.indexed.replace(index) {
                ctx.step
                    .batch
                    .delete(&schema::orchestration::status_key(partition, status, created, &id));
            }
            ctx.step.batch.put(
                &schema::orchestration::status_key(partition, index.0, index.1, &id),
                &[],
            );
        }
    }
    Ok(())
}

/// Creates the record of a stop.
pub(super) fn stopped(kind: StopKind, message: impl Into<String>) -> Stopped {
    Stopped {
        kind,
        message: message.into(),
    }
}
