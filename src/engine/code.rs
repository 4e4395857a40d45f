//! The user's code as the engine sees it: types of entities, of orchestrations and of activities, without their Rust types.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::engine::message::{ActivityEnd, ActivityKey};
use crate::engine::outbox::Outbox;
use crate::engine::scope::Scope;
use crate::failure::Failure;
use crate::id::{ExecutionId, InstanceId, Sequence};
use crate::resource::{ResourceNeed, Resources};
use crate::store::records::history::{Command, Incoming, StepNote, TurnRecord};
use crate::store::records::instance::Stopped;
use crate::time::Timestamp;

/// One registered entity type.
pub(crate) trait EntityCode: Send + Sync {
    /// The stored name, lower-case.
    fn name(&self) -> &str;

    /// The stored names of all operations, for messages and listings.
    fn operations(&self) -> &'static [&'static str];

    /// Looks up an operation; names compare exactly.
    fn find(&self, operation: &str) -> Option<OperationSpec>;

    /// The stored names of an operation's parameters, in their order.
    fn parameters(&self, spec: OperationSpec) -> &'static [&'static str];

    /// What the hub has to be given, with the operation that needs it.
    fn resources(&self) -> &'static [(&'static str, ResourceNeed)] {
        &[]
    }

    /// Whether stored arguments decode into the parameters of an operation. Runs user code, so it may panic.
    ///
    /// # Errors
    /// The text of the decoder's error.
    fn check_arguments(&self, spec: OperationSpec, arguments: &[u8]) -> Result<(), String>;

    /// Makes the state of an entity that is touched for the first time. Runs user code, so it may panic.
    fn create(&self, key: &str) -> Box<dyn EntityObject>;

    /// Reads a stored state. Runs user code, so it may panic.
    ///
    /// # Errors
    /// The text of the decoder's error.
    fn decode(&self, state: &[u8]) -> Result<Box<dyn EntityObject>, String>;
}

/// One operation of an entity type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationSpec {
    /// Its place in the type's table.
    pub index: usize,
    /// How it runs.
    pub mode: OperationMode,
}

/// How an operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationMode {
    /// `&self`: sees the committed state and changes nothing.
    Read,
    /// `&mut self`, run to its end within the turn.
    Write,
    /// `async fn`: runs outside the turn, on a copy of the state.
    Async,
}

/// What an operation ends with: its answer as JSON, or why there is none.
pub type OperationOutcome = Result<Vec<u8>, OperationFailure>;

/// Why an operation has no answer.
#[derive(Clone, Debug)]
pub enum OperationFailure {
    /// The stored arguments do not decode into the parameters; the text of the decoder's error.
    Arguments(String),
    /// The answer does not serialise; the text of the encoder's error.
    Answer(String),
    /// The operation returned `Err`.
    Returned(Failure),
}

/// The state of one entity in memory, with its code. Every method runs user code and may panic.
pub(crate) trait EntityObject: Send {
    /// Runs a [`OperationMode::Read`] operation.
    fn read(&self, operation: usize, arguments: &[u8], scope: &Scope) -> OperationOutcome;

    /// Runs a [`OperationMode::Write`] operation. What it sends goes into `outbox`. The caller takes a restore point before and
    /// rolls back after an `Err` or a panic.
    fn write(&mut self, operation: usize, arguments: &[u8], scope: &Scope, outbox: &mut Outbox) -> OperationOutcome;

    /// Makes the future of an [`OperationMode::Async`] operation, on a copy of the state.
    ///
    /// # Errors
    /// The text of the encoder's error, where the copy needs one.
    fn start(
        &self,
        operation: usize,
        arguments: Vec<u8>,
        scope: Scope,
        resources: Resources,
    ) -> Result<AsyncOperation, String>;

    /// Remembers the state as it is.
    ///
    /// # Errors
    /// The text of the encoder's error, where the type is not `Clone`.
    fn save_restore_point(&mut self) -> Result<(), String>;

    /// Goes back to the last restore point.
    ///
    /// # Errors
    /// The text of the decoder's error, where the type is not `Clone`.
    fn roll_back(&mut self) -> Result<(), String>;

    /// Appends the state as JSON to `json`.
    ///
    /// # Errors
    /// The text of the encoder's error.
    fn encode(&self, json: &mut Vec<u8>) -> Result<(), String>;
}

/// A running `async` operation.
pub(crate) type AsyncOperation = Pin<Box<dyn Future<Output = AsyncFinished> + Send>>;

/// What an `async` operation leaves: the changed copy, what it sent, and its outcome.
pub(crate) struct AsyncFinished {
    pub(crate) object: Box<dyn EntityObject>,
    pub(crate) outbox: Outbox,
    pub(crate) outcome: OperationOutcome,
}

/// One registered version of an orchestration.
pub(crate) trait OrchestrationCode: Send + Sync {
    /// The stored name.
    fn name(&self) -> &str;

    /// The stored version; empty if none was given.
    fn version(&self) -> &str;

    /// Makes a run of one execution, which has seen nothing yet. Runs no user code.
    fn begin(&self, begin: Begin) -> Box<dyn OrchestrationRun>;

    /// Whether `input` decodes into the type of the input.
    ///
    /// # Errors
    /// The text of the decoder's error, with field and position.
    fn check_input(&self, input: &[u8]) -> Result<(), String>;
}

/// What a run has to know before its first turn.
#[derive(Clone, Debug)]
pub(crate) struct Begin {
    pub(crate) instance: InstanceId,
    pub(crate) execution: ExecutionId,
    /// The most commands of one turn.
    pub(crate) actions: usize,
    /// The largest payload, in bytes.
    pub(crate) payload_bytes: usize,
}

/// The code of one execution as it stands between two turns: the user's future, alive, with everything that it waits for.
///
/// It is not `Send`: it never leaves the thread of its core.
pub(crate) trait OrchestrationRun {
    /// Runs a turn that is new: delivers `incoming` one by one, and polls to rest after each. What it asked for comes back
    /// in the order of emission.
    ///
    /// # Errors
    /// Why it cannot go on. Then nothing of the turn counts, and the run is of no use any more.
    fn turn(&mut self, time: Timestamp, incoming: &[Incoming]) -> Result<TurnEnd, Stopped>;

    /// Runs a turn of the history again, and compares what it asks for with what is recorded. `number` is the turn's place
    /// in the history, for messages.
    ///
    /// # Errors
    /// As [`turn`](Self::turn), with both sides of the first difference.
    fn replay(&mut self, number: u32, turn: &TurnRecord) -> Result<(), Stopped>;

    /// Whether the end of this step is waited for. A completion of any other is dropped.
    fn wants(&self, sequence: Sequence) -> bool;

    /// The memory that it takes, in bytes, about.
    fn bytes(&self) -> usize;
}

/// What a turn leaves.
#[derive(Debug, Default)]
pub(crate) struct TurnEnd {
    /// What it asked for. If the execution ends, the last one says how, and before it stand a `Cancel` for each open step.
    pub(crate) commands: Vec<Command>,
    /// What is noted about the steps of these commands.
    pub(crate) notes: Vec<(Sequence, StepNote)>,
    /// The custom status as JSON, if the turn set it.
    pub(crate) custom_status: Option<Vec<u8>>,
    /// Where it continues as new: the events that were delivered and not read, oldest first.
    pub(crate) unread: Vec<(String, Vec<u8>)>,
}

/// One registered activity.
pub(crate) trait ActivityCode: Send + Sync {
    /// The stored name.
    fn name(&self) -> &str;

    /// The most attempts of it that run at one time in this process; nothing for no limit of its own.
    fn limit(&self) -> Option<usize>;

    /// How long an attempt may run.
    fn timeout(&self) -> Option<Duration>;

    /// Whether `run` blocks its thread, so that it needs one of those for blocking work.
    fn is_blocking(&self) -> bool;

    /// What the hub has to be given for it.
    fn resources(&self) -> &'static [ResourceNeed] {
        &[]
    }

    /// Whether `input` decodes into the type of the input.
    ///
    /// # Errors
    /// The text of the decoder's error, with field and position.
    #[allow(dead_code, reason = "only who looks at a directory asks for it")]
    fn check_input(&self, input: &[u8]) -> Result<(), String>;

    /// Makes one attempt. The future catches no panic.
    fn run(&self, input: Vec<u8>, attempt: Attempt) -> ActivityFuture;
}

/// A running attempt of an activity.
pub(crate) type ActivityFuture = Pin<Box<dyn Future<Output = ActivityEnd> + Send>>;

/// What one attempt of an activity may know about itself.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) activity: ActivityKey,
    /// 1 for the first.
    pub(crate) number: u32,
    /// The execution that first asked for it.
    pub(crate) asked_by: ExecutionId,
    /// The largest answer, in bytes.
    pub(crate) payload_bytes: usize,
    pub(crate) canceled: Canceled,
    pub(crate) resources: Resources,
}

/// Tells a running activity that nobody wants its result any more.
pub(crate) type Canceled = std::sync::Arc<dyn CancelSignal>;

/// The receiving side of a cancellation.
pub(crate) trait CancelSignal: Send + Sync + std::fmt::Debug {
    fn is_canceled(&self) -> bool;
    /// Resolves when it is cancelled.
    fn canceled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
