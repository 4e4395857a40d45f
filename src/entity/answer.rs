//! What an operation answers.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::code::{OperationFailure, OperationOutcome};
use crate::entity::operation_error::OperationError;
use crate::json;

/// What an operation may answer: anything owned that serde writes and reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of an operation",
    label = "the answer is stored and sent, and this type does not serialise and deserialise or cannot move between threads",
    note = "derive `Serialize` and `Deserialize` for it"
)]
pub trait Answer: Sized + Send + 'static {
    /// # Errors
    /// The encoder's error.
    #[doc(hidden)]
    fn to_json(&self, json: &mut Vec<u8>) -> serde_json::Result<()>;

    /// # Errors
    /// The decoder's error.
    #[doc(hidden)]
    fn from_json(json: &[u8]) -> serde_json::Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Answer for T {
    fn to_json(&self, json: &mut Vec<u8>) -> serde_json::Result<()> {
        json::write(self, json)
    }

    fn from_json(json: &[u8]) -> serde_json::Result<Self> {
        json::read(json)
    }
}

/// Encodes the answer of an operation that returns no error.
#[doc(hidden)]
pub fn answered<T: Answer>(answer: T) -> OperationOutcome {
    let mut json = Vec::with_capacity(32);
    match answer.to_json(&mut json) {
        Ok(()) => Ok(json),
        Err(reason) => Err(OperationFailure::Answer(reason.to_string())),
    }
}

/// Encodes what an operation returned whose return type is a `Result`.
#[doc(hidden)]
pub fn returned<T: Answer, E: OperationError>(result: Result<T, E>) -> OperationOutcome {
    match result {
        Ok(answer) => answered(answer),
        Err(error) => Err(OperationFailure::Returned(error.to_failure())),
    }
}

/// Splits a `Result` behind an alias.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `Result` and is none",
    label = "not a `std::result::Result`",
    note = "give the type another name, or return a `Result`"
)]
#[doc(hidden)]
pub trait ResultType {
    /// The type in `Ok`.
    type Answer;
    /// The type in `Err`.
    type Error;

    /// Takes the alias away.
    fn into_result(self) -> Result<Self::Answer, Self::Error>;
}

impl<T, E> ResultType for Result<T, E> {
    type Answer = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// Tells whether a concrete type is a `Result`: the inherent constant wins over the trait's.
#[doc(hidden)]
#[derive(Debug)]
pub struct IsResult<T>(std::marker::PhantomData<T>);

impl<T, E> IsResult<Result<T, E>> {
    /// It is one.
    pub const __ABIDE_IS_RESULT: bool = true;
}

/// What [`IsResult`] falls back to.
#[doc(hidden)]
pub trait IsNoResult {
    /// It is none.
    const __ABIDE_IS_RESULT: bool = false;
}

impl<T> IsNoResult for IsResult<T> {}
