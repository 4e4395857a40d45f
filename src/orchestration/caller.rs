//! An orchestration as a caller of entities.

use std::fmt;
use std::rc::Rc;

use crate::entity::caller::sealed::{Due, Prepared, Sealed};
use crate::entity::caller::{Claim, Request, When};
use crate::entity::{Caller, CanCall};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EntityId, Sequence, check_name};
use crate::model::history::Command;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::payload::Normalize;
use crate::orchestration::step::What;
use crate::orchestration::step_future::StepFuture;

/// The caller inside an orchestration. It can call and signal entities.
///
/// A signal has no answer that could hold an error. If a signal cannot be sent, or a critical section forbids it, the
/// orchestration fails with the error.
#[derive(Clone)]
pub struct OrchestrationCaller {
    execution: Rc<ExecutionState>,
}

impl OrchestrationCaller {
    pub(super) fn new(execution: Rc<ExecutionState>) -> Self {
        Self { execution }
    }

    /// Returns the request with its step. An operation that could not be created has no step, and issues no command.
    fn claimed(&self, prepared: Prepared) -> Result<(Request, Claim)> {
        let request = prepared.0?;
        match request.claim {
            Some(claim) => Ok((request, claim)),
            None => Err(Error::new(
                ErrorKind::Configuration,
                "an operation was created by one caller and used by another",
            )),
        }
    }

    /// Sends a one-way request, or fails the orchestration.
    fn send(&self, prepared: Prepared, at: impl FnOnce(Sequence) -> Result<At>) {
        let sent = self.claimed(prepared).and_then(|(request, claim)| {
            let at = at(claim.sequence)?;
            self.execution.signal(request, claim, at)
        });
        if let Err(error) = sent {
            self.execution.refuse(&error);
        }
    }
}

/// The timer id and the due time of a signal, if it is scheduled.
type At = Option<(String, crate::time::Timestamp)>;

impl fmt::Debug for OrchestrationCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrchestrationCaller of {}", self.execution.begin.instance)
    }
}

impl Sealed for OrchestrationCaller {}

impl CanCall for OrchestrationCaller {}

impl Caller for OrchestrationCaller {
    type Signaled = ();
    /// The id of the timer, for its cancellation.
    type Scheduled = String;
    type Canceled = ();
    type Answer = StepFuture;

    #[track_caller]
    fn prepare(&self, prepared: &mut Prepared) {
        // The number is claimed even if the operation could not be created, because that may change with a build.
        let claim = self.execution.claim();
        if let Ok(request) = &mut prepared.0 {
            request.claim = Some(claim);
        }
    }

    fn call(self, prepared: Prepared) -> StepFuture {
        match self.claimed(prepared) {
            Ok((request, claim)) => match self.execution.call(request, claim) {
                Ok(()) => StepFuture::open(self.execution, claim),
                Err(error) => StepFuture::refused(self.execution, error),
            },
            Err(error) => StepFuture::refused(self.execution, error),
        }
    }

    fn signal(self, prepared: Prepared) {
        self.send(prepared, |_| Ok(None));
    }

    fn schedule(self, prepared: Prepared, due: Due, timer: Option<String>) -> String {
        let due = match due.0 {
            When::At(time) => time,
            When::After(duration) => self.execution.now().after(duration),
        };
        let sequence = prepared.0.as_ref().ok().and_then(|request| request.claim);
        let sequence = sequence.map_or(0, |claim| claim.sequence);
        let timer = timer.unwrap_or_else(|| self.execution.derived_id(sequence));
        self.send(prepared, |sequence| {
            self.execution.check_timer(sequence, &timer)?;
            Ok(Some((timer.clone(), due)))
        });
        timer
    }

    #[track_caller]
    fn cancel(self, target: Result<EntityId>, timer: String) {
        let claim = self.execution.claim();
        let named = self.execution.check_timer(claim.sequence, &timer);
        match named.and(target) {
            Ok(target) => {
                let command = Command::CancelSignal {
                    sequence: claim.sequence,
                    target: target.instance().clone(),
                    timer,
                };
                self.execution.send(claim, command, None);
            }
            Err(error) => self.execution.refuse(&error),
        }
    }
}

impl ExecutionState {
    fn check_timer(&self, sequence: Sequence, timer: &str) -> Result<()> {
        let what = || format!("the timer id `{timer}`");
        self.permit(sequence, what, || check_name("timer id", timer))
    }

    fn check_arguments(&self, request: &Request, claim: Claim) -> Result<()> {
        let what = || format!("the arguments of `{}` for `{}`", request.operation, request.target);
        self.check_size(claim.sequence, what, request.arguments.len())
    }

    /// Calls an operation.
    fn call(&self, request: Request, claim: Claim) -> Result<()> {
        self.check_arguments(&request, claim)?;
        let target = request.target.instance().clone();
        let mut state = self.state.borrow_mut();
        let lock = match &mut state.section {
            Some(section) => {
                section.call(&target, claim.sequence)?;
                Some(section.sequence)
            }
            None => None,
        };
        drop(state);
        let command = Command::CallEntity {
            sequence: claim.sequence,
            target: target.clone(),
            operation: request.operation.into_owned(),
            arguments: request.arguments,
            lock,
        };
        let normalize = Normalize::Arguments(request.parameters);
        self.open(claim, What::Call { target }, command, Some(normalize));
        Ok(())
    }

    /// Signals an operation.
    fn signal(&self, request: Request, claim: Claim, at: At) -> Result<()> {
        self.check_arguments(&request, claim)?;
        let target = request.target.instance().clone();
        if let Some(section) = &self.state.borrow().section {
            section.check_signal(&target)?;
        }
        let command = Command::SignalEntity {
            sequence: claim.sequence,
            target,
            operation: request.operation.into_owned(),
            arguments: request.arguments,
            at,
        };
        self.send(claim, command, Some(Normalize::Arguments(request.parameters)));
        Ok(())
    }
}
