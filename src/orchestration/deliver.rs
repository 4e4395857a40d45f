//! Delivery of incoming messages to an execution.

use crate::error::ErrorKind;
use crate::failure::CallFailure;
use crate::id::{InstanceId, Sequence};
use crate::model::history::EventNote;
use crate::model::history::{Command, Incoming};
use crate::orchestration::commands::Emitted;
use crate::orchestration::events::Event;
use crate::orchestration::execution::{ExecutionState, State};
use crate::orchestration::section::lock_lost;
use crate::orchestration::step::{Condition, Step, What};
use crate::retry::RetryPolicy;
use crate::time::Timestamp;
use std::task::Waker;

type StepResult = Result<Vec<u8>, CallFailure>;

impl ExecutionState {
    /// Records an incoming message, and wakes its waiter.
    pub(super) fn deliver(&self, incoming: &Incoming) {
        match incoming {
            Incoming::Completed { sequence, outcome } => self.complete(*sequence, outcome.clone().into()),
            Incoming::Raised { name, payload } => self.raise(name, payload),
            Incoming::LockLost { lock, entity } => self.lose(*lock, entity),
            // The first creates the code; the others only appear in histories.
            Incoming::Started(_) | Incoming::Suspended { .. } | Incoming::Resumed { .. } => {}
        }
    }

    fn complete(&self, sequence: Sequence, outcome: StepResult) {
        let mut state = self.state.borrow_mut();
        let step = state.steps.get_mut(&sequence);
        let Some(step) = step.filter(|step| step.is_wanted()) else {
            return;
        };
        if let What::Backoff { of, .. } = step.what {
            state.steps.remove(&sequence);
            state.repeat(of);
            drop(state);
            self.check_actions();
            return;
        }
        let trial = Trial::of(step);
        let now = state.now;
        drop(state);
        // The retry condition is user code, too.
        let delay = match (trial, &outcome) {
            (Some(trial), Err(failure)) => trial.delay(failure, now),
            _ => None,
        };
        let mut state = self.state.borrow_mut();
        match delay {
            Some(due) => {
                state.back_off(sequence, due);
                drop(state);
                self.check_actions();
            }
            None => {
                let woken = state.settle(sequence, outcome);
                drop(state);
                wake(woken);
            }
        }
    }

    fn raise(&self, name: &str, payload: &[u8]) {
        let mut state = self.state.borrow_mut();
        let handed = state.events.raise(name, payload);
        let woken = handed.and_then(|(waiter, event)| state.give(waiter, event));
        drop(state);
        wake(woken);
    }

    fn lose(&self, lock: Sequence, entity: &InstanceId) {
        let mut state = self.state.borrow_mut();
        let section = state.section.as_mut().filter(|section| section.sequence == lock);
        let Some(call) = section.and_then(|section| section.lose(entity)) else {
            return;
        };
        let woken = state.settle(call, Err(lock_lost(entity).into()));
        drop(state);
        wake(woken);
    }
}

impl State {
    /// Ends a step. Returns the waker, which is to be called without the borrow.
    fn settle(&mut self, sequence: Sequence, outcome: StepResult) -> Option<Waker> {
        let step = self.steps.get_mut(&sequence)?;
        if let Some(section) = &mut self.section {
            section.forget_call(sequence);
            if let What::Lock { granted, .. } = &mut step.what {
                *granted = outcome.is_ok();
                section.granted = outcome.is_ok();
            }
        }
        let before = step.held_bytes();
        step.outcome = Some(outcome);
        self.held_bytes += step.held_bytes() - before;
        step.waker.take()
    }

    /// Hands an event to a wait for its name, or keeps it. Returns the waker to call.
    pub(super) fn hand_out(&mut self, event: Event) -> Option<Waker> {
        let (waiter, event) = self.events.hand_out(event)?;
        self.give(waiter, event)
    }

    fn give(&mut self, waiter: Sequence, event: Event) -> Option<Waker> {
        let step = self.steps.get_mut(&waiter)?;
        if let What::Event { given, .. } = &mut step.what {
            *given = Some(event);
            self.event_notes.insert(waiter, EventNote::Given);
        }
        self.held_bytes += step.held_bytes();
        step.waker.take()
    }

    /// Delays the next attempt of a step.
    fn back_off(&mut self, of: Sequence, due: Timestamp) {
        let Some(step) = self.steps.get_mut(&of) else { return };
        self.sequence += 1;
        let sequence = self.sequence;
        let place = step.place;
        if let Some(attempts) = step.what.attempts() {
            attempts.backoff = Some(sequence);
        }
        let emitted = self.commands.push(Emitted {
            command: Command::CreateTimer { sequence, due },
            place: Some(place),
            normalize: None,
        });
        let timer = Step {
            what: What::Backoff { of, due },
            place,
            emitted,
            outcome: None,
            waker: None,
            polled_in: 0,
        };
        self.steps.insert(sequence, timer);
        self.retries.insert(sequence, of);
    }

    /// Makes the next attempt of a step.
    fn repeat(&mut self, sequence: Sequence) {
        let Some(step) = self.steps.get_mut(&sequence) else {
            return;
        };
        let place = Some(step.place);
        let Some(attempts) = step.what.attempts() else { return };
        attempts.backoff = None;
        let Some(retry) = &mut attempts.retry else { return };
        retry.made += 1;
        let mut command = retry.command.clone();
        if let Command::CallActivity { attempt, .. } | Command::StartOrchestration { attempt, .. } = &mut command {
            *attempt = retry.made;
        }
        step.emitted = self.commands.push(Emitted {
            command,
            place,
            normalize: retry.normalize,
        });
    }
}

/// The facts that decide whether a failed attempt is followed by another.
struct Trial {
    policy: RetryPolicy,
    condition: Option<Condition>,
    made: u32,
    begun: Timestamp,
}

impl Trial {
    fn of(step: &mut Step) -> Option<Self> {
        let retry = step.what.attempts()?.retry.as_ref()?;
        Some(Self {
            policy: retry.policy,
            condition: retry.condition.clone(),
            made: retry.made,
            begun: retry.begun,
        })
    }

    /// Returns when the next attempt is due, or `None` if there is none.
    fn delay(&self, failure: &CallFailure, now: Timestamp) -> Option<Timestamp> {
        if self.made >= self.policy.attempts() || !self.is_worth_it(failure) {
            return None;
        }
        let due = now.after(self.policy.delay(self.made - 1));
        let in_time = |overall| due <= self.begun.after(overall);
        self.policy.overall().is_none_or(in_time).then_some(due)
    }

    fn is_worth_it(&self, failure: &CallFailure) -> bool {
        let may_end_otherwise = match failure {
            CallFailure::Returned(failure) => !failure.non_retriable,
            CallFailure::Runtime(error) => is_retriable(error.kind()),
        };
        may_end_otherwise && self.condition.as_ref().is_none_or(|condition| condition(failure))
    }
}

/// Returns whether a repeated request may end differently.
fn is_retriable(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Panicked
            | ErrorKind::TimedOut
            | ErrorKind::OperationFailed
            | ErrorKind::Overloaded
            | ErrorKind::Closed
            | ErrorKind::Replaced
            | ErrorKind::Io
    )
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
