//! Adapter from a user's orchestration to the code that the engine runs.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use metrics::Histogram;

use crate::engine::code::{Begin, OrchestrationCode, OrchestrationRun};
use crate::entity::argument::read_whole;
use crate::entity::{Answer, OperationError};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::ORCHESTRATION_TURN_SECONDS;
use crate::model::history::Command;
use crate::orchestration::context::OrchestrationContext;
use crate::orchestration::end::{Ending, failure_of};
use crate::orchestration::execution::{END, ExecutionState};
use crate::orchestration::kind::{LocalBoxFuture, Orchestration};
use crate::orchestration::payload::Normalize;
use crate::orchestration::run::Run;

/// Returns the code of the orchestration `O` in the form that the engine runs.
pub(crate) fn orchestration_code<O: Orchestration>() -> Arc<dyn OrchestrationCode> {
    Arc::new(TypedCode::<O> {
        turn_seconds: OnceLock::new(),
        types: PhantomData,
    })
}

struct TypedCode<O> {
    /// The duration of the code in a turn, as a metric.
    turn_seconds: OnceLock<Histogram>,
    types: PhantomData<fn() -> O>,
}

impl<O: Orchestration> OrchestrationCode for TypedCode<O> {
    fn name(&self) -> &str {
        O::NAME
    }

    fn version(&self) -> &str {
        O::VERSION
    }

    fn begin(&self, begin: Begin) -> Box<dyn OrchestrationRun> {
        let program = Program {
            name: O::NAME,
            start: start::<O>,
            check_input: |input| read_whole::<O::Input>(input).map(drop),
            normalize_input: Normalize::argument::<O::Input>(),
        };
        let turn_seconds = self
            .turn_seconds
            .get_or_init(|| ORCHESTRATION_TURN_SECONDS.to_histogram(&[O::NAME]));
        Box::new(Run::new(program, begin, turn_seconds.clone()))
    }

    fn check_input(&self, input: &[u8]) -> std::result::Result<(), String> {
        read_whole::<O::Input>(input).map(drop)
    }
}

/// The user's code without its types, so that its runner is compiled only once.
#[derive(Clone, Copy)]
pub(super) struct Program {
    pub(super) name: &'static str,
    /// Creates the future of one execution.
    pub(super) start: fn(OrchestrationContext, &[u8]) -> Result<LocalBoxFuture<Ending>>,
    pub(super) check_input: fn(&[u8]) -> std::result::Result<(), String>,
    pub(super) normalize_input: Normalize,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn start<O: Orchestration>(context: OrchestrationContext, input: &[u8]) -> Result<LocalBoxFuture<Ending>> {
    let input = read_whole::<O::Input>(input).map_err(|reason| {
        let message = format!("the input of the orchestration `{}`: {reason}", O::NAME);
        Error::new(ErrorKind::InvalidArguments, message)
    })?;
    let execution = Rc::clone(context.execution());
    let run = O::run(context, input);
    Ok(Box::pin(async move {
        match run.await {
            Ok(output) => complete::<O>(&execution, &output).unwrap_or_else(|error| Ending::failed(failure_of(&error))),
            Err(error) => Ending::failed(error.to_failure()),
        }
    }))
}

fn complete<O: Orchestration>(execution: &ExecutionState, output: &O::Output) -> Result<Ending> {
    let mut json = Vec::with_capacity(64);
    output.to_json(&mut json).map_err(|reason| {
        let message = format!(
            "the output of the orchestration `{}` does not serialize: {reason}",
            O::NAME
        );
        Error::new(ErrorKind::Serialization, message).with_source(reason)
    })?;
    execution.check_size(
        END,
        || format!("the output of the orchestration `{}`", O::NAME),
        json.len(),
    )?;
    Ok(Ending {
        command: Command::Complete { output: json },
        place: None,
        normalize: Some(Normalize::answer::<O::Output>()),
    })
}
