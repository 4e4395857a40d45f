//! The course of a schedule: which of its runs have begun, which are due, and which is next.
//!
//! It knows no clock and starts nothing, so that every order of times, updates and rests can be tried in a test.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::schedule::plan::Plan;
use crate::schedule::timing::MAX_CATCH_UP;
use crate::time::Timestamp;

/// How many runs begin in one operation. More of them follow at once, in another one: a payload of each would make a large
/// commit.
const RUNS_AT_ONCE: usize = 8;

/// How far the clock may be behind the last run for that to be a clock that was set right. Then the schedule waits for it to
/// come to its last run. If it is behind by more, the last run was one of a life under a wrong clock, and no time is lost
/// with waiting for that.
const SET_BACK: Duration = Duration::from_secs(60 * 60);

/// The course of a schedule.
///
/// A run is begun by the plan that held when it was due. So whatever changes the course first takes notice of what is due by
/// now, and plans what is next from now on, but behind the last run: a time is not given to two runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Course {
    /// Nothing if there is no schedule.
    pub(crate) plan: Option<Plan>,
    pub(crate) paused: bool,
    pub(crate) created: Timestamp,
    /// When the next run is due that was not noticed yet. `None` if there is none, and while it is paused.
    next: Option<Timestamp>,
    /// Runs that are due and have not begun, oldest first. Most often there are none.
    due: Vec<DueRuns>,
    pub(crate) last: Option<Timestamp>,
    /// How many runs have begun.
    pub(crate) runs: u64,
}

/// Runs that are due, with the plan that held then.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct DueRuns {
    plan: Plan,
    times: Vec<Timestamp>,
}

/// One run that begins.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) plan: Plan,
    pub(super) time: Timestamp,
}

impl Course {
    /// Begins the course of a new schedule.
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

    /// Continues by another plan. What is already due begins by the former one.
    pub(super) fn update(&mut self, plan: Plan, now: Timestamp) -> Result<Vec<Run>> {
        plan.check()?;
        self.change(now, |course| course.plan = Some(plan))
    }

    /// Pauses or resumes. What is due at a pause begins, and nothing after it.
    pub(super) fn set_paused(&mut self, paused: bool, now: Timestamp) -> Result<Vec<Run>> {
        self.change(now, |course| course.paused = paused)
    }

    /// Begins the runs that are due, if any.
    pub(super) fn advance(&mut self, now: Timestamp) -> Result<Vec<Run>> {
        self.change(now, |_| {})
    }

    /// When there is something to do; nothing if there is not.
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        let due = self.due.first().and_then(|due| due.times.first()).copied();
        due.or(self.next).filter(|_| !self.paused)
    }

    /// Whether it waits for a time although it would run earlier if it were planned now: it was planned under another clock.
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

    /// Moves what has come due to the runs that begin.
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

    /// Holds what is due to the limit of what a schedule makes up for.
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
            // A life under a wrong clock may have had later ones.
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
