//! The durable entity behind each schedule.

use serde::{Deserialize, Serialize};

use crate::entity::{EntityContext, EntityRef};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, MAX_ID_BYTES};
use crate::schedule::course::{Course, Run};
use crate::schedule::plan::Plan;
use crate::schedule::timing::rfc3339;
use crate::store::records::instance::{ReusePolicy, StartRecord};
use crate::time::Timestamp;
use crate::{Entity, operations};

/// The timer under which a schedule waits for its next run.
const NEXT: &str = "next";

/// A schedule: it signals itself for its next run, and starts the orchestration then.
///
/// All of it is messages of a durable entity, so that no run is started twice and none is lost in a crash. Its operations are
/// open to everyone who knows its id, so it checks its own arguments.
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
                format!("there is a schedule `{}`; update it, or delete it first", ctx.key()),
            ));
        }
        check_id(ctx.key())?;
        self.course = Course::create(plan, paused, ctx.now().into())?;
        self.go_on(ctx, Vec::new());
        Ok(())
    }

    pub fn update(&mut self, ctx: &mut EntityContext, plan: Plan) -> Result<(), Error> {
        self.change(ctx, |course, now| course.update(plan, now))
    }

    pub fn pause(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.keep_on(ctx, |course, now| course.set_paused(true, now))
    }

    pub fn resume(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.keep_on(ctx, |course, now| course.set_paused(false, now))
    }

    pub fn remove(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.there(ctx)?;
        ctx.entity::<Self>(ctx.key()).cancel_signal(NEXT);
        ctx.delete_state();
        Ok(())
    }

    /// The time of a run has come, or may have come: the timer of an earlier plan may have fired already.
    pub fn tick(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        if self.course.plan.is_none() {
            // It was deleted meanwhile.
            ctx.delete_state();
            return Ok(());
        }
        self.keep_on(ctx, Course::advance)
    }

    /// Changes the course under the plan that it has. That was accepted, and outlives limits that are lowered later.
    fn keep_on(
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
        self.there(ctx)?;
        let runs = change(&mut self.course, ctx.now().into())?;
        self.go_on(ctx, runs);
        Ok(())
    }

    /// Starts what begins, and waits for what is next.
    fn go_on(&self, ctx: &EntityContext, runs: Vec<Run>) {
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

    fn there(&self, ctx: &EntityContext) -> Result<()> {
        match self.course.plan {
            Some(_) => Ok(()),
            None => Err(not_found(ctx.key())),
        }
    }
}

/// The id of the orchestration that one run of a schedule starts.
pub(super) fn run_id(schedule: &str, run: Timestamp) -> String {
    format!("{schedule}-{}", rfc3339(run))
}

/// Refuses an id of a schedule that could not be the beginning of the ids of its runs.
pub(super) fn check_id(schedule: &str) -> Result<()> {
    InstanceId::orchestration(schedule)?;
    // No time is written longer than one with milliseconds.
    let added = run_id("", Timestamp(1)).len();
    if schedule.len() + added > MAX_ID_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidId,
            format!(
                "the id of a schedule, `{}…`, is {} bytes long and {} is the limit: the ids of its runs add a time",
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
