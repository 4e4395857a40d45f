//! Errors that operations return.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};
use crate::failure::{Failure, record_of};
use crate::json;

/// The error type of an operation, an activity or an orchestration: a `std::error::Error` that implements `Serialize`
/// and `Deserialize`, or a [`Failure`].
///
/// It is stored as a [`Failure`] whose details contain it as JSON. A caller receives it with its own type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as an error type",
    label = "errors are stored and sent, so the type must implement `std::error::Error`, `Serialize` and `Deserialize`",
    note = "derive `thiserror::Error`, `Serialize` and `Deserialize` for your own error type",
    note = "or return `Result<_, Failure>` instead of `String`, `anyhow::Error` or `Box<dyn Error>`: `?` converts every error to a `Failure`, and `Failure::message(text)` creates one from text"
)]
pub trait OperationError: Sized + fmt::Debug + fmt::Display + Send + 'static {
    #[doc(hidden)]
    fn to_failure(&self) -> Failure;

    /// # Errors
    /// Returns an error that names the stored error if it no longer decodes into this type.
    #[doc(hidden)]
    fn from_failure(failure: Failure) -> Result<Self, Error>;

    /// Converts an error of the runtime, if the type can hold any error.
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
        // An error that does not serialize keeps its text. Only its type is lost to the caller.
        let mut details = Vec::new();
        match json::write(self, &mut details) {
            Ok(()) => failure.details = String::from_utf8(details).ok(),
            Err(reason) => tracing::warn!(
                error_type = failure.error_type,
                %reason,
                "an error was stored without its details; its caller receives only its text"
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
                &"it was stored without details; either the operation returned a plain `Failure`, or its error could not \
                  be serialized and deserialized, and the log of the hub contains the reason",
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
        // `?` on a call passes on the error that the call returned, complete with its type and details.
        record_of(&error).unwrap_or_else(|| Self::describe(&error, std::any::type_name::<E>()))
    }
}
