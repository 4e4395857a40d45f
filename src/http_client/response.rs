//! What is answered.

use std::str::Utf8Error;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// An HTTP answer, of whatever status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status, such as 200.
    pub status: u16,
    /// Names in lower case, and values, in their order. What is no UTF-8 in a value is replaced by U+FFFD.
    pub headers: Vec<(String, String)>,
    /// All bytes of the body.
    #[serde(with = "super::body")]
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Whether the status is one from 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of the first header of this name. Upper and lower case are alike.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    ///
    /// # Errors
    /// If it is no UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Serialization`] if it does not decode into `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|reason| {
            let message = format!(
                "the body of an answer with status {} does not decode into `{}`: {reason}",
                self.status,
                std::any::type_name::<T>()
            );
            Error::new(ErrorKind::Serialization, message).with_source(reason)
        })
    }
}
