//! The JSON of users' values. What is acknowledged can be read later, and is equal to what was given.

mod lossless;
#[cfg(test)]
mod tests;
mod write;

use serde::de::{DeserializeOwned, Error as _};

use crate::payload::Payload;

pub(crate) use write::{read_back, write, write_list, write_value};

/// Reads a stored value, of which an absent one is `null`.
///
/// # Errors
/// The decoder's error, or that it is not JSON.
pub(crate) fn read<T: DeserializeOwned>(stored: &[u8]) -> serde_json::Result<T> {
    let json = Payload::of(stored).json().map_err(serde_json::Error::custom)?;
    serde_json::from_slice(json)
}
