//! The end of an execution.

use std::panic::Location;

use crate::error::Error;
use crate::failure::{Failure, LEAST_TEXT_BYTES};
use crate::id::Sequence;
use crate::model::history::Command;
use crate::orchestration::commands::Emitted;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::payload::Normalize;
use crate::orchestration::step::What;

/// The last command of an execution.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) command: Command,
    pub(super) place: Option<&'static Location<'static>>,
    pub(super) normalize: Option<Normalize>,
}

impl Ending {
    /// Creates the ending of an execution that fails.
    pub(super) fn failed(failure: Failure) -> Self {
        Self {
            command: Command::Fail { failure },
            place: None,
            normalize: None,
        }
    }
}

impl ExecutionState {
    /// Ends the execution: cancels its open steps in the order of their numbers, and records the ending. Events that
    /// were delivered and not read become unread again.
    pub(super) fn finish(&self, ending: Ending) {
        let command = self.held(ending.command);
        let mut state = self.state.borrow_mut();
        let open: Vec<Sequence> = state.steps.keys().copied().collect();
        let mut steps = Vec::with_capacity(open.len());
        for sequence in open {
            let Some(mut step) = state.take_back(sequence) else {
                continue;
            };
            if let What::Event { given, .. } = &mut step.what
                && let Some(event) = given.take()
            {
                state.events.keep(event);
            }
            steps.push(step);
        }
        state.commands.push(Emitted {
            command,
            place: ending.place,
            normalize: ending.normalize,
        });
        state.closed = true;
        // Wakers and conditions are user code, which may call back into the execution when it is dropped.
        drop(state);
        drop(steps);
    }
}

impl ExecutionState {
    /// Limits the error of an execution to the size of a payload.
    fn held(&self, command: Command) -> Command {
        let Command::Fail { failure } = command else {
            return command;
        };
        let what = || format!("the orchestration `{}`", self.begin.instance);
        let failure = failure.within(self.begin.payload_bytes.max(LEAST_TEXT_BYTES), what);
        Command::Fail {
            failure: failure.unwrap_or_else(|error| failure_of(&error)),
        }
    }
}

/// Returns the failure of an execution whose request was refused. A retry cannot fix it.
pub(super) fn failure_of(error: &Error) -> Failure {
    Failure::of_runtime(error).non_retriable()
}
