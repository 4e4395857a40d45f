//! How a call fails.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entity::operation_error::OperationError;
use crate::error::Error;
pub(crate) use crate::failure::CallFailure;
use crate::failure::tell_record;

/// Why a call has no answer.
///
/// `E` is the error that the operation itself may return; without one it is [`NoError`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CallError<E = NoError> {
    /// The operation returned this error. The entity and what it was about to send are as before.
    Returned(E),
    /// The runtime met something else: a panic, a time limit, a refused id, a closed hub.
    Runtime(Error),
}

impl<E> CallError<E> {
    /// The operation's own error, or what the runtime met instead.
    ///
    /// # Errors
    /// The runtime's error.
    pub fn into_returned(self) -> Result<E, Error> {
        match self {
            Self::Returned(error) => Ok(error),
            Self::Runtime(error) => Err(error),
        }
    }
}

impl<E: OperationError> CallError<E> {
    pub(crate) fn from_failure(failure: CallFailure) -> Self {
        match failure {
            CallFailure::Runtime(error) => Self::Runtime(error),
            CallFailure::Returned(failure) => match E::from_failure(failure) {
                Ok(error) => Self::Returned(error),
                Err(error) => Self::Runtime(error),
            },
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(error) => error.fmt(f),
            Self::Runtime(error) => error.fmt(f),
        }
    }
}

impl<E: OperationError> StdError for CallError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Returned(error) => {
                tell_record(|| error.to_failure());
                error.cause()
            }
            Self::Runtime(error) => error.source(),
        }
    }
}

impl<E: OperationError> From<CallError<E>> for Error {
    /// An error that an operation returned becomes [`ErrorKind::OperationFailed`](crate::ErrorKind::OperationFailed), with its text and those of its
    /// sources.
    fn from(error: CallError<E>) -> Self {
        match error {
            CallError::Runtime(error) => error,
            CallError::Returned(error) => error.to_failure().into(),
        }
    }
}

/// The error of an operation that returns none: it has no values.
///
/// It is not `Infallible`, which is to become `!`; `!` converts into everything, and that would collide with the
/// conversions of [`CallError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoError {}

impl fmt::Display for NoError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl StdError for NoError {}

impl Serialize for NoError {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match *self {}
    }
}

impl<'de> Deserialize<'de> for NoError {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "this side knows the operation as one that returns no error",
        ))
    }
}
