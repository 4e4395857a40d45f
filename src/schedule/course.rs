//! The course of a schedule: the runs that have begun, the runs that are due, and the next run.
//!
//! It has no clock and starts nothing, so that tests can try every order of times, updates and pauses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::schedule::plan::Plan;
use crate::schedule::timing::MAX_CATCH_UP;
use crate::time::Timestamp;

/// Maximum number of runs that begin in one operation. Further runs follow immediately in another operation. The
/// payloads of all runs together would make a large commit.
const RUNS_AT_ONCE: usize = 8;

/// Maximum time by which the clock may be behind the last run for the clock to count as set right. The schedule then
/// waits until the clock reaches its last run. Beyond this limit, the last run happened under a wrong clock, and the
/// schedule does not wait for that time.
const SET_BACK: Duration = Duration::from_secs(60 * 60);

/// The course of a schedule.
///
/// A run begins under the plan that was in effect when it was due. Every change of the course therefore first collects
/// the runs that are due by now. It then plans the next run from now on, but after the last run, so that no time has
/// two runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Course {
    /// `None` if there is no schedule.
    pub(crate) plan: Option<Plan>,
    pub(crate) paused: bool,
    pub(crate) created: Timestamp,
    /// The time of the next run that has not been collected yet. `None` if there is none, or if the schedule is paused.
    next: Option<Timestamp>,
    /// Runs that are due and have not begun, oldest first. Usually empty.
    due: Vec<DueRuns>,
    pub(crate) last: Option<Timestamp>,
    /// Number of runs that have begun.
    pub(crate) runs: u64,
    /// Number of runs that were started by hand, in addition to those of the plan.
    #[serde(default)]
    pub(crate) triggered: u64,
}

/// Runs that are due, with the plan that was in effect at that time.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct DueRuns {
    plan: Plan,
    times: Vec<Timestamp>,
}

/// A run that begins.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) plan: Plan,
    pub(super) time: Timestamp,
}

impl Course {
    /// Creates the course of a new schedule.
    pub(super) fn create(plan: Plan, paused: bool, now: Timestamp) -> Result<Self> {
        plan.check()?;
        let mut course = Self {
            plan: Some(plan),
            paused,
            created: now,
            ..Self::default()
        };
        course.plan_next(now)?;
        Ok(course)
    }

    /// Replaces the plan. Runs that are already due begin under the former plan.
    pub(super) fn update(&mut self, plan: Plan, now: Timestamp) -> Result<Vec<Run>> {
        plan.check()?;
        self.change(now, |course| course.plan = Some(plan))
    }

    /// Pauses or resumes the schedule. Runs that are due at a pause begin, and none after them.
    pub(super) fn set_paused(&mut self, paused: bool, now: Timestamp) -> Result<Vec<Run>> {
        self.change(now, |course| course.paused = paused)
    }

    /// Begins the runs that are due, if any.
    pub(super) fn advance(&mut self, now: Timestamp) -> Result<Vec<Run>> {
        self.change(now, |_| {})
    }

    /// Returns the next time at which the schedule has to act, or `None` if there is none.
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        let due = self.due.first().and_then(|due| due.times.first()).copied();
        due.or(self.next).filter(|_| !self.paused)
    }

    /// Returns `true` if it waits for a time although it would run earlier if it were planned now. In this case, it was
    /// planned under another clock.
    pub(super) fn is_astray(&self, now: Timestamp) -> bool {
        let planned = self.clone().advance_to_next(now);
        self.next.is_some_and(|next| next > now) && planned.is_some_and(|planned| planned < self.next)
    }

    fn advance_to_next(mut self, now: Timestamp) -> Option<Option<Timestamp>> {
        self.plan_next(now).ok().map(|()| self.next)
    }

    fn change(&mut self, now: Timestamp, change: impl FnOnce(&mut Self)) -> Result<Vec<Run>> {
        self.notice_due(now)?;
        let begun = self.begin_due();
        change(self);
        self.plan_next(now)?;
        Ok(begun)
    }

    /// Moves the runs that have become due to the runs that begin.
    fn notice_due(&mut self, now: Timestamp) -> Result<()> {
        let (Some(plan), Some(next)) = (&self.plan, self.next.filter(|next| *next <= now)) else {
            return Ok(());
        };
        let times = plan.due(self.created, next, now)?;
        self.next = None;
        match self.due.last_mut() {
            Some(due) if due.plan == *plan => due.times.extend(times),
            _ if times.is_empty() => {}
            _ => self.due.push(DueRuns {
                plan: plan.clone(),
                times,
            }),
        }
        self.forget_oldest();
        Ok(())
    }

    /// Limits the runs that are due to the maximum that a schedule catches up on.
    fn forget_oldest(&mut self) {
        let held: usize = self.due.iter().map(|due| due.times.len()).sum();
        let mut over = held.saturating_sub(MAX_CATCH_UP as usize);
        for due in &mut self.due {
            let forgotten = over.min(due.times.len());
            due.times.drain(..forgotten);
            over -= forgotten;
        }
        self.due.retain(|due| !due.times.is_empty());
    }

    /// Takes the oldest runs that are due, as many as may begin at once.
    fn begin_due(&mut self) -> Vec<Run> {
        let mut begun = Vec::new();
        if self.paused {
            return begun;
        }
        for due in &mut self.due {
            let some = due.times.len().min(RUNS_AT_ONCE - begun.len());
            begun.extend(due.times.drain(..some).map(|time| Run {
                plan: due.plan.clone(),
                time,
            }));
        }
        self.due.retain(|due| !due.times.is_empty());
        if let Some(run) = begun.last() {
            // Under a wrong clock, the hub may have had later runs.
            self.last = Some(run.time);
        }
        self.runs += begun.len() as u64;
        begun
    }

    /// Plans the first run from now on.
    fn plan_next(&mut self, now: Timestamp) -> Result<()> {
        let Some(plan) = &self.plan else {
            return Err(Error::new(ErrorKind::NotFound, "there is no such schedule"));
        };
        let newest = self.due.last().and_then(|due| due.times.last()).copied().or(self.last);
        let behind = newest.filter(|last| *last <= now.after(SET_BACK));
        let from = behind.map_or(now, |last| now.max(last.after(Duration::from_millis(1))));
        self.next = plan.first(self.created, from)?.filter(|_| !self.paused);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
