//! Options of a call, which can be set until the turn that makes it ends.

use std::rc::Rc;

use crate::entity::OperationError;
use crate::failure::{CallFailure, shortened};
use crate::id::Sequence;
use crate::model::history::Command;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::payload::Normalize;
use crate::orchestration::step::{Condition, Emission, Retry, What};
use crate::retry::RetryPolicy;

/// Maximum size of a label in bytes. A longer one is shortened.
const LABEL_BYTES: usize = 256;

impl ExecutionState {
    /// Changes the command of a step.
    ///
    /// # Panics
    /// Panics if the turn that issued the command has ended.
    #[track_caller]
    pub(super) fn configure(&self, sequence: Sequence, change: impl FnOnce(&mut What, &mut Command)) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.closed {
            return;
        }
        let Some(step) = state.steps.get_mut(&sequence) else {
            return;
        };
        let Some(command) = state.commands.get_mut(step.emitted) else {
            too_late();
        };
        let before = step.held_bytes();
        change(&mut step.what, command);
        if let Some(retry) = step.what.attempts().and_then(|attempts| attempts.retry.as_mut()) {
            retry.command = command.clone();
        }
        state.held_bytes = (state.held_bytes + step.held_bytes()).saturating_sub(before);
    }

    /// Sets the label of a step.
    ///
    /// # Panics
    /// Panics in the same case as [`configure`](Self::configure).
    #[track_caller]
    pub(super) fn label(&self, sequence: Sequence, label: &str) {
        self.configure(sequence, |_, _| ());
        let label = shortened(label, LABEL_BYTES).into_owned();
        self.state.borrow_mut().labels.insert(sequence, label);
    }

    /// Changes a command that has no step.
    ///
    /// # Panics
    /// Panics if the turn that issued the command has ended.
    #[track_caller]
    pub(super) fn configure_sent(&self, emission: Emission, change: impl FnOnce(&mut Command)) {
        let mut state = self.state.borrow_mut();
        if state.closed {
            return;
        }
        match state.commands.get_mut(emission) {
            Some(command) => change(command),
            None => too_late(),
        }
    }

    /// Sets the retry policy of a step.
    #[track_caller]
    pub(super) fn set_retry(&self, sequence: Sequence, policy: RetryPolicy, normalize: Option<Normalize>) {
        let begun = self.state.borrow().now;
        self.configure(sequence, |what, command| {
            let Some(attempts) = what.attempts() else { return };
            match &mut attempts.retry {
                Some(retry) => retry.policy = policy,
                None => {
                    attempts.retry = Some(Box::new(Retry {
                        policy,
                        condition: None,
                        made: 1,
                        begun,
                        command: command.clone(),
                        normalize,
                    }));
                }
            }
        });
    }

    /// Sets the condition under which failures of a step are retried.
    ///
    /// # Panics
    /// Panics if the step has no retry policy.
    #[track_caller]
    pub(super) fn set_condition(&self, sequence: Sequence, condition: Condition) {
        let mut old = None;
        self.configure(sequence, |what, _| {
            match what.attempts().and_then(|attempts| attempts.retry.as_mut()) {
                Some(retry) => old = retry.condition.replace(condition),
                None => {
                    panic!("`retry_if` requires a retry policy: set one with `retry` first")
                }
            }
        });
        // The condition is user code, which may call back into the execution when it is dropped.
        drop(old);
    }
}

/// Creates the condition of `retry_if` for errors of type `E`.
///
/// It does not apply to errors of the runtime, for which the policy alone decides, unless `E` is `Failure`, which holds
/// any error. A failure that does not decode into `E` leaves the call as an error of the runtime, and is not retried.
pub(super) fn condition<E: OperationError>(condition: impl Fn(&E) -> bool + 'static) -> Condition {
    Rc::new(move |failure| match failure {
        CallFailure::Returned(failure) => E::from_failure(failure.clone()).is_ok_and(|error| condition(&error)),
        CallFailure::Runtime(error) => E::of_runtime(error).is_none_or(|error| condition(&error)),
    })
}

#[track_caller]
fn too_late() -> ! {
    panic!("the options of a call must be set where it is made, before any await")
}
