//! Bodies as JSON: text unchanged, so that a history stays readable, and anything else in base64.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored<'a> {
    Text(Cow<'a, str>),
    Bytes { base64: String },
}

pub(super) fn serialize<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let stored = match std::str::from_utf8(body) {
        Ok(text) => Stored::Text(text.into()),
        Err(_) => Stored::Bytes {
            base64: STANDARD.encode(body),
        },
    };
    stored.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    match Stored::deserialize(deserializer)? {
        Stored::Text(text) => Ok(text.into_owned().into_bytes()),
        Stored::Bytes { base64 } => STANDARD.decode(base64).map_err(D::Error::custom),
    }
}
