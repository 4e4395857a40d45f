//! The user's code as the engine sees it: types of entities, their objects and their operations, without their Rust types.

use std::future::Future;
use std::pin::Pin;

use crate::engine::outbox::Outbox;
use crate::engine::scope::Scope;
use crate::failure::Failure;

/// One registered entity type.
pub(crate) trait EntityCode: Send + Sync {
    /// The stored name, lower-case.
    fn name(&self) -> &str;

    /// The stored names of all operations, for messages and listings.
    fn operations(&self) -> &'static [&'static str];

    /// Looks up an operation; names compare exactly.
    fn find(&self, operation: &str) -> Option<OperationSpec>;

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
    fn start(&self, operation: usize, arguments: Vec<u8>, scope: Scope) -> Result<AsyncOperation, String>;

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
