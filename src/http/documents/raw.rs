//! Payloads within documents.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A payload that is already JSON. It is copied into the document unchanged, so that numbers keep their digits and
/// objects their order.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = serde_json::Value)]
pub(in crate::http) struct Raw(Box<RawValue>);

impl Raw {
    /// Wraps a payload that was JSON when it was stored. A damaged payload is shown as a JSON string.
    pub(in crate::http) fn new(json: String) -> Self {
        let shown = RawValue::from_string(json.clone());
        Self(shown.unwrap_or_else(|_| Self::text(&json).0))
    }

    /// Wraps a text as a JSON string.
    pub(in crate::http) fn text(text: &str) -> Self {
        let json = serde_json::Value::from(text).to_string();
        Self(RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
