//! Conversion between the values of users and the JSON in histories.

use serde::Serialize;

use crate::entity::argument::{Parameter, read_whole};
use crate::entity::{Answer, Argument};
use crate::error::{Error, ErrorKind, Result};
use crate::json;

/// The way in which a recorded payload is passed through the current types. A field that a later build added with a
/// default, or no longer has, is then no difference.
#[derive(Clone, Copy, Debug)]
pub(super) enum Normalize {
    /// One value. The function returns `None` if the value does not decode.
    Value(fn(&[u8]) -> Option<Vec<u8>>),
    /// Arguments of an operation, by name.
    Arguments(&'static [Parameter]),
    /// A value that is only ever written, so nothing is known about how it is read.
    Written,
}

impl Normalize {
    /// Normalizes the input of an activity or an orchestration.
    pub(super) fn argument<T: Argument>() -> Self {
        Self::Value(|recorded| {
            let value: T = read_whole(recorded).ok()?;
            let mut json = Vec::with_capacity(recorded.len());
            (T::CODE.write)(&value, &mut json).ok()?;
            Some(json)
        })
    }

    /// Normalizes the output of an orchestration.
    pub(super) fn answer<T: Answer>() -> Self {
        Self::Value(|recorded| {
            let mut json = Vec::with_capacity(recorded.len());
            T::from_json(recorded).ok()?.to_json(&mut json).ok()?;
            Some(json)
        })
    }
}

/// Encodes the input of `what`.
pub(super) fn encode_argument<T: Argument>(what: &str, name: &str, input: &T) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(64);
    match (T::CODE.write)(input, &mut json) {
        Ok(()) => Ok(json),
        Err(reason) => Err(unserializable(&format!("the input of the {what} `{name}`"), reason)),
    }
}

/// Encodes any value. `what` names it in errors.
pub(super) fn encode(what: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(64);
    match json::write_value(value, &mut json) {
        Ok(()) => Ok(json),
        Err(reason) => Err(unserializable(what, reason)),
    }
}

fn unserializable(what: &str, reason: serde_json::Error) -> Error {
    Error::new(ErrorKind::Serialization, format!("{what} does not serialize: {reason}")).with_source(reason)
}
