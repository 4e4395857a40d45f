//! What went wrong, in the form that is stored and that survives every hop.

mod limit;

use std::any::TypeId;
use std::cell::RefCell;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

pub(crate) use limit::{LEAST_TEXT_BYTES, TEXT_BYTES, shortened};

/// The stored record of an error that an operation returned.
///
/// Every `std::error::Error` converts into it, with its source chain, so that `?` works in a function that returns it. One
/// that comes out of a call stays what it is. An error of the runtime has the name of its [`ErrorKind`] as its type, and
/// [`decode`](Self::decode) restores the [`Error`].
///
/// Because every error converts into it, it cannot be a `std::error::Error` itself, as with `anyhow::Error`. It converts into
/// [`abide::Error`](Error), which is one. An error enum of your own takes it beside `#[derive(FromCallError)]`, by
/// `#[from_call_error]` instead of thiserror's `#[from]`:
///
/// ```
/// use abide::prelude::*;
///
/// #[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
/// enum OrderError {
///     #[error("{0}")]
///     Failed(#[from_call_error] Failure),
///     #[error(transparent)]
///     Runtime(#[from] CallError),
/// }
///
/// fn check() -> Result<(), OrderError> {
///     Err(Failure::message("sold out"))?
/// }
/// assert_eq!(check().unwrap_err().to_string(), "sold out");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The Rust type of the error, without its path. For an error of the runtime, the name of its [`ErrorKind`].
    pub error_type: String,
    /// What the error says of itself.
    pub message: String,
    /// The error itself as JSON, where its type is serialisable.
    pub details: Option<String>,
    /// Its sources, outermost first.
    pub causes: Vec<Cause>,
    /// A stack trace, if there is one. Errors of Rust have none.
    pub stack: Option<Box<str>>,
    /// Whether a retry is known to be useless.
    pub non_retriable: bool,
}

/// One source of an error, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cause {
    /// Its type, if that is known. The type of a source in Rust is not.
    pub error_type: Option<String>,
    /// Its message.
    pub message: String,
    /// Its stack trace, if it has one.
    pub stack: Option<Box<str>>,
}

impl Cause {
    /// A source of which only the message is known.
    pub fn message(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// How many bytes its texts have.
    fn bytes(&self) -> usize {
        let error_type = self.error_type.as_ref().map_or(0, String::len);
        let stack = self.stack.as_ref().map_or(0, |stack| stack.len());
        error_type + self.message.len() + stack
    }
}

impl Failure {
    /// A failure with a message and nothing else.
    pub fn message(message: impl Into<String>) -> Self {
        Self {
            error_type: "Failure".into(),
            message: message.into(),
            details: None,
            causes: Vec::new(),
            stack: None,
            non_retriable: false,
        }
    }

    /// An error of the runtime, named by its kind.
    pub(crate) fn of_runtime(error: &Error) -> Self {
        let mut failure = Self::describe(error, std::any::type_name::<Error>());
        failure.error_type = format!("{:?}", error.kind());
        failure.details = serde_json::to_string(error).ok();
        failure
    }

    /// Returns the stored error, if it has the type `E`: one that an operation, an activity or an orchestration returned, or,
    /// with `E` = [`abide::Error`](Error), one of the runtime.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
    /// enum PayError {
    ///     #[error("declined")]
    ///     Declined,
    ///     #[error(transparent)]
    ///     Runtime(#[from] CallError),
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// #[activity]
    /// async fn pay() -> Result<(), PayError> {
    ///     Err(PayError::Declined)
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext) -> Result<(), Failure> {
    ///     Ok(ctx.call_activity::<pay>(()).await?)
    /// }
    ///
    /// let hub = Hub::in_memory().activity::<pay>().orchestration::<order>().open().await?;
    /// match hub.client().start::<order>(()).await?.result().await {
    ///     Err(CallError::Returned(failure)) => {
    ///         assert!(matches!(failure.decode::<PayError>(), Some(PayError::Declined)));
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// A type is recognized by its name, so an error of another type is never taken for one of this. `None` if the type is
    /// another one, or if its details no longer decode.
    pub fn decode<E: std::error::Error + DeserializeOwned + 'static>(&self) -> Option<E> {
        let named = short_type_name(std::any::type_name::<E>()) == self.error_type;
        let is_runtime = TypeId::of::<E>() == TypeId::of::<Error>();
        let details = self.details.as_ref().filter(|_| named || is_runtime)?;
        serde_json::from_str(details).ok()
    }

    /// How many bytes its texts have.
    pub(crate) fn bytes(&self) -> usize {
        let details = self.details.as_ref().map_or(0, String::len);
        let stack = self.stack.as_ref().map_or(0, |stack| stack.len());
        let causes: usize = self.causes.iter().map(Cause::bytes).sum();
        self.error_type.len() + self.message.len() + details + stack + causes
    }

    /// Describes any error, with its source chain.
    pub(crate) fn describe<E: std::error::Error + ?Sized>(error: &E, error_type: &str) -> Self {
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(source) = next {
            causes.push(Cause::message(source.to_string()));
            next = source.source();
        }
        Self {
            error_type: short_type_name(error_type),
            message: error.to_string(),
            details: None,
            causes,
            stack: None,
            non_retriable: false,
        }
    }

    /// The same failure, marked as one that no retry mends.
    #[must_use]
    pub fn non_retriable(mut self) -> Self {
        self.non_retriable = true;
        self
    }
}

thread_local! {
    /// While a failure is made of an error: what the error says it was before, once it has said so.
    static BEFORE: RefCell<Option<Option<Failure>>> = const { RefCell::new(None) };
}

/// The record of an error that came out of a call, with its type and details.
///
/// `?` turns an error of any type into a [`Failure`], and of any type nothing is known but that it is an `Error`. So one that
/// came out of a call [tells](tell_record) while it is asked for its source.
pub(crate) fn record_of(error: &dyn std::error::Error) -> Option<Failure> {
    BEFORE.set(Some(None));
    let _ = error.source();
    let told = BEFORE.take().flatten();
    // An error that wraps it may say something of its own.
    let text = error.to_string();
    told.filter(|failure| failure.message == text || failure.to_string() == text)
}

/// Tells the record, if somebody wants to know.
pub(crate) fn tell_record(record: impl FnOnce() -> Failure) {
    // Taken out meanwhile, because the sources of the error are asked now. What was told first stays: it wraps the rest.
    BEFORE.set(match BEFORE.take() {
        Some(None) => Some(Some(record())),
        told => told,
    });
}

/// `a::b::Overdrawn` is stored as `Overdrawn`: module paths change more often than names.
fn short_type_name(path: &str) -> String {
    let end = path.find('<').unwrap_or(path.len());
    let start = path[..end].rfind("::").map_or(0, |at| at + 2);
    path[start..].to_owned()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {}", cause.message)?;
        }
        Ok(())
    }
}

/// An error of the runtime is restored. An error that was returned becomes [`ErrorKind::OperationFailed`], with its text and
/// those of its sources.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        if let Some(error) = failure.decode::<Self>()
            && failure.error_type == format!("{:?}", error.kind())
        {
            return error;
        }
        let sources = failure.causes.into_iter().map(|cause| cause.message).collect();
        Self::new(ErrorKind::OperationFailed, failure.message).with_recorded_sources(sources)
    }
}

/// Why a call has no answer, before its error type is known.
#[derive(Clone, Debug)]
pub enum CallFailure {
    /// The operation returned `Err`.
    Returned(Failure),
    /// The runtime met something else.
    Runtime(Error),
}

impl From<Error> for CallFailure {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}
