//! Errors in the form that is stored and that is preserved across every hop.

mod hop;
mod limit;

use std::any::TypeId;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

pub(crate) use hop::{record_of, tell_record};
pub(crate) use limit::{LEAST_TEXT_BYTES, TEXT_BYTES, shortened};

/// The stored record of an error that an operation returned.
///
/// Every `std::error::Error` converts into it together with its source chain, so `?` works in a function that returns
/// it. An error that comes out of a call keeps its type and its details. For an error of the runtime, the type is the
/// name of its [`ErrorKind`], and [`decode`](Self::decode) restores the [`Error`].
///
/// Because every error converts into it, a `Failure` cannot be a `std::error::Error` itself, as with `anyhow::Error`.
/// It converts into [`abide::Error`](Error), which is one. To hold a `Failure` in an error enum that derives
/// `FromCallError`, use `#[from_call_error]` instead of thiserror's `#[from]`:
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
    /// The Rust type of the error without its path. For an error of the runtime, the name of its [`ErrorKind`].
    pub error_type: String,
    /// The message of the error.
    pub message: String,
    /// The error itself as JSON, if its type is serializable.
    pub details: Option<String>,
    /// The sources, outermost first.
    pub causes: Vec<Cause>,
    /// The stack trace, if there is one. Always `None` for errors of Rust code.
    pub stack: Option<Box<str>>,
    /// Set if a retry is known to be useless.
    pub non_retriable: bool,
}

/// A stored source of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cause {
    /// The type, if known. The type of a source in Rust is unknown.
    pub error_type: Option<String>,
    /// The message.
    pub message: String,
    /// The stack trace, if there is one.
    pub stack: Option<Box<str>>,
}

impl Cause {
    /// Creates a source of which only the message is known.
    pub fn message(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// Returns the size of its texts in bytes.
    fn bytes(&self) -> usize {
        let error_type = self.error_type.as_ref().map_or(0, String::len);
        let stack = self.stack.as_ref().map_or(0, |stack| stack.len());
        error_type + self.message.len() + stack
    }
}

impl Failure {
    /// Creates a failure that has a message only.
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

    /// Creates the failure of an error of the runtime, whose type is the name of its kind.
    pub(crate) fn of_runtime(error: &Error) -> Self {
        let mut failure = Self::describe(error, std::any::type_name::<Error>());
        failure.error_type = format!("{:?}", error.kind());
        failure.details = serde_json::to_string(error).ok();
        failure
    }

    /// Returns the stored error, if it has the type `E`.
    ///
    /// `E` is the error type of an operation, an activity or an orchestration, or [`abide::Error`](Error) for an error
    /// of the runtime.
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
    /// A type is recognized by its name, so an error of another type is never returned as an `E`. Returns `None` if the
    /// type differs, or if the details no longer decode.
    pub fn decode<E: std::error::Error + DeserializeOwned + 'static>(&self) -> Option<E> {
        let named = short_type_name(std::any::type_name::<E>()) == self.error_type;
        let is_runtime = TypeId::of::<E>() == TypeId::of::<Error>();
        let details = self.details.as_ref().filter(|_| named || is_runtime)?;
        serde_json::from_str(details).ok()
    }

    /// Returns the size of its texts in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let details = self.details.as_ref().map_or(0, String::len);
        let stack = self.stack.as_ref().map_or(0, |stack| stack.len());
        let causes: usize = self.causes.iter().map(Cause::bytes).sum();
        self.error_type.len() + self.message.len() + details + stack + causes
    }

    /// Describes any error, including its source chain.
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

    /// Returns the same failure, marked as one that a retry cannot fix.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[activity(retry(max_attempts = 5))]
    /// async fn parse(text: String) -> Result<i64, Failure> {
    ///     match text.parse() {
    ///         Ok(number) => Ok(number),
    ///         Err(_) => Err(Failure::message(format!("`{text}` is not a number")).non_retriable()),
    ///     }
    /// }
    /// #
    /// # #[orchestration]
    /// # async fn double(ctx: OrchestrationContext, text: String) -> Result<i64, Failure> {
    /// #     Ok(2 * ctx.call_activity::<parse>(text).await?)
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().activity::<parse>().orchestration::<double>().open().await?;
    /// # let client = hub.client();
    /// assert_eq!(client.start::<double>("21".into()).await?.result().await?, 42);
    /// // Fails after the first attempt.
    /// assert!(client.start::<double>("many".into()).await?.result().await.is_err());
    /// # hub.shutdown().await
    /// # }
    /// ```
    #[must_use]
    pub fn non_retriable(mut self) -> Self {
        self.non_retriable = true;
        self
    }
}

/// Removes the module path, which changes more often than the name: `a::b::Overdrawn` is stored as `Overdrawn`.
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

/// Restores an error of the runtime. A returned error becomes [`ErrorKind::OperationFailed`], with its text and the
/// texts of its sources.
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

/// The reason why a call has no answer, before its error type is known.
#[derive(Clone, Debug)]
pub enum CallFailure {
    /// The operation returned `Err`.
    Returned(Failure),
    /// The runtime reported an error.
    Runtime(Error),
}

impl From<Error> for CallFailure {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}
