//! Presentation as JSON: times as RFC 3339 in UTC, payloads embedded as JSON.

use std::time::SystemTime;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::payload::Payload;

/// Serializes a time, such as `2026-11-20T13:40:21.5Z`.
pub(crate) fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&rfc3339(*time))
}

pub(crate) fn optional_time<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

/// Serializes a payload that is JSON text as a part of the document, not as a string.
pub(crate) fn payload<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match serde_json::from_str::<&RawValue>(json) {
        Ok(value) => value.serialize(serializer),
        Err(_) => json.serialize(serializer),
    }
}

pub(crate) fn optional_payload<S: Serializer>(json: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match json {
        Some(json) => payload(json, serializer),
        None => serializer.serialize_none(),
    }
}

/// Returns a stored payload as JSON. See [`Payload::shown`] for payloads that are not JSON.
pub(crate) fn text(stored: Vec<u8>) -> String {
    match Payload::of(&stored) {
        Payload::Json(_) => {
            String::from_utf8(stored).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        other => other.shown().into_owned(),
    }
}

fn rfc3339(time: SystemTime) -> String {
    // Times beyond the range of jiff are shown as its last one.
    jiff::Timestamp::try_from(time)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}
