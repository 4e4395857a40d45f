//! Presentation as JSON: times as RFC 3339 in UTC, payloads embedded as JSON.

use std::time::SystemTime;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};
use crate::payload::Payload;

/// Serializes a time, such as `2026-11-20T13:40:21.5Z`.
pub(super) fn time<S: Serializer>(time: &SystemTime, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&rfc3339(*time))
}

pub(super) fn optional_time<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

/// Serializes a payload that is JSON text as a part of the document, not as a string.
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

/// Returns a stored payload as JSON. See [`Payload::shown`] for payloads that are not JSON.
pub(super) fn text(stored: Vec<u8>) -> String {
    match Payload::of(&stored) {
        Payload::Json(_) => {
            String::from_utf8(stored).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        other => other.shown().into_owned(),
    }
}

/// Checks JSON text from a caller. An empty text stands for `null`. `what` names the text in the error.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::InvalidArguments`] if the text is not valid JSON.
pub(super) fn checked(mut json: Vec<u8>, what: impl FnOnce() -> String) -> Result<Vec<u8>> {
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

fn rfc3339(time: SystemTime) -> String {
    // Times beyond the range of jiff are shown as its last one.
    jiff::Timestamp::try_from(time)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}
