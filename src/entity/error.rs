//! Errors of calls.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entity::operation_error::OperationError;
use crate::error::Error;
pub(crate) use crate::failure::CallFailure;
use crate::failure::tell_record;

/// The error of a call.
///
/// `E` is the error type of the operation, or [`NoError`] if the operation cannot fail.
///
/// ```
/// use abide::prelude::*;
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Account {
///     cents: i64,
/// }
///
/// #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
/// #[error("short by {cents} cents")]
/// struct Overdrawn {
///     cents: i64,
/// }
///
/// #[operations]
/// impl Account {
///     pub fn withdraw(&mut self, cents: i64) -> Result<(), Overdrawn> {
///         self.cents -= cents;
///         if self.cents < 0 { Err(Overdrawn { cents: -self.cents }) } else { Ok(()) }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Account>().open().await?;
/// let alice = hub.client().entity::<Account>("alice");
/// match alice.withdraw(200).await {
///     Ok(()) => println!("withdrawn"),
///     Err(CallError::Returned(Overdrawn { cents })) => assert_eq!(cents, 200),
///     Err(CallError::Runtime(error)) if error.kind() == ErrorKind::Closed => println!("open the hub again"),
///     Err(error) => panic!("{error}"),
/// }
///
/// // `?` converts it to an `abide::Error` of kind `OperationFailed`.
/// let error = Error::from(alice.withdraw(200).await.unwrap_err());
/// assert_eq!((error.kind(), error.to_string()), (ErrorKind::OperationFailed, "short by 200 cents".into()));
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CallError<E = NoError> {
    /// The operation returned this error. The state of the entity is unchanged, and no messages were sent.
    Returned(E),
    /// The runtime failed the call because of a panic, a time limit, an invalid id, a closed hub or a similar reason.
    Runtime(Error),
}

impl<E> CallError<E> {
    /// Returns the operation's own error.
    ///
    /// # Errors
    /// Returns the error of the runtime if the operation did not return an error itself.
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
    /// Converts an error that an operation returned to one of kind
    /// [`ErrorKind::OperationFailed`](crate::ErrorKind::OperationFailed), with its text and those of its sources.
    fn from(error: CallError<E>) -> Self {
        match error {
            CallError::Runtime(error) => error,
            CallError::Returned(error) => error.to_failure().into(),
        }
    }
}

/// The error type of an operation that cannot fail. It has no values.
///
/// It is not `Infallible`, which will become `!`. The type `!` converts into every type, which would conflict with the
/// conversions of [`CallError`].
///
/// ```
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// # let client = hub.client();
/// // `add` returns an `i64` and no `Result`, so only the runtime can fail the call.
/// let answer: Result<i64, CallError<NoError>> = client.entity::<Counter>("visits").add(1).await;
/// match answer {
///     Ok(total) => assert_eq!(total, 1),
///     Err(CallError::Runtime(error)) => panic!("{error}"),
///     Err(other) => panic!("{other}"),
/// }
/// # hub.shutdown().await
/// # }
/// ```
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
            "this build declares the operation without an error type",
        ))
    }
}
