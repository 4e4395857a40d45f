//! Checks of JSON text from callers.

use crate::error::{Error, ErrorKind, Result};

/// Checks JSON text from a caller. An empty text stands for `null`. `what` names the text in the error.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::InvalidArguments`] if the text is not valid JSON.
pub(crate) fn checked(mut json: Vec<u8>, what: impl FnOnce() -> String) -> Result<Vec<u8>> {
    if json.is_empty() {
        json.extend_from_slice(b"null");
    }
    // Parsed into a value, which refuses what no tool could read again: numbers out of range, unpaired surrogates, deep
    // nesting.
    match serde_json::from_slice::<serde_json::Value>(&json) {
        Ok(_) => Ok(json),
        Err(reason) => Err(Error::new(
            ErrorKind::InvalidArguments,
            format!("{} is not valid JSON: {reason}", what()),
        )),
    }
}
