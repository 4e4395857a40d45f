//! A step, as held by the future that waits for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::entity::caller::Claim;
use crate::error::Error;
use crate::failure::CallFailure;
use crate::id::Sequence;
use crate::orchestration::execution::ExecutionState;

/// A step, as held by the future that waits for it. Dropping it withdraws the step.
#[doc(hidden)]
pub struct StepFuture {
    execution: Rc<ExecutionState>,
    sequence: Sequence,
    stage: Stage,
}

enum Stage {
    /// The step was requested.
    Open,
    /// The step was never requested, for this reason.
    Refused(Error),
    /// The outcome was read.
    Done,
}

impl StepFuture {
    /// Creates the handle of a requested step.
    pub(super) fn open(execution: Rc<ExecutionState>, claim: Claim) -> Self {
        Self {
            execution,
            sequence: claim.sequence,
            stage: Stage::Open,
        }
    }

    /// Creates the handle of a step that could not be requested.
    pub(super) fn refused(execution: Rc<ExecutionState>, error: Error) -> Self {
        Self {
            execution,
            // No step has this number.
            sequence: 0,
            stage: Stage::Refused(error),
        }
    }

    pub(super) fn execution(&self) -> &Rc<ExecutionState> {
        &self.execution
    }

    pub(super) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Returns whether the step was requested and its outcome was not read.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Sets the label of the step.
    #[track_caller]
    pub(super) fn label(&self, label: &str) {
        if self.is_open() {
            self.execution.label(self.sequence, label);
        }
    }

    /// Withdraws the step. Its future fails with this error.
    pub(super) fn refuse(&mut self, error: Error) {
        if self.is_open() {
            self.execution.abandon(self.sequence);
            self.stage = Stage::Refused(error);
        }
    }
}

impl Future for StepFuture {
    type Output = Result<Vec<u8>, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Refused(error) => Poll::Ready(Err(error.into())),
            Stage::Done => panic!("a step of an orchestration was polled after completion"),
            Stage::Open => {
                let outcome = self.execution.poll(self.sequence, cx);
                if outcome.is_pending() {
                    self.stage = Stage::Open;
                }
                outcome
            }
        }
    }
}

impl Drop for StepFuture {
    fn drop(&mut self) {
        if self.is_open() {
            self.execution.abandon(self.sequence);
        }
    }
}

impl fmt::Debug for StepFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Open => "open",
            Stage::Refused(_) => "refused",
            Stage::Done => "done",
        };
        write!(
            f,
            "step {} of {}, {stage}",
            self.sequence, self.execution.begin.instance
        )
    }
}
