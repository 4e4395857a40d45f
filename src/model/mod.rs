//! The values of every table: one version byte, then `postcard`. User payloads are JSON that this module does not
//! parse.

pub(crate) mod history;
pub(crate) mod orchestration;
mod outcome;

use std::borrow::Cow;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{ExecutionId, InstanceId, MessageId, Sequence};
use crate::model::orchestration::{LockOrder, Order};
use crate::time::{ClockRecord, Timestamp};
use crate::trace::TraceContext;

pub(crate) use outcome::Outcome;

/// The version of the stored format: keys, records and the files of a directory.
pub(crate) const STORED_FORMAT: u32 = 10;

/// The first byte of every record of this build.
const VERSION: u8 = 1;

/// The row that every commit writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommitRecord {
    /// Number of the commit. The first commit is 1, and there are no gaps.
    pub(crate) number: u64,
    /// The first batch number that was not assigned when the commit was written.
    pub(crate) next_batch: u64,
    /// The clock of the hub when the commit was written.
    pub(crate) clock: ClockRecord,
    /// Number of partitions, which determines the placement of all rows.
    pub(crate) partitions: u16,
}

impl CommitRecord {
    /// Returns the record before the first commit of a hub with this number of partitions.
    pub(crate) fn before_the_first(partitions: u16) -> Self {
        Self {
            number: 0,
            next_batch: 1,
            clock: ClockRecord::default(),
            partitions,
        }
    }
}

/// The state of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateRecord<'a> {
    /// Time of the last write of the state.
    pub(crate) changed: Timestamp,
    /// The user's JSON.
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) state: &'a [u8],
}

/// A change of the state of an entity whose type keeps its changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuditRecord {
    pub(crate) time: Timestamp,
    pub(crate) operation: String,
    /// The sender of the operation, or `None` for a client.
    pub(crate) source: Option<InstanceId>,
    /// The state after the operation, or `None` if it was deleted.
    pub(crate) state: Option<serde_bytes::ByteBuf>,
}

/// The action that a message requests from its receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Action {
    /// Run an operation immediately.
    Operation {
        operation: Cow<'static, str>,
        /// A JSON object with the arguments by name.
        #[serde(with = "serde_bytes")]
        arguments: Vec<u8>,
    },
    /// Run an operation at `due`. Replaces a waiting timer of the same name.
    Schedule {
        timer: String,
        due: Timestamp,
        operation: Cow<'static, str>,
        #[serde(with = "serde_bytes")]
        arguments: Vec<u8>,
    },
    /// Remove the scheduled operation of this name, if it has not fired.
    Cancel { timer: String },
    /// Change the lock of an entity.
    Lock(Box<LockOrder>),
    /// Deliver an order to an orchestration.
    Order(Box<Order>),
}

impl Action {
    /// Returns the name of the requested operation or orchestration, if the action requests one.
    pub(crate) fn asks_for(&self) -> Option<&str> {
        match self {
            Self::Operation { operation, .. } | Self::Schedule { operation, .. } => Some(operation),
            Self::Order(order) => match &**order {
                Order::Start(start) => Some(&start.name),
                _ => None,
            },
            Self::Cancel { .. } | Self::Lock(_) => None,
        }
    }
}

/// A waiting message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    /// The sender, or `None` for a client.
    pub(crate) source: Option<InstanceId>,
    /// The step of the sending orchestration that waits for the answer.
    pub(crate) step: Option<StepRef>,
    pub(crate) action: Action,
    /// True if a caller waits for the answer. A failed call does not become a dead letter.
    pub(crate) call: bool,
    /// The client's request id, whose row receives the answer.
    pub(crate) request: Option<String>,
    /// The trace that the message belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// A message to an instance of another shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MailRecord {
    pub(crate) target: InstanceId,
    pub(crate) message: MessageRecord,
    /// The chain of the messages before it. See [`MailMark`].
    pub(crate) before: u64,
}

/// How far the messages from one shard to another have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MailMark {
    /// The number of the newest message, or 0.
    pub(crate) number: u64,
    /// A hash of this message and of all messages before it. Both shards have the same one, unless one of them has lost
    /// commits.
    pub(crate) chain: u64,
}

impl MailMark {
    /// Returns the mark after the next message, whose encoded record is `row`.
    pub(crate) fn after(self, row: &[u8]) -> Self {
        Self {
            number: self.number + 1,
            chain: xxh3_64(row),
        }
    }
}

/// A step of an orchestration that waits for the answer of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepRef {
    pub(crate) execution: ExecutionId,
    pub(crate) sequence: Sequence,
    /// The lock under which the step calls, inside a critical section.
    pub(crate) lock: Option<Sequence>,
}

/// An action that is sent to an instance when it is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TimerRecord {
    pub(crate) source: Option<InstanceId>,
    pub(crate) action: Action,
    /// The trace of the code that set the timer.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// The outcome of a request id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestRecord {
    /// Shows whether a retry repeats the same request.
    pub(crate) fingerprint: u64,
    pub(crate) place: Place,
    pub(crate) outcome: RequestOutcome,
}

/// The place of a row among those of its kind in a partition, which are removed in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Increases from row to row, regardless of the clock.
    pub(crate) number: MessageId,
    pub(crate) since: Timestamp,
}

/// The progress of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum RequestOutcome {
    /// The call waits as a message row.
    Waiting,
    /// The signal was accepted.
    Accepted,
    /// The call has ended.
    Ended(Outcome),
}

/// A message that could not be processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeadLetterRecord {
    pub(crate) source: Option<InstanceId>,
    pub(crate) target: InstanceId,
    /// The requested action: an operation, or the start of an orchestration.
    pub(crate) action: Action,
    pub(crate) reason: String,
    pub(crate) died: Timestamp,
    /// The trace that the message belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// The reason and start of an instance's quarantine.
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
    pub(crate) early_events: u64,
    /// Total size of these events in bytes.
    pub(crate) early_bytes: u64,
}

/// Replaces `bytes` with an encoded record.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Serialization`] if the record cannot be serialized, which no record of this
/// module causes.
pub(crate) fn encode_into<R: Serialize>(record: &R, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    bytes.push(VERSION);
    postcard::serialize_with_flavor(record, Appended(bytes))
        .map_err(|error| Error::new(ErrorKind::Serialization, "a record cannot be serialized").with_source(error))
}

/// Lets `postcard` append to existing bytes. The flavor that `postcard` provides appends piece by piece through an
/// iterator, which is several times slower.
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Encodes a record.
///
/// # Errors
/// Returns the errors of [`encode_into`].
pub(crate) fn encode<R: Serialize>(record: &R) -> Result<Vec<u8>> {
    // Most records are shorter, so the buffer rarely reallocates.
    let mut bytes = Vec::with_capacity(128);
    encode_into(record, &mut bytes)?;
    Ok(bytes)
}

/// Decodes a record. `what` names the record in the error.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if the bytes are not a record of this type and version.
pub(crate) fn decode<'a, R: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<R> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|error| {
            Error::new(
                ErrorKind::Corrupted,
                format!("a stored {what} does not decode: {error}"),
            )
            .with_source(error)
        }),
        Some((version, _)) => Err(Error::new(
            ErrorKind::Corrupted,
            format!("a stored {what} has record version {version}, but this build supports only {VERSION}"),
        )),
        None => Err(Error::new(ErrorKind::Corrupted, format!("a stored {what} is empty"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Cause, Failure};
    use crate::time::{Doubt, SetBack};

    /// Asserts that the record encodes to these bytes and decodes from them. Stored records must remain readable
    /// forever, so lines may be added to these tests but not changed.
    #[track_caller]
    pub(super) fn pinned<R>(record: &R, bytes: &'static [u8])
    where
        R: Serialize + Deserialize<'static> + PartialEq + std::fmt::Debug,
    {
        let encoded = encode(record).unwrap();
        assert_eq!(encoded.escape_ascii().to_string(), bytes.escape_ascii().to_string());
        assert_eq!(decode::<R>(bytes, "record").unwrap(), *record);
    }

    /// A trace context. Its bytes are `TRACE`.
    pub(super) fn trace() -> Box<TraceContext> {
        let parent = "00-000102030405060708090a0b0c0d0e0f-1011121314151617-01";
        Box::new(TraceContext::parse(parent, Some("a=1")).unwrap())
    }

    pub(super) const TRACE: &[u8] = b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
        \x10\x11\x12\x13\x14\x15\x16\x17\x01\x03a=1";

    fn operation() -> Action {
        Action::Operation {
            operation: "note".into(),
            arguments: br#"{"n":1}"#.to_vec(),
        }
    }

    #[test]
    fn commits_states_and_counters_are_pinned() {
        let commit = CommitRecord {
            number: 300,
            next_batch: 5,
            clock: ClockRecord {
                time: Timestamp(128),
                ..ClockRecord::default()
            },
            partitions: 64,
        };
        pinned(&commit, b"\x01\xac\x02\x05\x80\x01\x00\x00\x40");
        let set_ahead = CommitRecord {
            clock: ClockRecord {
                time: Timestamp(128),
                set_back: Some(SetBack {
                    at: Timestamp(100),
                    before: Some(Timestamp(110)),
                }),
                doubt: Some(Doubt {
                    ahead_ms: 90,
                    left_ms: 3,
                }),
            },
            ..commit
        };
        pinned(&set_ahead, b"\x01\xac\x02\x05\x80\x01\x01\x64\x01\x6e\x01\x5a\x03\x40");
        let state = StateRecord {
            changed: Timestamp(1_700_000_000_000),
            state: b"{}",
        };
        pinned(&state, b"\x01\x80\xd0\x95\xff\xbc\x31\x02{}");
        let partition = PartitionRecord {
            requests: 1,
            dead_letters: 128,
            early_events: 2,
            early_bytes: 3,
        };
        pinned(&partition, b"\x01\x01\x80\x01\x02\x03");
        let quarantine = QuarantineRecord {
            reason: "no".into(),
            since: Timestamp(2),
        };
        pinned(&quarantine, b"\x01\x02no\x02");
    }

    #[test]
    fn messages_of_every_kind_are_pinned() {
        let message = |action| MessageRecord {
            source: Some("@a@b".into()),
            step: None,
            action,
            call: false,
            request: None,
            trace: None,
        };
        pinned(
            &message(operation()),
            b"\x01\x01\x04@a@b\x00\x00\x04note\x07{\"n\":1}\x00\x00\x00",
        );
        let mail = MailRecord {
            target: "@c@d".into(),
            message: message(operation()),
            before: 130,
        };
        let bytes = b"\x01\x04@c@d\x01\x04@a@b\x00\x00\x04note\x07{\"n\":1}\x00\x00\x00\x82\x01";
        pinned(&mail, bytes);
        let mark = MailMark { number: 5, chain: 0 };
        pinned(&mark, b"\x01\x05\x00");
        let mark = mark.after(&encode(&mail).unwrap());
        assert_eq!((mark.number, mark.chain), (6, xxh3_64(bytes)));
        let schedule = Action::Schedule {
            timer: "t".into(),
            due: Timestamp(130),
            operation: "note".into(),
            arguments: Vec::new(),
        };
        pinned(
            &message(schedule),
            b"\x01\x01\x04@a@b\x00\x01\x01t\x82\x01\x04note\x00\x00\x00\x00",
        );
        let cancel = Action::Cancel { timer: "t".into() };
        pinned(&message(cancel), b"\x01\x01\x04@a@b\x00\x02\x01t\x00\x00\x00");
        let call = MessageRecord {
            source: None,
            step: None,
            action: operation(),
            call: true,
            request: Some("r".into()),
            trace: Some(trace()),
        };
        let bytes = [b"\x01\x00\x00\x00\x04note\x07{\"n\":1}\x01\x01\x01r\x01", TRACE].concat();
        pinned(&call, bytes.leak());
        let step = StepRef {
            execution: ExecutionId(*b"0123456789abcdef"),
            sequence: 130,
            lock: Some(2),
        };
        let in_section = MessageRecord {
            step: Some(step),
            ..message(operation())
        };
        pinned(
            &in_section,
            b"\x01\x01\x04@a@b\x010123456789abcdef\x82\x01\x01\x02\x00\x04note\x07{\"n\":1}\x00\x00\x00",
        );
        let order = Action::Lock(Box::new(LockOrder::Force));
        pinned(&message(order), b"\x01\x01\x04@a@b\x00\x03\x02\x00\x00\x00");
        let order = Action::Order(Box::new(Order::Restart));
        pinned(&message(order), b"\x01\x01\x04@a@b\x00\x04\x09\x00\x00\x00");
    }

    #[test]
    fn timers_and_dead_letters_are_pinned() {
        let timer = TimerRecord {
            source: None,
            action: operation(),
            trace: Some(trace()),
        };
        let bytes = [b"\x01\x00\x00\x04note\x07{\"n\":1}\x01", TRACE].concat();
        pinned(&timer, bytes.leak());
        let letter = DeadLetterRecord {
            source: Some("@a@b".into()),
            target: "@c@d".into(),
            action: operation(),
            reason: "no".into(),
            died: Timestamp(1),
            trace: Some(trace()),
        };
        let bytes = [
            b"\x01\x01\x04@a@b\x04@c@d\x00\x04note\x07{\"n\":1}\x02no\x01\x01",
            TRACE,
        ]
        .concat();
        pinned(&letter, bytes.leak());
    }

    #[test]
    fn activities_are_pinned() {
        let activity = orchestration::ActivityRecord {
            name: "a".into(),
            input: b"5".to_vec(),
            attempt: 2,
            timeout_ms: Some(130),
            asked_by: ExecutionId(*b"0123456789abcdef"),
            started: Some(7),
            crashes: vec![Timestamp(1)],
            trace: Some(trace()),
        };
        let bytes = [
            b"\x01\x01a\x015\x02\x01\x82\x010123456789abcdef\x01\x07\x01\x01\x01",
            TRACE,
        ]
        .concat();
        pinned(&activity, bytes.leak());
    }

    #[test]
    fn requests_with_every_outcome_are_pinned() {
        let request = |outcome| RequestRecord {
            fingerprint: 1,
            place: Place {
                number: MessageId { batch: 3, index: 4 },
                since: Timestamp(2),
            },
            outcome,
        };
        pinned(&request(RequestOutcome::Waiting), b"\x01\x01\x03\x04\x02\x00");
        pinned(&request(RequestOutcome::Accepted), b"\x01\x01\x03\x04\x02\x01");
        pinned(
            &request(RequestOutcome::Ended(Outcome::Answer(b"5".to_vec()))),
            b"\x01\x01\x03\x04\x02\x02\x00\x015",
        );
        let failure = Failure {
            error_type: "E".into(),
            message: "m".into(),
            details: Some("1".into()),
            causes: vec![Cause {
                error_type: Some("T".into()),
                message: "s".into(),
                stack: Some("k".into()),
            }],
            stack: Some("t".into()),
            non_retriable: true,
        };
        let returned = RequestOutcome::Ended(Outcome::Returned(failure));
        pinned(
            &request(returned),
            b"\x01\x01\x03\x04\x02\x02\x01\x01E\x01m\x01\x011\x01\x01\x01T\x01s\x01\x01k\x01\x01t\x01",
        );
        let runtime = RequestOutcome::Ended(Outcome::Runtime(Error::new(ErrorKind::TimedOut, "m")));
        pinned(&request(runtime), b"\x01\x01\x03\x04\x02\x02\x02\x08\x01m\x00");
        let caused = Error::new(ErrorKind::TimedOut, "m").with_source(std::fmt::Error);
        let caused = RequestOutcome::Ended(Outcome::Runtime(caused));
        let text = std::fmt::Error.to_string();
        let bytes = [
            b"\x01\x01\x03\x04\x02\x02\x02\x08\x01m\x01".as_slice(),
            &[text.len() as u8],
            text.as_bytes(),
        ];
        pinned(&request(caused), bytes.concat().leak());
    }

    /// An error kind is stored as its position in the enum, so a new kind must be appended.
    #[test]
    fn the_places_of_error_kinds_are_pinned() {
        pinned(&ErrorKind::InvalidId, b"\x01\x00");
        pinned(&ErrorKind::Serialization, b"\x01\x01");
        pinned(&ErrorKind::TooLarge, b"\x01\x02");
        pinned(&ErrorKind::Unregistered, b"\x01\x03");
        pinned(&ErrorKind::UnknownOperation, b"\x01\x04");
        pinned(&ErrorKind::InvalidArguments, b"\x01\x05");
        pinned(&ErrorKind::OperationFailed, b"\x01\x06");
        pinned(&ErrorKind::Panicked, b"\x01\x07");
        pinned(&ErrorKind::TimedOut, b"\x01\x08");
        pinned(&ErrorKind::Quarantined, b"\x01\x09");
        pinned(&ErrorKind::Overloaded, b"\x01\x0a");
        pinned(&ErrorKind::RequestIdReused, b"\x01\x0b");
        pinned(&ErrorKind::Poisoned, b"\x01\x0c");
        pinned(&ErrorKind::Closed, b"\x01\x0d");
        pinned(&ErrorKind::Locked, b"\x01\x0e");
        pinned(&ErrorKind::Format, b"\x01\x0f");
        pinned(&ErrorKind::Corrupted, b"\x01\x10");
        pinned(&ErrorKind::Copy, b"\x01\x11");
        pinned(&ErrorKind::Configuration, b"\x01\x12");
        pinned(&ErrorKind::Io, b"\x01\x13");
        pinned(&ErrorKind::NotFound, b"\x01\x14");
        pinned(&ErrorKind::AlreadyExists, b"\x01\x15");
        pinned(&ErrorKind::Ended, b"\x01\x16");
        pinned(&ErrorKind::WrongState, b"\x01\x17");
        pinned(&ErrorKind::Terminated, b"\x01\x18");
        pinned(&ErrorKind::LockLost, b"\x01\x19");
        pinned(&ErrorKind::NestedLock, b"\x01\x1a");
        pinned(&ErrorKind::ChildInLock, b"\x01\x1b");
        pinned(&ErrorKind::SignalToLocked, b"\x01\x1c");
        pinned(&ErrorKind::LockNotGranted, b"\x01\x1d");
        pinned(&ErrorKind::CallPending, b"\x01\x1e");
        pinned(&ErrorKind::NotLocked, b"\x01\x1f");
        pinned(&ErrorKind::Poisonous, b"\x01\x20");
        pinned(&ErrorKind::ReadOnly, b"\x01\x21");
        pinned(&ErrorKind::Stopped, b"\x01\x22");
        pinned(&ErrorKind::Moved, b"\x01\x23");
        pinned(&ErrorKind::Replaced, b"\x01\x24");
    }

    /// Invalid bytes fail with an error that names the expected record. They cause neither a panic nor a wrong record.
    #[test]
    fn invalid_records_are_refused() {
        let message = encode(&MessageRecord {
            source: None,
            step: None,
            action: operation(),
            call: true,
            request: Some("r".into()),
            trace: None,
        })
        .unwrap();
        for cut in 0..message.len() {
            let error = decode::<MessageRecord>(&message[..cut], "message").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted);
            assert!(error.to_string().contains("a stored message"), "{error}");
        }
        let error = decode::<CommitRecord>(b"\x02\x01\x01", "commit").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("record version 2, but this build supports only 1"),
            "{error}"
        );
    }
}
