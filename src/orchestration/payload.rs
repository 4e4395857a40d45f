//! Between the user's values and the JSON that histories hold.

use serde::Serialize;

use crate::entity::argument::{Parameter, read_whole};
use crate::entity::{Answer, Argument};
use crate::error::{Error, ErrorKind, Result};
use crate::json;

/// How a recorded payload is passed through today's types, so that what a later build added with a default, or does not know
/// any more, does not count as a difference.
#[derive(Clone, Copy, Debug)]
pub(super) enum Normalize {
    /// One value. The function gives nothing if it does not decode.
    Value(fn(&[u8]) -> Option<Vec<u8>>),
    /// Arguments of an operation, by name.
    Arguments(&'static [Parameter]),
    /// A value that is only ever written, so that nothing is known of how it is read.
    Written,
}

impl Normalize {
    /// For what goes to an activity or an orchestration.
    pub(super) fn argument<T: Argument>() -> Self {
        Self::Value(|recorded| {
            let value: T = read_whole(recorded).ok()?;
            let mut json = Vec::with_capacity(recorded.len());
            (T::CODE.write)(&value, &mut json).ok()?;
            Some(json)
        })
    }

    /// For what an orchestration returns.
    pub(super) fn answer<T: Answer>() -> Self {
        Self::Value(|recorded| {
            let mut json = Vec::with_capacity(recorded.len());
            T::from_json(recorded).ok()?.to_json(&mut json).ok()?;
            Some(json)
        })
    }
}

/// Writes the input of `what`.
pub(super) fn encode_argument<T: Argument>(what: &str, name: &str, input: &T) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(64);
    match (T::CODE.write)(input, &mut json) {
        Ok(()) => Ok(json),
        Err(reason) => Err(unserializable(&format!("the input of the {what} `{name}`"), reason)),
    }
}

/// Writes any value, which `what` names.
pub(super) fn encode(what: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(64);
    match json::write_value(value, &mut json) {
        Ok(()) => Ok(json),
        Err(reason) => Err(unserializable(what, reason)),
    }
}

fn unserializable(what: &str, reason: serde_json::Error) -> Error {
    Error::new(ErrorKind::Serialization, format!("{what} does not serialise: {reason}")).with_source(reason)
}
