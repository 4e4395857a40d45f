//! Rows of lists that cannot be read.

use crate::error::Error;

/// A row of a list that this build cannot read. It is reported beside the others, so that a broken row does not break the
/// list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The id of what the row is about, as far as its key tells.
    pub id: String,
    /// The reason why the row cannot be read.
    pub reason: String,
}

impl Unreadable {
    pub(crate) fn new(id: impl Into<String>, reason: &Error) -> Self {
        let id = id.into();
        tracing::error!(id, %reason, "a row of a list cannot be read");
        Self {
            id,
            reason: reason.to_string(),
        }
    }
}
