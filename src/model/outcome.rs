//! Outcomes of steps, activities and requests.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::failure::{CallFailure, Failure};

/// The outcome of a step, an activity or a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The answer as JSON, or `null` if there is none.
    Answer(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The user's code returned an error.
    Returned(Failure),
    /// The runtime failed it.
    Runtime(Error),
}

impl From<Result<Vec<u8>, CallFailure>> for Outcome {
    fn from(result: Result<Vec<u8>, CallFailure>) -> Self {
        match result {
            Ok(answer) => Self::Answer(answer),
            Err(CallFailure::Returned(failure)) => Self::Returned(failure),
            Err(CallFailure::Runtime(error)) => Self::Runtime(error),
        }
    }
}

impl From<Outcome> for Result<Vec<u8>, CallFailure> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Returned(failure) => Err(CallFailure::Returned(failure)),
            Outcome::Runtime(error) => Err(CallFailure::Runtime(error)),
        }
    }
}

impl Outcome {
    /// Returns the size of its payload in bytes, including errors.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Answer(answer) => answer.len(),
            Self::Returned(failure) => failure.bytes(),
            Self::Runtime(error) => error.bytes(),
        }
    }
}
