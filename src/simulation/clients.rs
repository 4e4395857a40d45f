//! The clients: their requests, the replies, and the conclusions from the replies.

use super::plan::{End, Node};
use super::workload::{Peek, Receipt};
use crate::error::ErrorKind;
use crate::failure::CallFailure;
use crate::id::InstanceId;
use crate::model::Action;
use crate::runtime::Response;

/// One request of a client, with all its attempts.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) client: u64,
    pub(super) target: InstanceId,
    pub(super) what: What,
    pub(super) action: Action,
    pub(super) call: bool,
    /// The request id, if the request may be repeated.
    pub(super) id: Option<String>,
    pub(super) refuse_when_full: bool,
    /// Position in the order of all requests.
    pub(super) asked: u64,
    pub(super) attempts: u32,
    /// Number of attempts that wait for their reply.
    pub(super) open: u32,
    /// Number of attempts without a reply, because the client gave up or the process ended.
    pub(super) lost: u32,
    pub(super) heard: Vec<Heard>,
}

/// The subject of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Work(u64),
    /// Work that is due at a time in milliseconds.
    Schedule(u64, u64),
    /// Cancels the timer of the request at this index.
    Cancel(usize),
    Peek,
    /// An operation that no build has.
    Unknown,
    /// Reuses the request id of the request at this index with other arguments.
    Misuse(usize),
    /// An order to an orchestration, or to the lock of an entity.
    Order(Wish),
    /// A wait for the end of an orchestration.
    Wait,
}

/// The purpose of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    /// Raises an event with this note.
    Raise(u64),
    /// Suspends, resumes, terminates, rewinds or restarts the orchestration.
    Manage,
    Purge,
    /// Releases the lock of an entity.
    Force,
}

/// A reply as a client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Done(Receipt),
    Seen(Peek),
    Canceled(bool),
    /// The answer to an order, or the output of an orchestration.
    Text(String),
    Accepted,
    /// The operation returned its error.
    Refused,
    Failed(ErrorKind),
}

/// The known effect of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The request took effect, or will.
    Sure,
    /// The request did not take effect, and never will.
    None,
    /// No reply reveals the effect.
    Unknown,
}

impl Request {
    /// Decodes a reply to this request.
    pub(super) fn hear(&self, settled: &Response) -> Heard {
        match settled {
            Response::Answer(answer) => match self.what {
                What::Cancel(_) => Heard::Canceled(serde_json::from_slice(answer).unwrap()),
                What::Order(_) | What::Wait => Heard::Text(String::from_utf8_lossy(answer).into_owned()),
                What::Peek => Heard::Seen(serde_json::from_slice(answer).unwrap()),
                _ => Heard::Done(serde_json::from_slice(answer).unwrap()),
            },
            Response::Accepted => Heard::Accepted,
            Response::Failed(failure) => match failure.as_ref() {
                CallFailure::Returned(_) => Heard::Refused,
                CallFailure::Runtime(error) => Heard::Failed(error.kind()),
            },
            Response::Full { .. } => unreachable!("a client that finds a full queue receives no reply yet"),
        }
    }

    /// Returns the target, the name and the due time of the timer that the request sets.
    pub(super) fn timer(&self) -> Option<(InstanceId, String, u64)> {
        match &self.action {
            Action::Schedule { timer, due, .. } => Some((self.target.clone(), timer.clone(), due.0)),
            _ => None,
        }
    }

    /// Derives the effect from the replies, for work that succeeds.
    pub(super) fn effect(&self) -> Effect {
        let sure = |heard: &Heard| matches!(heard, Heard::Done(_) | Heard::Accepted);
        if self.heard.iter().any(sure) {
            return Effect::Sure;
        }
        if self.open + self.lost > 0 {
            return Effect::Unknown;
        }
        Effect::None
    }
}

impl Heard {
    /// Returns whether all attempts under the same request id receive this reply. Replies that precede the lookup of
    /// the request id differ from attempt to attempt, and a refusal is not stored.
    pub(super) fn is_final(&self) -> bool {
        !self.is_refusal()
            && !matches!(
                self,
                Self::Failed(
                    ErrorKind::Quarantined
                        | ErrorKind::Unregistered
                        | ErrorKind::Overloaded
                        | ErrorKind::UnknownOperation
                        | ErrorKind::RequestIdReused
                )
            )
    }

    /// Returns whether the request had no effect because of the state of its target at that moment.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Failed(ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Ended | ErrorKind::WrongState)
        )
    }

    /// Returns whether a call or signal of this work can receive the reply.
    pub(super) fn fits(&self, call: bool, node: &Node) -> bool {
        match self {
            Self::Accepted => !call,
            Self::Done(_) => call && matches!(node.end, End::Fine | End::Disputed),
            Self::Refused => call && node.end == End::Refuse,
            Self::Failed(ErrorKind::Panicked) => call && node.end == End::Panic,
            Self::Failed(ErrorKind::TooLarge) => call && matches!(node.end, End::TooLong | End::Disputed),
            Self::Failed(ErrorKind::Serialization) => call && node.end == End::Unwritable,
            Self::Failed(ErrorKind::TimedOut) => call && node.end == End::Hang,
            Self::Failed(_) => true,
            Self::Seen(_) | Self::Canceled(_) | Self::Text(_) => false,
        }
    }
}
