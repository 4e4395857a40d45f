//! Durable timers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::entity::caller::Claim;
use crate::model::history::Command;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::step::What;
use crate::orchestration::step_future::StepFuture;
use crate::time::Timestamp;

/// A durable timer, created by [`OrchestrationContext::create_timer`](crate::OrchestrationContext::create_timer). It is
/// never early and survives restarts.
///
/// The timer runs whether or not it is awaited. Dropping it cancels it.
#[must_use = "a dropped timer is canceled; await it"]
pub struct Timer(StepFuture);

impl Timer {
    pub(super) fn new(execution: &Rc<ExecutionState>, claim: Claim, due: Timestamp) -> Self {
        let sequence = claim.sequence;
        execution.open(claim, What::Timer { due }, Command::CreateTimer { sequence, due }, None);
        Self(StepFuture::open(Rc::clone(execution), claim))
    }

    /// Sets a label, like [`ActivityCall::label`](crate::orchestration::ActivityCall::label).
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the timer is created.
    #[track_caller]
    pub fn label(self, label: impl AsRef<str>) -> Self {
        self.0.label(label.as_ref());
        self
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timer, {:?}", self.0)
    }
}
