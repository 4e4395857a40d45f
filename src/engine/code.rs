//! The interface of user code to the engine: entity types, orchestrations and activities, without their Rust types.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use crate::engine::outbox::Outbox;
use crate::engine::scope::Scope;
use crate::engine::spans::FinishedSpan;
use crate::failure::Failure;
use crate::id::{ActivityKey, ExecutionId, InstanceId, Sequence};
use crate::model::Outcome;
use crate::model::history::{Command, Incoming, StepNote, TurnRecord};
use crate::model::orchestration::Stopped;
use crate::resource::{ResourceNeed, Resources};
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// A registered entity type.
pub(crate) trait EntityCode: Send + Sync {
    /// Returns the stored name in lower case.
    fn name(&self) -> &str;

    /// Returns the stored names of all operations, for error texts and listings.
    fn operations(&self) -> &'static [&'static str];

    /// Looks up an operation. Names are compared exactly.
    fn find(&self, operation: &str) -> Option<OperationSpec>;

    /// Returns the stored names of an operation's parameters in order.
    fn parameters(&self, spec: OperationSpec) -> &'static [&'static str];

    /// Returns the required resources, each with the operation that needs it.
    fn resources(&self) -> &'static [(&'static str, ResourceNeed)] {
        &[]
    }

    /// Checks that stored arguments decode into the parameters of an operation. Runs user code, so it may panic.
    ///
    /// # Errors
    /// Returns the text of the decoder's error.
    fn check_arguments(&self, spec: OperationSpec, arguments: &[u8]) -> Result<(), String>;

    /// Returns the number of changes of an entity's state that are kept.
    fn audit(&self) -> usize {
        0
    }

    /// Creates the initial state of an entity. Runs user code, so it may panic.
    fn create(&self, key: &str) -> Box<dyn EntityObject>;

    /// Reads a stored state. Runs user code, so it may panic.
    ///
    /// # Errors
    /// Returns the text of the decoder's error.
    fn decode(&self, state: &[u8]) -> Result<Box<dyn EntityObject>, String>;
}

/// An operation of an entity type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationSpec {
    /// Index in the operation table of the type.
    pub index: usize,
    /// Mode of execution.
    pub mode: OperationMode,
}

/// The mode in which an operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationMode {
    /// `&self`: reads the committed state and changes nothing.
    Read,
    /// `&mut self`: runs to completion within the turn.
    Write,
    /// `async fn`: runs outside the turn, on a copy of the state.
    Async,
}

/// The result of an operation: its answer as JSON, or a failure.
pub type OperationOutcome = Result<Vec<u8>, OperationFailure>;

/// The failure of an operation.
#[derive(Clone, Debug)]
pub enum OperationFailure {
    /// The stored arguments do not decode into the parameters. Holds the text of the decoder's error.
    Arguments(String),
    /// The answer cannot be serialized. Holds the text of the encoder's error.
    Answer(String),
    /// The operation returned `Err`.
    Returned(Failure),
}

/// The state of one entity in memory, with its code. Every method runs user code and may panic.
pub(crate) trait EntityObject: Send {
    /// Runs an [`OperationMode::Read`] operation.
    fn read(&self, operation: usize, arguments: &[u8], scope: &Scope) -> OperationOutcome;

    /// Runs an [`OperationMode::Write`] operation and collects its messages in `outbox`. The caller creates a restore
    /// point before the call, and rolls back after an `Err` or a panic.
    fn write(&mut self, operation: usize, arguments: &[u8], scope: &Scope, outbox: &mut Outbox) -> OperationOutcome;

    /// Creates the future of an [`OperationMode::Async`] operation on a copy of the state.
    ///
    /// # Errors
    /// Returns the text of the encoder's error, if the copy needs an encoder.
    fn start(
        &self,
        operation: usize,
        arguments: Vec<u8>,
        scope: Scope,
        resources: Resources,
    ) -> Result<AsyncOperation, String>;

    /// Saves the current state as the restore point.
    ///
    /// # Errors
    /// Returns the text of the encoder's error, if the type is not `Clone`.
    fn save_restore_point(&mut self) -> Result<(), String>;

    /// Restores the last restore point.
    ///
    /// # Errors
    /// Returns the text of the decoder's error, if the type is not `Clone`.
    fn roll_back(&mut self) -> Result<(), String>;

    /// Appends the state as JSON to `json`.
    ///
    /// # Errors
    /// Returns the text of the encoder's error.
    fn encode(&self, json: &mut Vec<u8>) -> Result<(), String>;
}

/// A running `async` operation.
pub(crate) type AsyncOperation = Pin<Box<dyn Future<Output = AsyncFinished> + Send>>;

/// The result of an `async` operation: the changed copy, its messages and its outcome.
pub(crate) struct AsyncFinished {
    pub(crate) object: Box<dyn EntityObject>,
    pub(crate) outbox: Outbox,
    pub(crate) outcome: OperationOutcome,
}

/// A registered version of an orchestration.
pub(crate) trait OrchestrationCode: Send + Sync {
    /// Returns the stored name.
    fn name(&self) -> &str;

    /// Returns the stored version. Empty if none was specified.
    fn version(&self) -> &str;

    /// Creates a run of one execution that has received no events yet. Runs no user code.
    fn begin(&self, begin: Begin) -> Box<dyn OrchestrationRun>;

    /// Checks that `input` decodes into the input type.
    ///
    /// # Errors
    /// Returns the text of the decoder's error, with field and position.
    fn check_input(&self, input: &[u8]) -> Result<(), String>;
}

/// The parameters of a new run.
#[derive(Clone, Debug)]
pub(crate) struct Begin {
    pub(crate) instance: InstanceId,
    pub(crate) execution: ExecutionId,
    /// Maximum number of commands in one turn.
    pub(crate) actions: usize,
    /// Maximum size of a payload in bytes.
    pub(crate) payload_bytes: usize,
}

/// The live code of one execution between two turns: the user's future and everything that it waits for.
///
/// It is not `Send`, because it never leaves the thread of its core.
pub(crate) trait OrchestrationRun {
    /// Runs a new turn. It delivers `incoming` one by one and polls the future after each until it makes no more
    /// progress. Returns the resulting commands in the order of emission.
    ///
    /// # Errors
    /// Returns the reason why the code cannot continue. The turn then has no effects, and the run must not be used
    /// again.
    fn turn(&mut self, time: Timestamp, incoming: &[Incoming]) -> Result<TurnEnd, Stopped>;

    /// Replays a turn of the history and compares the resulting commands with the recorded ones. `number` is the index
    /// of the turn in the history, for error texts. Returns the custom status as JSON, if the turn set it.
    ///
    /// # Errors
    /// Returns an error like [`turn`](Self::turn). It describes both sides of the first difference.
    fn replay(&mut self, number: u32, turn: &TurnRecord) -> Result<Option<Vec<u8>>, Stopped>;

    /// Returns `true` if the code waits for the end of this step. Other completions are dropped.
    fn wants(&self, sequence: Sequence) -> bool;

    /// Returns its approximate memory in bytes.
    fn bytes(&self) -> usize;

    /// Returns the position of each open step in the source of the code.
    fn places(&self) -> Vec<(Sequence, &'static Location<'static>)>;
}

/// The result of a turn.
#[derive(Debug, Default)]
pub(crate) struct TurnEnd {
    /// The commands of the turn. If the execution ends, the last command describes the end, and a `Cancel` for each
    /// open step precedes it.
    pub(crate) commands: Vec<Command>,
    /// Notes about the steps of these commands.
    pub(crate) notes: Vec<(Sequence, StepNote)>,
    /// The custom status as JSON, if the turn set it.
    pub(crate) custom_status: Option<Vec<u8>>,
    /// Events that were delivered and not read, oldest first, for an execution that continues as new.
    pub(crate) unread: Vec<(String, Vec<u8>)>,
    /// The spans of the steps that ended in the turn.
    pub(crate) spans: Vec<FinishedSpan>,
}

/// A registered activity.
pub(crate) trait ActivityCode: Send + Sync {
    /// Returns the stored name.
    fn name(&self) -> &str;

    /// Returns the maximum number of attempts that run concurrently in this process, or `None` if the activity has no
    /// limit of its own.
    fn limit(&self) -> Option<usize>;

    /// Returns the time limit of an attempt.
    fn timeout(&self) -> Option<Duration>;

    /// Returns `true` if `run` blocks its thread, so it needs a thread for blocking work.
    fn is_blocking(&self) -> bool;

    /// Returns the required resources.
    fn resources(&self) -> &'static [ResourceNeed] {
        &[]
    }

    /// Checks that `input` decodes into the input type.
    ///
    /// # Errors
    /// Returns the text of the decoder's error, with field and position.
    #[allow(dead_code, reason = "used only by the inspection of a directory")]
    fn check_input(&self, input: &[u8]) -> Result<(), String>;

    /// Starts one attempt. The future does not catch panics.
    fn run(&self, input: Vec<u8>, attempt: Attempt) -> ActivityFuture;
}

/// A running attempt of an activity.
pub(crate) type ActivityFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The metadata that an attempt of an activity can access.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) activity: ActivityKey,
    /// Number of the attempt, starting with 1.
    pub(crate) number: u32,
    /// The execution that first requested the activity.
    pub(crate) asked_by: ExecutionId,
    /// Maximum size of the answer in bytes.
    pub(crate) payload_bytes: usize,
    pub(crate) canceled: Canceled,
    /// The trace that the attempt belongs to, with the span of the attempt if it has one.
    pub(crate) trace: Option<Box<TraceContext>>,
    pub(crate) resources: Resources,
}

/// Notifies a running activity that its result is no longer needed.
pub(crate) type Canceled = std::sync::Arc<dyn CancelSignal>;

/// The receiving side of a cancellation.
pub(crate) trait CancelSignal: Send + Sync + std::fmt::Debug {
    fn is_canceled(&self) -> bool;
    /// Resolves when the activity is canceled.
    fn canceled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
