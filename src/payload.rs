//! The stored form of user values.
//!
//! | stored bytes | meaning |
//! |---|---|
//! | none | absent: no value was given |
//! | a zero byte, then others | bytes that are not JSON |
//! | anything else | JSON |
//!
//! No JSON text is empty or begins with a zero byte, so JSON is stored unchanged. This build writes JSON, and reads all
//! three forms: a worker in another language may store values of its own.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// No value was given.
    Absent,
    Json(&'a [u8]),
    /// Bytes whose meaning only their writer knows.
    Bytes(&'a [u8]),
}

/// The first byte of a value that is not JSON.
const BYTES: u8 = 0;

impl<'a> Payload<'a> {
    /// Classifies stored bytes.
    pub(crate) fn of(stored: &'a [u8]) -> Self {
        match stored {
            [] => Self::Absent,
            [BYTES, bytes @ ..] => Self::Bytes(bytes),
            json => Self::Json(json),
        }
    }

    /// Returns the value as JSON. An absent value is `null`.
    ///
    /// # Errors
    /// Returns a message if the value is not JSON.
    pub(crate) fn json(self) -> Result<&'a [u8], String> {
        match self {
            Self::Absent => Ok(b"null"),
            Self::Json(json) => Ok(json),
            Self::Bytes(bytes) => Err(format!(
                "it consists of {} bytes that are not JSON; only the program that wrote them can read them",
                bytes.len()
            )),
        }
    }

    /// Returns the value for display: JSON unchanged, and bytes as `{"base64":"…"}`. A damaged value is displayed as
    /// far as possible.
    pub(crate) fn shown(self) -> Cow<'a, str> {
        match self {
            Self::Absent => "null".into(),
            Self::Json(json) => String::from_utf8_lossy(json),
            Self::Bytes(bytes) => format!(r#"{{"base64":"{}"}}"#, STANDARD.encode(bytes)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored values must stay readable forever.
    #[test]
    fn kinds_of_payloads_are_pinned() {
        assert_eq!(Payload::of(b""), Payload::Absent);
        assert_eq!(Payload::of(b"{}"), Payload::Json(b"{}"));
        assert_eq!(Payload::of(b" 1"), Payload::Json(b" 1"));
        assert_eq!(Payload::of(b"\0"), Payload::Bytes(b""));
        assert_eq!(Payload::of(b"\0\xff\0"), Payload::Bytes(b"\xff\0"));
    }

    /// A reader of JSON receives JSON, `null` for an absent value, and an error for other bytes.
    #[test]
    fn bytes_are_not_json() {
        assert_eq!(Payload::Absent.json().unwrap(), b"null");
        assert_eq!(Payload::Json(b"5").json().unwrap(), b"5");
        assert!(
            Payload::Bytes(b"abc")
                .json()
                .unwrap_err()
                .contains("3 bytes that are not JSON")
        );
    }

    /// Each kind is displayed as JSON, and a damaged value as far as possible.
    #[test]
    fn every_kind_is_shown() {
        assert_eq!(Payload::Absent.shown(), "null");
        assert_eq!(Payload::Json(b"[1]").shown(), "[1]");
        assert_eq!(Payload::Json(b"\"\xff\"").shown(), "\"\u{fffd}\"");
        assert_eq!(Payload::Bytes(&[0, 255]).shown(), r#"{"base64":"AP8="}"#);
    }
}
