//! How what is read is shown as JSON: times as RFC 3339 in UTC, payloads as what they are.

use std::time::SystemTime;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};
use crate::payload::Payload;

/// A time, `2026-11-20T13:40:21.5Z`.
pub(super) fn time<S: Serializer>(time: &SystemTime, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&rfc3339(*time))
}

pub(super) fn optional_time<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

/// A payload that is JSON as a text becomes a part of the document as it is, not a text within it.
pub(super) fn payload<S: Serializer>(json: &str, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match serde_json::from_str::<&RawValue>(json) {
        Ok(value) => value.serialize(serializer),
        Err(_) => json.serialize(serializer),
    }
}

pub(super) fn optional_payload<S: Serializer>(
    json: &Option<String>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match json {
        Some(json) => payload(json, serializer),
        None => serializer.serialize_none(),
    }
}

/// A stored payload as JSON, as far as it is JSON: see [`Payload::shown`].
pub(super) fn text(stored: Vec<u8>) -> String {
    match Payload::of(&stored) {
        Payload::Json(_) => {
            String::from_utf8(stored).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        other => other.shown().into_owned(),
    }
}

/// JSON that a caller gave as text; an empty one stands for `null`. `what` names it in the error.
///
/// # Errors
/// [`ErrorKind::InvalidArguments`] if it is no JSON.
pub(super) fn checked(mut json: Vec<u8>, what: impl FnOnce() -> String) -> Result<Vec<u8>> {
    if json.is_empty() {
        json.extend_from_slice(b"null");
    }
    // Into a value, which refuses what no tool could read again: numbers beyond all, half a character, endless nesting.
    match serde_json::from_slice::<serde_json::Value>(&json) {
        Ok(_) => Ok(json),
        Err(reason) => Err(Error::new(
            ErrorKind::InvalidArguments,
            format!("{} is no JSON: {reason}", what()),
        )),
    }
}

fn rfc3339(time: SystemTime) -> String {
    // Times beyond what jiff holds show as its last one.
    jiff::Timestamp::try_from(time)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}
