//! JSON of a hub, with every digit of its numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Maximum depth of a document. A payload in it has 127 levels at most.
const LEVELS: u32 = 200;

/// A JSON value. Unlike `serde_json::Value`, it keeps numbers as they are written, whatever their size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// The number as it is written.
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// Parses a document.
    ///
    /// # Errors
    /// Returns an error if the JSON is invalid or nested too deeply.
    pub(crate) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        Self::of(serde_json::from_slice(json)?, LEVELS)
    }

    fn of(raw: &RawValue, levels: u32) -> serde_json::Result<Self> {
        let text = raw.get();
        let Some(levels) = levels.checked_sub(1) else {
            return Err(serde::de::Error::custom("the document is nested too deeply"));
        };
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let fields = fields.into_iter();
                Self::Object(
                    fields
                        .map(|(name, value)| Ok((name, Self::of(value, levels)?)))
                        .collect::<serde_json::Result<_>>()?,
                )
            }
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(text)?;
                let elements = elements.into_iter();
                Self::Array(
                    elements
                        .map(|value| Self::of(value, levels))
                        .collect::<serde_json::Result<_>>()?,
                )
            }
            Some(b'"') => Self::String(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text)?),
            Some(b'n') => Self::Null,
            _ => Self::Number(text.to_owned()),
        })
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// Sets a field of an object. Does nothing for any other value.
    pub(crate) fn set(&mut self, name: &str, value: Self) {
        if let Self::Object(fields) = self {
            fields.insert(name.to_owned(), value);
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(number.to_string()),
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(elements) => Self::Array(elements.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(fields) => {
                Self::Object(fields.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
        }
    }
}

impl Index<&str> for Value {
    type Output = Self;

    /// Returns a field, or `Null` if it is absent.
    fn index(&self, name: &str) -> &Self {
        self.as_object()
            .and_then(|fields| fields.get(name))
            .unwrap_or(&Self::Null)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(digits) => match RawValue::from_string(digits.clone()) {
                Ok(number) => number.serialize(serializer),
                Err(reason) => Err(serde::ser::Error::custom(reason)),
            },
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(elements) => elements.serialize(serializer),
            Self::Object(fields) => fields.serialize(serializer),
        }
    }
}

impl fmt::Display for Value {
    /// Writes the JSON, on several lines with `{:#}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = if f.alternate() {
            serde_json::to_string_pretty(self)
        } else {
            serde_json::to_string(self)
        };
        f.write_str(&json.map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of any size and form keep their digits at any depth, and all other values are unchanged.
    #[test]
    fn every_digit_is_kept() {
        let json = concat!(
            r#"{"a":[340282366920938463463374607431768211455,-0.0,1.0,1e400,0.1000],"#,
            r#""b":{"c":-170141183460469231731687303715884105728,"d":[],"e":{}},"f":"\"1\"","g":[null,true,false]}"#
        );
        let value = Value::parse(json.as_bytes()).unwrap();
        assert_eq!(value.to_string(), json);
        assert_eq!(
            Value::parse(format!("{value:#}").as_bytes()).unwrap(),
            value,
            "on several lines"
        );
        assert_eq!(value["b"]["c"].to_string(), "-170141183460469231731687303715884105728");
        assert!(value["x"]["y"].is_null());
    }

    /// A document of any depth is either parsed or rejected.
    #[test]
    fn depth_has_an_end() {
        let nested = |levels| ["[".repeat(levels), "]".repeat(levels)].concat();
        let value = Value::parse(nested(200).as_bytes()).unwrap();
        assert_eq!(value.to_string(), nested(200));
        Value::parse(nested(201).as_bytes()).unwrap_err();
        Value::parse(nested(20_000).as_bytes()).unwrap_err();
        Value::parse(b"[1").unwrap_err();
    }
}
