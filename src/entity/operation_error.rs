//! What an operation may return as its error.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};
use crate::failure::{Failure, record_of};
use crate::json;

/// What an operation may return as its error: a `std::error::Error` that serde writes and reads, or a [`Failure`].
///
/// It is stored as a [`Failure`] whose details hold it as JSON, and comes back to a caller with its type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of an operation",
    label = "the error is stored and sent, and this type is not a `std::error::Error` with `Serialize` and `Deserialize`",
    note = "derive `thiserror::Error`, `Serialize` and `Deserialize` for an error type of your own",
    note = "or return `Result<_, Failure>` in the place of `String`, `anyhow::Error` or `Box<dyn Error>`: `?` turns every error into a `Failure`, and `Failure::message(text)` makes one from text"
)]
pub trait OperationError: Sized + fmt::Debug + fmt::Display + Send + 'static {
    #[doc(hidden)]
    fn to_failure(&self) -> Failure;

    /// # Errors
    /// An error that names what was stored, if it does not decode into this type any more.
    #[doc(hidden)]
    fn from_failure(failure: Failure) -> Result<Self, Error>;

    /// What the runtime met, in a type that takes any error.
    #[doc(hidden)]
    fn of_runtime(_error: &Error) -> Option<Self> {
        None
    }

    #[doc(hidden)]
    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)>;
}

#[diagnostic::do_not_recommend]
impl<E: std::error::Error + Serialize + DeserializeOwned + Send + 'static> OperationError for E {
    fn to_failure(&self) -> Failure {
        let mut failure = Failure::describe(self, std::any::type_name::<E>());
        // An error that does not serialize still tells its text; only its type is lost to the caller.
        let mut details = Vec::new();
        match json::write(self, &mut details) {
            Ok(()) => failure.details = String::from_utf8(details).ok(),
            Err(reason) => tracing::warn!(
                error_type = failure.error_type,
                %reason,
                "an error is stored without its details, so that its caller gets its text alone"
            ),
        }
        failure
    }

    fn from_failure(failure: Failure) -> Result<Self, Error> {
        let refused = |reason: &dyn fmt::Display| {
            let message = format!(
                "the operation returned the error `{}` ({failure}), which does not decode into `{}`: {reason}",
                failure.error_type,
                std::any::type_name::<E>()
            );
            Error::new(ErrorKind::Serialization, message)
        };
        match &failure.details {
            Some(details) => serde_json::from_str(details).map_err(|reason| refused(&reason).with_source(reason)),
            None => Err(refused(
                &"it was stored without details; either the operation returned a plain `Failure`, or its error could not be \
                  serialized and read again, and the hub's log says why",
            )),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source()
    }
}

impl OperationError for Failure {
    fn to_failure(&self) -> Failure {
        self.clone()
    }

    fn from_failure(failure: Failure) -> Result<Self, Error> {
        Ok(failure)
    }

    fn of_runtime(error: &Error) -> Option<Self> {
        Some(Self::of_runtime(error))
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        // `?` on a call hands over what was returned there: it goes on whole, with its type and details.
        record_of(&error).unwrap_or_else(|| Self::describe(&error, std::any::type_name::<E>()))
    }
}
