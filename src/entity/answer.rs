//! Return values of operations.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::code::{OperationFailure, OperationOutcome};
use crate::entity::operation_error::OperationError;
use crate::json;

/// A type that an operation, an activity or an orchestration can return.
///
/// Implemented for every owned type that implements `Serialize`, `Deserialize` and `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a return value",
    label = "return values are stored and sent, so the type must implement `Serialize`, `Deserialize` and `Send`",
    note = "derive `Serialize` and `Deserialize` for it"
)]
pub trait Answer: Sized + Send + 'static {
    /// # Errors
    /// Returns the error of the serializer.
    #[doc(hidden)]
    fn to_json(&self, json: &mut Vec<u8>) -> serde_json::Result<()>;

    /// # Errors
    /// Returns the error of the deserializer.
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

/// Serializes the return value of an operation that cannot fail.
#[doc(hidden)]
pub fn answered<T: Answer>(answer: T) -> OperationOutcome {
    let mut json = Vec::with_capacity(32);
    match answer.to_json(&mut json) {
        Ok(()) => Ok(json),
        Err(reason) => Err(OperationFailure::Answer(reason.to_string())),
    }
}

/// Serializes the return value of an operation that returns a `Result`.
#[doc(hidden)]
pub fn returned<T: Answer, E: OperationError>(result: Result<T, E>) -> OperationOutcome {
    match result {
        Ok(answer) => answered(answer),
        Err(error) => Err(OperationFailure::Returned(error.to_failure())),
    }
}

/// A `Result`, possibly behind a type alias.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `Result` but is not a `std::result::Result`",
    label = "not a `std::result::Result`",
    note = "rename the type, or return a `Result`"
)]
#[doc(hidden)]
pub trait ResultType {
    /// The type in `Ok`.
    type Answer;
    /// The type in `Err`.
    type Error;

    /// Converts the value to the underlying `Result`.
    fn into_result(self) -> Result<Self::Answer, Self::Error>;
}

impl<T, E> ResultType for Result<T, E> {
    type Answer = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// Determines whether a concrete type is a `Result`: the inherent constant takes precedence over the one of the trait.
#[doc(hidden)]
#[derive(Debug)]
pub struct IsResult<T>(std::marker::PhantomData<T>);

impl<T, E> IsResult<Result<T, E>> {
    /// The type is a `Result`.
    pub const __ABIDE_IS_RESULT: bool = true;
}

/// The fallback of [`IsResult`] for types that are not a `Result`.
#[doc(hidden)]
pub trait IsNoResult {
    /// The type is not a `Result`.
    const __ABIDE_IS_RESULT: bool = false;
}

impl<T> IsNoResult for IsResult<T> {}
