//! Activities of orchestrations: their rows, their starts and their ends.
//!
//! The turn that requests an activity writes its row, and the commit that processes its end removes the row. In
//! between, the row records whether an attempt was started. This tells the next open which activities were running when
//! the process ended.

mod rows;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::activities::rows::{UnreadRows, read_activities};
use crate::engine::activities::slots::SlotRequest;
use crate::engine::ctx::Ctx;
use crate::engine::limits::Limits;
use crate::engine::message::{ActivityEnd, Effect, Message, Origin, Output, StartActivity};
use crate::engine::spans::FinishedSpan;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::{ActivityKey, ExecutionId, PartitionId};
use crate::model::orchestration::{ActivityRecord, Order};
use crate::model::{self, Action, Outcome};
use crate::schema;
use crate::store::Reader;
use crate::time::Timestamp;

pub(crate) use slots::{ActivitySlots, Suspicion};

/// An attempt of an activity, as requested by an orchestration.
#[derive(Debug)]
pub(super) struct ActivityRequest {
    pub(super) activity: ActivityKey,
    pub(super) name: String,
    pub(super) input: Vec<u8>,
    pub(super) attempt: u32,
    /// The execution that first requested the activity.
    pub(super) asked_by: ExecutionId,
    pub(super) timeout: Option<Duration>,
}

/// The in-memory state of a core's activities.
#[derive(Debug)]
pub(super) struct Activities {
    /// Index of the core among those that share the slots.
    core: usize,
    slots: Arc<ActivitySlots>,
    /// The attempts that hold a slot.
    running: BTreeMap<(ActivityKey, u32), Running>,
    /// The activities in line for a slot.
    waiting: BTreeMap<ActivityKey, Waiting>,
    /// Number of activities in line, by name.
    in_line: BTreeMap<String, usize>,
    unread: UnreadRows,
    /// True if the hub is closing, so no further activity starts.
    closing: bool,
    /// Attempts that an earlier life started in this batch or later were not running during a crash.
    calm_since: u64,
}

/// An activity in line for a slot.
#[derive(Debug)]
struct Waiting {
    name: String,
    /// The time since which it waits in this life.
    since: Timestamp,
}

/// An attempt that holds a slot.
#[derive(Debug)]
struct Running {
    name: String,
    suspicion: Suspicion,
    /// True if the attempt has a row, because its result is needed.
    wanted: bool,
}

impl Activities {
    /// Opens the activities of the partitions `owned`. `reader` shows the rows of the last life.
    pub(super) fn open(
        core: usize,
        slots: Arc<ActivitySlots>,
        owned: &[PartitionId],
        calm_since: u64,
        reader: &dyn Reader,
    ) -> Result<Self> {
        Ok(Self {
            core,
            slots,
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            in_line: BTreeMap::new(),
            unread: UnreadRows::open(owned, reader)?,
            closing: false,
            calm_since,
        })
    }

    /// Returns the number of running attempts whose results are needed.
    pub(super) fn running(&self) -> usize {
        self.running.values().filter(|running| running.wanted).count()
    }

    /// Returns the number of running attempts whose results are no longer needed.
    pub(super) fn unwanted(&self) -> usize {
        self.running.values().filter(|running| !running.wanted).count()
    }

    /// Panics if the counted length of a line is wrong.
    #[cfg(test)]
    pub(super) fn recount(&self) {
        let mut in_line: BTreeMap<String, usize> = self.in_line.keys().map(|name| (name.clone(), 0)).collect();
        for waiting in self.waiting.values() {
            *in_line.entry(waiting.name.clone()).or_default() += 1;
        }
        assert_eq!(self.in_line, in_line, "the activities in line");
    }

    /// Returns the attempts that hold a slot, by name, with the suspicion against each.
    #[cfg(test)]
    pub(super) fn holders(&self) -> impl Iterator<Item = (String, Suspicion)> {
        self.running
            .values()
            .map(|running| (running.name.clone(), running.suspicion))
    }

    /// Starts no further activities, because the hub closes. Waiting activities remain rows.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.waiting.clear();
        self.in_line.clear();
        self.slots.withdraw(self.core, |_| true);
    }

    /// Returns `true` if activities can start, or rows of them have to be read.
    pub(super) fn has_work(&self, limits: &Limits) -> bool {
        self.slots.has_grants(self.core) || self.wants_rows(limits)
    }

    /// Returns `true` if the hub is closing.
    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    fn in_line(&self, name: &str) -> usize {
        self.in_line.get(name).copied().unwrap_or_default()
    }

    /// Adds an activity to the line for a slot.
    fn wait(
        &mut self,
        activity: ActivityKey,
        name: &str,
        limit: Option<usize>,
        suspicion: Suspicion,
        since: Timestamp,
    ) {
        let name = name.to_owned();
        self.waiting.insert(
            activity.clone(),
            Waiting {
                name: name.clone(),
                since,
            },
        );
        *self.in_line.entry(name.clone()).or_default() += 1;
        self.slots.wait(SlotRequest {
            core: self.core,
            activity,
            name,
            limit,
            suspicion,
        });
    }

    /// Removes an activity from the line. Returns the time since which it was there.
    fn leave_line(&mut self, activity: &ActivityKey) -> Option<Timestamp> {
        let waiting = self.waiting.remove(activity)?;
        if let Some(in_line) = self.in_line.get_mut(&waiting.name) {
            *in_line -= 1;
        }
        Some(waiting.since)
    }

    /// Releases the slot of an attempt. Returns whether its result was needed, or `None` if it has no slot.
    fn free_slot(&mut self, key: &(ActivityKey, u32)) -> Option<bool> {
        let running = self.running.remove(key)?;
        self.slots.release(self.core, &running.name, running.suspicion);
        Some(running.wanted)
    }

    /// Returns `true` if an attempt that an earlier life started in this batch was running during a crash.
    fn is_crash(&self, started: Option<u64>) -> bool {
        started.is_some_and(|batch| batch < self.calm_since)
    }
}

/// Resets the rows of running activities that are left behind to not started, because they were not running during a
/// crash.
pub(super) fn leave(ctx: &mut Ctx<'_>) -> Result<()> {
    for ((activity, _), running) in std::mem::take(&mut ctx.activities.running) {
        if running.wanted {
            leave_to_next_open(&activity, ctx)?;
        }
    }
    Ok(())
}

/// Writes the row of an activity. The activity starts when there is a slot for it.
pub(super) fn request_activity(request: ActivityRequest, ctx: &mut Ctx<'_>) -> Result<()> {
    let ActivityRequest {
        activity,
        name,
        input,
        attempt,
        asked_by,
        timeout,
    } = request;
    let begins = finds_room(&activity, &name, ctx);
    let record = ActivityRecord {
        name,
        input,
        attempt,
        timeout_ms: timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        asked_by,
        started: begins.then_some(ctx.step.batch_number()),
        crashes: Vec::new(),
        trace: ctx.step.trace.clone(),
    };
    ctx.step.insert(&activity_row(&activity, ctx), &record)?;
    if begins {
        begin_activity(activity, record, Suspicion::None, ctx.step.now, ctx);
    }
    Ok(())
}

/// Takes a slot for a new activity, or makes sure that it gets one later.
fn finds_room(activity: &ActivityKey, name: &str, ctx: &mut Ctx<'_>) -> bool {
    let activities = &mut ctx.activities;
    let Some(code) = ctx.settings.registry.activity(name) else {
        return false;
    };
    if activities.closing {
        return false;
    }
    if activities.unread.covers(name) || activities.in_line(name) >= ctx.settings.limits.activities_in_memory {
        activities.unread.leave(name);
        return false;
    }
    if activities.slots.take(name, code.limit()) {
        return true;
    }
    activities.wait(activity.clone(), name, code.limit(), Suspicion::None, ctx.step.now);
    false
}

/// Starts an attempt that holds a slot and whose row records the start.
fn begin_activity(
    activity: ActivityKey,
    record: ActivityRecord,
    suspicion: Suspicion,
    since: Timestamp,
    ctx: &mut Ctx<'_>,
) {
    let running = Running {
        name: record.name.clone(),
        suspicion,
        wanted: true,
    };
    ctx.activities
        .running
        .insert((activity.clone(), record.attempt), running);
    ctx.step
        .outputs
        .push(Output::Effect(Effect::StartActivity(Box::new(StartActivity {
            activity,
            name: record.name,
            input: record.input,
            attempt: record.attempt,
            asked_by: record.asked_by,
            timeout: record.timeout_ms.map(Duration::from_millis),
            since,
            trace: record.trace,
        }))));
}

/// Starts activities that had to wait. This is the first action of a step, so the reader shows their current rows.
pub(super) fn begin_waiting(ctx: &mut Ctx<'_>) -> Result<()> {
    read_activities(ctx)?;
    while !ctx.is_full() {
        let Some(request) = ctx.activities.slots.next_grant(ctx.activities.core) else {
            break;
        };
        let since = ctx.activities.leave_line(&request.activity);
        let Some(mut record) = read_activity(&request.activity, ctx)? else {
            return Err(Error::new(
                ErrorKind::Corrupted,
                format!("the activity {} waits for a slot but has no row", request.activity),
            ));
        };
        if ctx.activities.is_crash(record.started) {
            record.crashes.push(ctx.step.now);
        }
        record.started = Some(ctx.step.batch_number());
        write_activity(&request.activity, &record, ctx)?;
        let since = since.unwrap_or(ctx.step.now);
        begin_activity(request.activity, record, request.suspicion, since, ctx);
    }
    Ok(())
}

/// Removes an activity whose result is no longer needed, running or not.
pub(super) fn drop_activity(activity: &ActivityKey, ctx: &mut Ctx<'_>) -> Result<()> {
    ctx.step.batch.delete(&activity_row(activity, ctx));
    let activities = &mut ctx.activities;
    if activities.leave_line(activity).is_some() {
        activities
            .slots
            .withdraw(activities.core, |waiting| waiting == activity);
        return Ok(());
    }
    let attempts = (activity.clone(), 0)..=(activity.clone(), u32::MAX);
    let wanted = activities
        .running
        .range_mut(attempts)
        .find(|(_, running)| running.wanted);
    let Some((key, running)) = wanted else {
        return Ok(());
    };
    let is_start =
        |output: &Output| matches!(output, Output::Effect(Effect::StartActivity(start)) if start.activity == *activity);
    // An activity that this step was about to start has not started and never will.
    if let Some(at) = ctx.step.outputs.iter().position(is_start) {
        ctx.step.outputs.remove(at);
        let key = key.clone();
        activities.free_slot(&key);
        return Ok(());
    }
    running.wanted = false;
    ctx.step.outputs.push(Output::Effect(Effect::CancelActivity {
        activity: activity.clone(),
    }));
    Ok(())
}

/// Processes the end of an attempt: its row is removed, and the orchestration receives the outcome. An attempt whose
/// result is no longer needed only releases its slot.
pub(super) fn end(
    activity: ActivityKey,
    attempt: u32,
    ended: ActivityEnd,
    span: Option<Box<FinishedSpan>>,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let activities = &mut ctx.activities;
    let key = (activity, attempt);
    let was_wanted = if matches!(ended, ActivityEnd::Lingers(_)) {
        let running = activities.running.get_mut(&key);
        running.map(|running| std::mem::replace(&mut running.wanted, false))
    } else {
        activities.free_slot(&key)
    };
    let Some(was_wanted) = was_wanted else {
        return Ok(());
    };
    // The next open runs an abandoned attempt again, with the same span.
    if !matches!(ended, ActivityEnd::Abandoned) {
        ctx.emit_spans(span.map(|span| *span).into_iter().collect());
    }
    if !was_wanted {
        return Ok(());
    }
    let outcome = match ended {
        ActivityEnd::Ended(outcome) => outcome,
        ActivityEnd::Lingers(error) => Outcome::Runtime(error),
        ActivityEnd::Abandoned => return leave_to_next_open(&key.0, ctx),
    };
    let outcome = within_limit(&key.0, outcome, ctx);
    complete_activity(key.0, outcome, ctx)
}

/// Replaces an outcome that is too large to be stored by an error.
fn within_limit(activity: &ActivityKey, outcome: Outcome, ctx: &Ctx<'_>) -> Outcome {
    let limit = ctx.settings.limits.payload_bytes;
    let what = || format!("the activity {activity}");
    match outcome.into() {
        Ok(answer) if answer.len() <= limit => Outcome::Answer(answer),
        Ok(answer) => Outcome::Runtime(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the answer of {} has {} bytes, but the limit is {limit}; store large data elsewhere and return a \
                 reference to it, or raise the hub's `payload_limit`",
                what(),
                answer.len()
            ),
        )),
        Err(failure) => Err(CallFailure::within(failure, limit, what)).into(),
    }
}

/// Removes the row of an activity and sends the outcome to its orchestration.
fn complete_activity(activity: ActivityKey, outcome: Outcome, ctx: &mut Ctx<'_>) -> Result<()> {
    ctx.step.batch.delete(&activity_row(&activity, ctx));
    let ActivityKey {
        instance,
        execution,
        sequence,
    } = activity;
    let order = Order::Completed {
        execution,
        sequence,
        outcome,
    };
    let message = Message::new(
        ctx.step.next_id(),
        instance,
        Action::Order(Box::new(order)),
        Origin::of_stored(None),
    );
    ctx.step.outbound.push(message);
    Ok(())
}

/// Records that no attempt of an activity runs, although it has not ended.
fn leave_to_next_open(activity: &ActivityKey, ctx: &mut Ctx<'_>) -> Result<()> {
    // An activity whose commit failed has no row.
    if let Some(mut record) = read_activity(activity, ctx)? {
        record.started = None;
        write_activity(activity, &record, ctx)?;
    }
    Ok(())
}

fn activity_row(activity: &ActivityKey, ctx: &Ctx<'_>) -> Vec<u8> {
    let partition = ctx.settings.partition_of(&activity.instance);
    schema::activity::key(partition, &activity.instance, activity.execution, activity.sequence)
}

fn read_activity(activity: &ActivityKey, ctx: &Ctx<'_>) -> Result<Option<ActivityRecord>> {
    let row = ctx.reader.get(&activity_row(activity, ctx))?;
    row.map(|row| model::decode(&row, "activity")).transpose()
}

fn write_activity(activity: &ActivityKey, record: &ActivityRecord, ctx: &mut Ctx<'_>) -> Result<()> {
    ctx.step.put(&activity_row(activity, ctx), record)
}
