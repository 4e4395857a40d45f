//! The activity pool of the simulation: an attempt runs from its start at the gate until it ends at an arbitrary time,
//! or until the process dies.

use super::program::{Job, Trouble};
use crate::engine::message::{Input, StartActivity};
use crate::engine::spans::{self, FinishedSpan};
use crate::entity::OperationError;
use crate::error::{Error, ErrorKind};
use crate::id::ActivityKey;
use crate::model::Outcome;
use crate::runtime::Envelope;
use crate::simulation::coverage::CoverageMark;
use crate::simulation::world::World;

/// A running attempt of an activity.
#[derive(Debug)]
pub(in crate::simulation) struct RunningJob {
    pub(super) activity: ActivityKey,
    pub(super) name: String,
    pub(super) job: Job,
    pub(super) attempt: u32,
    canceled: bool,
    span: Option<Box<FinishedSpan>>,
}

impl RunningJob {
    pub(in crate::simulation) fn new(start: StartActivity) -> Self {
        Self {
            job: serde_json::from_slice(&start.input).expect("the input of an activity is a job"),
            span: start.trace.filter(|trace| trace.is_sampled()).map(|trace| {
                Box::new(spans::attempt(
                    &trace,
                    &start.activity,
                    &start.name,
                    start.attempt,
                    start.since,
                ))
            }),
            activity: start.activity,
            name: start.name,
            attempt: start.attempt,
            canceled: false,
        }
    }
}

impl World {
    /// Starts an attempt. The request for it is durable, like everything that leaves the gate.
    pub(in crate::simulation) fn start_job(&mut self, job: RunningJob) {
        self.story.tell(|| format!("{} begins {job:?}", self.now.0));
        let twice = self
            .process
            .jobs
            .iter()
            .any(|other| other.activity == job.activity && !other.canceled);
        assert!(!twice, "two attempts run at a time: {job:?}");
        if job.name == "narrow" {
            let narrow = |other: &&RunningJob| other.name == "narrow";
            assert!(
                self.process.jobs.iter().find(narrow).is_none(),
                "two narrow activities run at a time: {job:?}"
            );
        }
        self.see(CoverageMark::ActivityRetried, job.attempt > 1);
        self.process.jobs.push(job);
    }

    /// Cancels an activity. A running attempt may still end.
    pub(in crate::simulation) fn cancel_job(&mut self, activity: &ActivityKey) {
        self.see(CoverageMark::ActivityCanceled, true);
        let running = self.process.jobs.iter_mut().rev().find(|job| job.activity == *activity);
        // The attempt may have ended, with its end still in flight.
        if let Some(running) = running {
            running.canceled = true;
        }
    }

    pub(in crate::simulation) fn end_some_job(&mut self) {
        if !self.process.jobs.is_empty() {
            let at = self.random.index(self.process.jobs.len());
            self.end_job(at);
        }
    }

    /// Ends an attempt as its input defines, or with a random failure.
    pub(in crate::simulation) fn end_job(&mut self, at: usize) {
        let RunningJob {
            activity,
            job,
            attempt,
            span,
            ..
        } = self.process.jobs.remove(at);
        let is_bad = self
            .profile
            .orchestrations
            .as_ref()
            .is_some_and(|conditions| conditions.bad_jobs);
        let ended = match self.random.below(100) {
            0..4 if is_bad => Outcome::Runtime(Error::new(ErrorKind::Panicked, "it panicked")),
            4..8 if is_bad => Outcome::Runtime(Error::new(ErrorKind::TimedOut, "it took too long")),
            _ => match job.result(attempt) {
                Ok(result) => Outcome::Answer(job.answer(result)),
                Err(trouble) => Outcome::Returned(failure(&trouble, job.hard)),
            },
        };
        self.story
            .tell(|| format!("{} ends {activity} attempt {attempt}: {ended:?}", self.now.0));
        let slot = self.process.slot_of(&activity.instance, self.profile.partitions);
        let input = Input::ActivityEnded {
            activity,
            attempt,
            ended: ended.into(),
            span,
        };
        self.process.cores[slot].inbox.send(Envelope::Input(Box::new(input)));
    }
}

fn failure(trouble: &Trouble, hard: bool) -> crate::failure::Failure {
    let failure = trouble.to_failure();
    match hard {
        true => failure.non_retriable(),
        false => failure,
    }
}
