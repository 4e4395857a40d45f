//! Rows of a list that cannot be read.

use crate::error::Error;

/// A row of a list that this build cannot read. It is reported separately, so that one broken row does not fail the
/// whole list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The id of the item, as far as the key of the row contains it.
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
