//! Between the user's values and the JSON that histories hold.

use serde::Serialize;

use crate::entity::argument::read_whole;
use crate::entity::{Answer, Argument};
use crate::error::{Error, ErrorKind, Result};
use crate::json;

/// Passes a recorded payload through today's type, so that what a later version added with a default does not count as a
/// difference. Nothing comes back if it does not decode.
pub(super) type Normalize = fn(&[u8]) -> Option<Vec<u8>>;

/// [`Normalize`] for what goes to an activity or an orchestration.
pub(super) fn normalize_argument<T: Argument>(recorded: &[u8]) -> Option<Vec<u8>> {
    let value: T = read_whole(recorded).ok()?;
    let mut json = Vec::with_capacity(recorded.len());
    (T::CODE.write)(&value, &mut json).ok()?;
    Some(json)
}

/// [`Normalize`] for what an orchestration returns.
pub(super) fn normalize_answer<T: Answer>(recorded: &[u8]) -> Option<Vec<u8>> {
    let mut json = Vec::with_capacity(recorded.len());
    T::from_json(recorded).ok()?.to_json(&mut json).ok()?;
    Some(json)
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
