//! The clients: what they asked, what they heard, and what follows from it.

use super::plan::{End, Node};
use super::workload::{Peek, Receipt};
use crate::engine::message::Settled;
use crate::error::ErrorKind;
use crate::failure::CallFailure;
use crate::id::InstanceId;
use crate::store::records::Action;

/// One request of a client, over all its attempts.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) client: u64,
    pub(super) target: InstanceId,
    pub(super) what: What,
    pub(super) action: Action,
    pub(super) call: bool,
    /// The request id, if it may be asked again.
    pub(super) id: Option<String>,
    pub(super) refuse_when_full: bool,
    /// When it was asked, in the order of all asking.
    pub(super) asked: u64,
    pub(super) attempts: u32,
    /// How many attempts wait for their answer.
    pub(super) open: u32,
    /// How many attempts ended with the process.
    pub(super) lost: u32,
    pub(super) heard: Vec<Heard>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Work(u64),
    /// Work at a time in milliseconds.
    Schedule(u64, u64),
    /// Cancels what the request at this place scheduled.
    Cancel(usize),
    Peek,
    /// An operation that no build has.
    Unknown,
    /// The request id of the request at this place with other arguments.
    Misuse(usize),
    /// Something of an orchestration, or of the lock of an entity.
    Order(Wish),
    /// The end of an orchestration.
    Wait,
}

/// What an order to an orchestration wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    /// An event with this note.
    Raise(u64),
    /// It is ended, held up, or made to go on.
    Manage,
    Purge,
    /// The release of the lock of an entity.
    Force,
}

/// What a client heard.
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

/// What is known of a request's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It took effect, or will.
    Sure,
    /// It did not, and never will.
    None,
    /// Nobody was told.
    Unknown,
}

impl Request {
    /// Reads what a client was told.
    pub(super) fn hear(&self, settled: &Settled) -> Heard {
        match settled {
            Settled::Answer(answer) => match self.what {
                What::Cancel(_) => Heard::Canceled(serde_json::from_slice(answer).unwrap()),
                What::Order(_) | What::Wait => Heard::Text(String::from_utf8_lossy(answer).into_owned()),
                What::Peek => Heard::Seen(serde_json::from_slice(answer).unwrap()),
                _ => Heard::Done(serde_json::from_slice(answer).unwrap()),
            },
            Settled::Accepted => Heard::Accepted,
            Settled::Failed(failure) => match failure.as_ref() {
                CallFailure::Returned(_) => Heard::Refused,
                CallFailure::Runtime(error) => Heard::Failed(error.kind()),
            },
            Settled::Full(_) => unreachable!("a client that finds a full queue hears nothing yet"),
        }
    }

    /// The target, the name and the due time of the timer that it asks for.
    pub(super) fn timer(&self) -> Option<(InstanceId, String, u64)> {
        match &self.action {
            Action::Schedule { timer, due, .. } => Some((self.target.clone(), timer.clone(), due.0)),
            _ => None,
        }
    }

    /// What follows from what was heard, for work that ends well.
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
    /// Whether it is what everyone hears who asks with the same request id. What the hub says before it looks the
    /// request up differs from time to time, and a refusal is not kept.
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

    /// Whether it says that nothing happened because of what was there at that moment.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Failed(ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Ended | ErrorKind::WrongState)
        )
    }

    /// Whether this can be heard of a call or signal of work that ends so.
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
