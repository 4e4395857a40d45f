//! Serialization of operation arguments to JSON.

use crate::entity::argument::ArgumentCode;
use crate::error::{Error, ErrorKind, Result};

/// Writes arguments as a JSON object, by name, directly into the bytes that are sent.
///
/// `prefix` is the text before a value, which the macro generates: `{"cents":` or `,"text":`.
#[doc(hidden)]
#[derive(Debug)]
pub struct ArgumentWriter {
    operation: &'static str,
    json: Vec<u8>,
    error: Option<Error>,
}

impl ArgumentWriter {
    /// Starts the arguments of an operation that takes at least one.
    pub fn new(operation: &'static str) -> Self {
        Self {
            operation,
            json: Vec::with_capacity(64),
            error: None,
        }
    }

    /// Writes a value.
    #[must_use]
    pub fn value<T>(self, prefix: &'static str, value: &T, code: ArgumentCode<T>) -> Self {
        self.write(prefix, |json| (code.write)(value, json))
    }

    /// Writes a string that the caller keeps.
    #[must_use]
    pub fn text(self, prefix: &'static str, text: &str) -> Self {
        self.write(prefix, |json| serde_json::to_writer(json, text))
    }

    /// Writes a slice that the caller keeps.
    #[must_use]
    pub fn slice<T>(self, prefix: &'static str, slice: &[T], code: ArgumentCode<T>) -> Self {
        self.write(prefix, |json| (code.write_slice)(slice, json))
    }

    /// Closes the object.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Serialization`] for the first argument that does not serialize.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        match self.error {
            Some(error) => Err(error),
            None => {
                self.json.push(b'}');
                Ok(self.json)
            }
        }
    }

    fn write(mut self, prefix: &'static str, write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) -> Self {
        if self.error.is_none() {
            self.json.extend_from_slice(prefix.as_bytes());
            if let Err(reason) = write(&mut self.json) {
                let parameter = prefix.trim_matches(['{', ',', ':', '"']);
                let message = format!(
                    "argument `{parameter}` of operation `{}` does not serialize: {reason}",
                    self.operation
                );
                self.error = Some(Error::new(ErrorKind::Serialization, message).with_source(reason));
            }
        }
        self
    }
}
