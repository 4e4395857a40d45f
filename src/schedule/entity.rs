//! The durable entity behind each schedule.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::entity::{EntityContext, EntityRef};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::schedule::timing::{MissedRuns, Times, Timing, rfc3339};
use crate::store::records::instance::{ReusePolicy, StartRecord};
use crate::time::Timestamp;
use crate::{Entity, operations};

/// How many runs begin in one operation. More of them follow at once, in another one: a payload of each would make a large
/// commit.
const RUNS_AT_ONCE: usize = 8;

/// The timer under which a schedule waits for its next run.
const NEXT: &str = "next";

/// What a schedule starts, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) orchestration: String,
    /// The newest registered one if there is none.
    pub(crate) version: Option<String>,
    /// JSON as text, so that it is handed on as it was given.
    pub(crate) input: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) timing: Timing,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) missed: MissedRuns,
}

/// A schedule: it signals itself for its next run, and starts the orchestration then.
///
/// All of it is messages of a durable entity, so that no run is started twice and none is lost in a crash.
#[derive(Entity, Clone, Debug, Default, Serialize, Deserialize)]
#[entity(name = "abide-schedule")]
pub(crate) struct ScheduleEntity {
    pub(crate) plan: Option<Plan>,
    pub(crate) paused: bool,
    pub(crate) created: Timestamp,
    /// When the next run is due; nothing if there is none, or while it is paused.
    pub(crate) next: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) runs: u64,
}

#[operations]
impl ScheduleEntity {
    pub fn create(&mut self, ctx: &mut EntityContext, plan: Plan, paused: bool) -> Result<(), Error> {
        if self.plan.is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("there is a schedule `{}`; update it, or delete it first", ctx.key()),
            ));
        }
        self.created = ctx.now().into();
        self.paused = paused;
        self.plan = Some(plan);
        self.plan_next(ctx, ctx.now().into())
    }

    pub fn update(&mut self, ctx: &mut EntityContext, plan: Plan) -> Result<(), Error> {
        self.there(ctx)?;
        self.plan = Some(plan);
        self.plan_next(ctx, ctx.now().into())
    }

    pub fn pause(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.there(ctx)?;
        self.paused = true;
        self.plan_next(ctx, ctx.now().into())
    }

    pub fn resume(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.there(ctx)?;
        self.paused = false;
        self.plan_next(ctx, ctx.now().into())
    }

    pub fn remove(&mut self, ctx: &mut EntityContext) -> Result<(), Error> {
        self.there(ctx)?;
        ctx.entity::<Self>(ctx.key()).cancel_signal(NEXT);
        ctx.delete_state();
        Ok(())
    }

    /// The time of a run has come.
    pub fn tick(&mut self, ctx: &mut EntityContext, due: Timestamp) -> Result<(), Error> {
        // The timer of an earlier plan, or of a schedule that was deleted, may have fired already.
        let (Some(plan), true) = (self.plan.clone(), self.next == Some(due)) else {
            if self.plan.is_none() {
                ctx.delete_state();
            }
            return Ok(());
        };
        let now = Timestamp::from(ctx.now());
        let last = plan
            .until
            .map_or(now, |until| now.min(Timestamp(until.0.saturating_sub(1))));
        let runs = plan.missed.runs(&self.times()?, due, last);
        let rest = runs.get(RUNS_AT_ONCE).copied();
        for run in runs.into_iter().take(RUNS_AT_ONCE) {
            let record = StartRecord {
                name: plan.orchestration.clone(),
                version: plan.version.clone(),
                input: plan.input.clone().into_bytes(),
                tags: plan.tags.clone(),
                reuse: ReusePolicy::Ignore,
                ..StartRecord::default()
            };
            ctx.start_record(Ok(record)).instance_id(run_id(ctx.key(), run));
            self.last = Some(run);
            self.runs += 1;
        }
        self.plan_next(ctx, rest.unwrap_or(now.after(Duration::from_millis(1))))
    }

    /// Waits for the first run at `from` or later.
    fn plan_next(&mut self, ctx: &EntityContext, from: Timestamp) -> Result<(), Error> {
        let plan = self.there(ctx)?;
        let from = plan.from.map_or(from, |start| from.max(start));
        let next = self.times()?.first(from);
        let next = next.filter(|next| plan.until.is_none_or(|until| *next < until));
        self.next = next.filter(|_| !self.paused);
        let own = ctx.entity::<Self>(ctx.key());
        match self.next {
            Some(next) => {
                own.tick(next).timer_id(NEXT).signal_at(next.into());
            }
            None => own.cancel_signal(NEXT),
        }
        Ok(())
    }

    fn times(&self) -> Result<Times> {
        match &self.plan {
            Some(plan) => plan.timing.parse(plan.from.unwrap_or(self.created)),
            None => Err(Error::new(ErrorKind::NotFound, "there is no such schedule")),
        }
    }

    fn there(&self, ctx: &EntityContext) -> Result<&Plan> {
        self.plan.as_ref().ok_or_else(|| not_found(ctx.key()))
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
    InstanceId::orchestration(&run_id(schedule, Timestamp(1))).map(|_| ())
}

pub(super) fn not_found(schedule: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no schedule `{schedule}`; it was never created, or it was deleted"),
    )
}
