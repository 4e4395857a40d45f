//! JSON encoding of user values. An accepted value can be read later and is equal to the original.

mod lossless;
#[cfg(test)]
mod tests;
mod write;

use serde::de::{DeserializeOwned, Error as _};

use crate::payload::Payload;

pub(crate) use write::{read_back, write, write_list, write_value};

/// Reads a stored value. An absent value is read as `null`.
///
/// # Errors
/// Returns the error of the decoder, or an error if the bytes are not JSON.
pub(crate) fn read<T: DeserializeOwned>(stored: &[u8]) -> serde_json::Result<T> {
    let json = Payload::of(stored).json().map_err(serde_json::Error::custom)?;
    serde_json::from_slice(json)
}
