//! The durable entity behind each schedule.

use serde::{Deserialize, Serialize};

use crate::entity::{EntityContext, EntityRef};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, MAX_ID_BYTES};
use crate::model::orchestration::{ReusePolicy, StartRecord};
use crate::schedule::course::{Course, Run};
use crate::schedule::plan::Plan;
use crate::schedule::timing::rfc3339;
use crate::time::Timestamp;
use abide_macros::{Entity, operations};

/// The id of the timer for the next run.
const NEXT: &str = "next";

/// A schedule, which signals itself at the time of its next run and then starts the orchestration.
///
/// A schedule uses only messages of a durable entity, so no run is started twice and none is lost in a crash. Anyone
/// who knows its id can call its operations, so it checks its own arguments.
#[derive(Entity, Clone, Debug, Default, Serialize, Deserialize)]
#[entity(name = "abide-schedule")]
#[serde(transparent)]
pub(crate) struct ScheduleEntity {
    pub(crate) course: Course,
}

#[operations]
impl ScheduleEntity {
    pub fn create(&mut self, ctx: &mut EntityContext, plan: Plan, paused: bool) -> Result<(), Error> {
        if self.course.plan.is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("schedule `{}` already exists; update it, or delete it first", ctx.key()),
            ));
        }
        check_id(ctx.key())?;
        self.course = Course::create(plan, paused, ctx.now().into())?;
        self.proceed(ctx, Vec::new());
        Ok(())
    }

    pub fn update(&mut self, ctx: &mut EntityContext, plan: Plan) -> Result<(), Error> {
        self.change(ctx, |course, now| course.update(plan, now))
    }

    /// Creates the schedule, or replaces its plan if it has another one.
    pub fn ensure(&mut self, ctx: &mut EntityContext, plan: Plan, paused: bool) -> Result<(), Error> {
        match &self.course.plan {
            None => self.create(ctx, plan, paused),
            Some(current) if *current == plan => Ok(()),
            Some(_) => self.update(ctx, plan),
        }
    }

    pub fn pause(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.change_accepted(ctx, |course, now| course.set_paused(true, now))
    }

    pub fn resume(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.change_accepted(ctx, |course, now| course.set_paused(false, now))
    }

    /// Starts a run now, in addition to those of the plan, and returns its instance id.
    pub fn trigger(&mut self, ctx: &mut EntityContext) -> Result<String, Error> {
        let Some(plan) = &self.course.plan else {
            return Err(not_found(ctx.key()));
        };
        self.course.triggered += 1;
        // No run of the plan has such an id, and no two of these runs have the same.
        let id = format!("{}-{}", run_id(ctx.key(), ctx.now().into()), self.course.triggered);
        InstanceId::orchestration(&id)?;
        let record = StartRecord {
            reuse: ReusePolicy::RejectDuplicate,
            ..plan.start()
        };
        ctx.keep_accepted();
        ctx.start_record(Ok(record)).instance_id(id.as_str());
        Ok(id)
    }

    pub fn remove(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.check_exists(ctx)?;
        ctx.entity::<Self>(ctx.key()).cancel_signal(NEXT);
        ctx.delete_state();
        Ok(())
    }

    /// Begins the runs that are due. There may be none, because the timer of an earlier plan may fire.
    pub fn tick(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        if self.course.plan.is_none() {
            // The schedule was deleted in the meantime.
            ctx.delete_state();
            return Ok(());
        }
        self.change_accepted(ctx, Course::advance)
    }

    /// Changes the course under its current plan. That plan was accepted, so it remains valid under limits that are
    /// lowered later.
    fn change_accepted(
        &mut self,
        ctx: &EntityContext,
        change: impl FnOnce(&mut Course, Timestamp) -> Result<Vec<Run>>,
    ) -> Result<()> {
        ctx.keep_accepted();
        self.change(ctx, change)
    }

    fn change(
        &mut self,
        ctx: &EntityContext,
        change: impl FnOnce(&mut Course, Timestamp) -> Result<Vec<Run>>,
    ) -> Result<()> {
        self.check_exists(ctx)?;
        let runs = change(&mut self.course, ctx.now().into())?;
        self.proceed(ctx, runs);
        Ok(())
    }

    /// Starts the runs that begin, and sets the timer for the next one.
    fn proceed(&self, ctx: &EntityContext, runs: Vec<Run>) {
        for run in runs {
            let record = StartRecord {
                reuse: ReusePolicy::RejectDuplicate,
                ..run.plan.start()
            };
            ctx.start_record(Ok(record)).instance_id(run_id(ctx.key(), run.time));
        }
        let own = ctx.entity::<Self>(ctx.key());
        match self.course.wakes() {
            Some(time) => {
                own.tick().timer_id(NEXT).signal_at(time.into());
            }
            None => own.cancel_signal(NEXT),
        }
    }

    fn check_exists(&self, ctx: &EntityContext) -> Result<()> {
        match self.course.plan {
            Some(_) => Ok(()),
            None => Err(not_found(ctx.key())),
        }
    }
}

/// Returns the id of the orchestration that one run of a schedule starts.
pub(super) fn run_id(schedule: &str, run: Timestamp) -> String {
    format!("{schedule}-{}", rfc3339(run))
}

/// Refuses a schedule id that cannot be the prefix of the ids of its runs.
pub(super) fn check_id(schedule: &str) -> Result<()> {
    InstanceId::orchestration(schedule)?;
    // No time is longer than one with milliseconds.
    let added = run_id("", Timestamp(1)).len();
    if schedule.len() + added > MAX_ID_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidId,
            format!(
                "the id of a schedule, `{}…`, has {} bytes, but the limit is {}: the ids of its runs append a time",
                schedule.chars().take(64).collect::<String>().escape_debug(),
                schedule.len(),
                MAX_ID_BYTES - added
            ),
        ));
    }
    Ok(())
}

pub(super) fn not_found(schedule: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "there is no schedule `{}`; it was never created, or it was deleted",
            schedule.escape_debug()
        ),
    )
}
