//! HTTP responses.

use std::str::Utf8Error;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// An HTTP response of any status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status code, such as 200.
    pub status: u16,
    /// Names in lower case and values, in order. Invalid UTF-8 in a value is replaced by U+FFFD.
    pub headers: Vec<(String, String)>,
    /// The complete body.
    #[serde(with = "super::body")]
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Creates a response without headers and body, for a test.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header, for a test.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into().to_lowercase(), value.into()));
        self
    }

    /// Sets the body, for a test.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Returns whether the status is from 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the value of the first header with this name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the body as text.
    ///
    /// # Errors
    /// Returns an error if the body is invalid UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// Decodes the body as JSON.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Serialization`] if the body does not decode into `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|reason| {
            let message = format!(
                "the body of a response with status {} does not decode into `{}`: {reason}",
                self.status,
                std::any::type_name::<T>()
            );
            Error::new(ErrorKind::Serialization, message).with_source(reason)
        })
    }
}
