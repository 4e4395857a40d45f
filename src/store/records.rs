//! The values of every table: one version byte, then `postcard`. User payloads are JSON that nothing here parses.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::failure::Failure;
use crate::time::Timestamp;

/// The version byte that every record of this build begins with.
const VERSION: u8 = 1;

/// The row that every commit writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommitRecord {
    /// The commit's number. The first is 1 and there are no gaps.
    pub(crate) number: u64,
    /// The first batch number that was not given out when the commit was written.
    pub(crate) next_batch: u64,
}

/// The state of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateRecord<'a> {
    /// When the state was last written.
    pub(crate) changed: Timestamp,
    /// The user's JSON.
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) state: &'a [u8],
}

/// What a message asks of its receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Action {
    /// Run an operation, now.
    Operation {
        operation: Cow<'static, str>,
        /// A JSON object, by name.
        #[serde(with = "serde_bytes")]
        arguments: Vec<u8>,
    },
    /// Run an operation when `due` has come. A timer of this name that waits already is replaced.
    Schedule {
        timer: String,
        due: Timestamp,
        operation: Cow<'static, str>,
        #[serde(with = "serde_bytes")]
        arguments: Vec<u8>,
    },
    /// Forget the scheduled operation of this name, if it has not fired.
    Cancel { timer: String },
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    /// The sender, or nothing for a client.
    pub(crate) source: Option<String>,
    pub(crate) action: Action,
    /// Whether somebody waited for the answer: a call that fails is no dead letter.
    pub(crate) call: bool,
    /// The client's request id, whose row the answer has to go to.
    pub(crate) request: Option<String>,
}

/// A scheduled operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimerRecord {
    pub(crate) source: Option<String>,
    pub(crate) operation: Cow<'static, str>,
    #[serde(with = "serde_bytes")]
    pub(crate) arguments: Vec<u8>,
}

/// What a request id led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestRecord {
    /// Tells whether a retry asks for the same.
    pub(crate) fingerprint: u64,
    pub(crate) expires: Timestamp,
    pub(crate) outcome: RequestOutcome,
}

/// How far a request has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RequestOutcome {
    /// The call waits as a message row.
    Waiting,
    /// The signal was taken in.
    Accepted,
    /// The call was answered.
    Answer(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The operation returned `Err`.
    Returned(Failure),
    /// The runtime met something else.
    Runtime { kind: ErrorKind, message: String },
}

/// A message that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadLetterRecord {
    pub(crate) source: Option<String>,
    pub(crate) target: String,
    pub(crate) operation: Cow<'static, str>,
    #[serde(with = "serde_bytes")]
    pub(crate) arguments: Vec<u8>,
    pub(crate) reason: String,
    pub(crate) died: Timestamp,
}

/// Why an instance is quarantined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuarantineRecord {
    pub(crate) reason: String,
    pub(crate) since: Timestamp,
}

/// The counters of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionRecord {
    pub(crate) requests: u64,
    pub(crate) dead_letters: u64,
}

/// Writes a record over `bytes`.
///
/// # Errors
/// None of the records here can fail to serialise; the error keeps the signature honest.
pub(crate) fn encode_into<R: Serialize>(record: &R, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    bytes.push(VERSION);
    let taken = std::mem::take(bytes);
    *bytes = postcard::to_extend(record, taken)
        .map_err(|error| Error::new(ErrorKind::Serialization, "a record does not serialise").with_source(error))?;
    Ok(())
}

/// A record's bytes.
///
/// # Errors
/// As [`encode_into`].
pub(crate) fn encode<R: Serialize>(record: &R) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_into(record, &mut bytes)?;
    Ok(bytes)
}

/// Reads a record; `what` names it in the error.
///
/// # Errors
/// [`ErrorKind::Corrupted`] if the bytes are no record of this kind and version.
pub(crate) fn decode<'a, R: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<R> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|error| {
            Error::new(ErrorKind::Corrupted, format!("a stored {what} does not decode: {error}")).with_source(error)
        }),
        Some((version, _)) => Err(Error::new(
            ErrorKind::Corrupted,
            format!("a stored {what} has record version {version} and this build knows {VERSION}"),
        )),
        None => Err(Error::new(ErrorKind::Corrupted, format!("a stored {what} is empty"))),
    }
}
