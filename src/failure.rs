//! What went wrong, in the form that is stored and that survives every hop.

mod limit;

use std::cell::RefCell;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

pub(crate) use limit::{LEAST_TEXT_BYTES, TEXT_BYTES, shortened};

/// The stored record of an error that an operation returned.
///
/// Every `std::error::Error` converts into it, with its source chain, so that `?` works in a function that returns it. One
/// that comes out of a call stays what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The Rust type of the error, without its path.
    pub error_type: String,
    /// What the error says of itself.
    pub message: String,
    /// The error itself as JSON, where its type is serialisable.
    pub details: Option<String>,
    /// What its sources say, outermost first.
    pub sources: Vec<String>,
    /// Whether a retry is known to be useless.
    pub non_retriable: bool,
}

impl Failure {
    /// A failure with a message and nothing else.
    pub fn message(message: impl Into<String>) -> Self {
        Self {
            error_type: "Failure".into(),
            message: message.into(),
            details: None,
            sources: Vec::new(),
            non_retriable: false,
        }
    }

    /// How many bytes its texts have.
    pub(crate) fn bytes(&self) -> usize {
        let details = self.details.as_ref().map_or(0, String::len);
        let sources: usize = self.sources.iter().map(String::len).sum();
        self.error_type.len() + self.message.len() + details + sources
    }

    /// Describes any error, with its source chain.
    pub(crate) fn describe<E: std::error::Error + ?Sized>(error: &E, error_type: &str) -> Self {
        let mut sources = Vec::new();
        let mut next = error.source();
        while let Some(source) = next {
            sources.push(source.to_string());
            next = source.source();
        }
        Self {
            error_type: short_type_name(error_type),
            message: error.to_string(),
            details: None,
            sources,
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
        for source in &self.sources {
            write!(f, ": {source}")?;
        }
        Ok(())
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
