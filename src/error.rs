//! The error type of the runtime.

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::failure::{Failure, tell_record};

/// The result of a fallible operation of the runtime.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the runtime.
///
/// Its [`kind`](Error::kind) tells callers how they can react. Its text names the subject, the reason and a remedy.
///
/// A *hub error* is an error that any request can fail with, whatever it asks for. Its kind is:
/// * [`Closed`](ErrorKind::Closed) if the hub is closed or shutting down,
/// * [`Replaced`](ErrorKind::Replaced) if another node runs the hub now,
/// * [`Unconfirmed`](ErrorKind::Unconfirmed) if the node that ran the hub ended before it answered,
/// * [`Unavailable`](ErrorKind::Unavailable) if no node that runs the hub could be reached,
/// * [`Poisoned`](ErrorKind::Poisoned) if a write or a sync failed,
/// * [`Io`](ErrorKind::Io) or [`Corrupted`](ErrorKind::Corrupted) if the store cannot be read,
/// * [`ReadOnly`](ErrorKind::ReadOnly) if the client only inspects a directory and the request needs an open hub.
///
/// ```
/// use abide::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().open().await?;
/// let unknown = hub.client().untyped_orchestration("order-17");
/// match unknown.raise_event("paid", ()).await {
///     Err(error) if error.kind() == ErrorKind::NotFound => println!("{error}"),
///     other => panic!("{other:?}"),
/// }
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`Error`], one for each way in which a caller can react.
// Remembered answers of request ids store a kind as its position in this list, so a new kind goes to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An id, key or name violates the rules for ids. Nothing was stored.
    InvalidId,
    /// A value could not be converted to JSON, or JSON could not be converted to its type.
    Serialization,
    /// A payload, a state or a number of actions exceeds its limit. None of it was stored.
    TooLarge,
    /// The entity type, the orchestration or its version is not registered with this hub.
    Unregistered,
    /// The entity's type has no operation of this name.
    UnknownOperation,
    /// Arguments, an input, a payload or a cron pattern are invalid.
    InvalidArguments,
    /// The operation returned an error of its own. The entity is unchanged.
    OperationFailed,
    /// The operation or activity panicked. An entity is unchanged.
    Panicked,
    /// An `async` operation or an activity exceeded its time limit. An entity is unchanged.
    TimedOut,
    /// The entity is quarantined or held, and accepts no calls until an operator releases it.
    Quarantined,
    /// A queue was full and the caller chose not to wait, or a bound on data kept for later is reached. Nothing
    /// happened.
    Overloaded,
    /// The request id was used for a different request.
    RequestIdReused,
    /// A write or a sync failed. The hub releases no further results and has to be reopened.
    Poisoned,
    /// The hub is shutting down or closed. The request may or may not have been accepted.
    Closed,
    /// Another process, or another hub of this process, holds the directory.
    Locked,
    /// The directory contains no hub, or one of another format version.
    Format,
    /// The store is damaged, or lacks data that was acknowledged.
    Corrupted,
    /// The directory is a copy made by a checkpoint, and has not been released for work.
    Copy,
    /// The configuration of the hub is invalid.
    Configuration,
    /// An operation of the operating system or the store failed.
    Io,
    /// No orchestration or schedule has this id.
    NotFound,
    /// The id is in use by an orchestration or a schedule, or was used and must not be reused.
    AlreadyExists,
    /// The orchestration has ended and accepts no more messages.
    Ended,
    /// The state of the orchestration does not allow this operation.
    WrongState,
    /// The orchestration was terminated, or canceled by its parent.
    Terminated,
    /// An operator forcibly released a lock of the critical section.
    LockLost,
    /// A critical section was requested inside another one.
    NestedLock,
    /// A sub-orchestration was called inside a critical section.
    ChildInLock,
    /// An entity was signaled inside the critical section that locks it.
    SignalToLocked,
    /// An entity was called before the requested locks were granted.
    LockNotGranted,
    /// An entity was called inside a critical section while another call of it was pending.
    CallPending,
    /// An entity was called inside a critical section that has not locked it.
    NotLocked,
    /// An activity was running during too many crashes of the process.
    Poisonous,
    /// The hub is open for inspection only, so nothing in its directory can be changed.
    ReadOnly,
    /// The orchestration cannot continue and has not ended. Its status holds the reason, and a fixed build resumes it.
    Stopped,
    /// The hub has moved into a database or out of it, or its move has not ended.
    Moved,
    /// Another node runs the hub now.
    Replaced,
    /// The node that ran the hub ended before it answered. The request may or may not have been accepted.
    Unconfirmed,
    /// No node that runs the hub could be reached in time, or the hub moved to another node while it was read. Nothing
    /// happened.
    Unavailable,
}

impl ErrorKind {
    /// Returns `true` if a request can fail with this because the hub moves to another node.
    pub(crate) fn is_of_move(self) -> bool {
        matches!(self, Self::Closed | Self::Replaced | Self::Unconfirmed)
    }

    /// Returns `true` if no request of this open hub can succeed any more.
    pub(crate) fn ends_hub(self) -> bool {
        matches!(self, Self::Closed | Self::Replaced | Self::Poisoned)
    }
}

impl Error {
    /// Creates the error for an id without an orchestration.
    pub(crate) fn no_orchestration(id: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            format!("there is no orchestration `{id}`; it was never started, or it was purged"),
        )
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Adds sources of which only the texts remain, outermost first.
    pub(crate) fn with_recorded_sources(mut self, messages: Vec<String>) -> Self {
        if let Some(source) = Recorded::chain(messages) {
            self.source = Some(Arc::new(source));
        }
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the texts of the sources, outermost first.
    pub(crate) fn sources(&self) -> Vec<String> {
        let mut sources = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            sources.push(source.to_string());
            next = source.source();
        }
        sources
    }

    /// Returns the text without the sources.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// Two errors are equal if their kinds and texts are equal. Sources are not compared.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.message == other.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        if let Some(source) = &self.source {
            write!(f, " (caused by: {source})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        tell_record(|| Failure::of_runtime(self));
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// An error is stored as its kind, its text and the texts of its sources.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut stored = serializer.serialize_struct("Error", 3)?;
        stored.serialize_field("kind", &self.kind)?;
        stored.serialize_field("message", &self.message)?;
        stored.serialize_field("sources", &self.sources())?;
        stored.end()
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Stored {
            kind: ErrorKind,
            message: String,
            #[serde(default)]
            sources: Vec<String>,
        }
        let stored = Stored::deserialize(deserializer)?;
        Ok(Self::new(stored.kind, stored.message).with_recorded_sources(stored.sources))
    }
}

/// A source of an error, of which only the text remains.
#[derive(Debug)]
struct Recorded {
    message: String,
    source: Option<Box<Recorded>>,
}

impl Recorded {
    /// Links the texts of sources, outermost first.
    fn chain(messages: Vec<String>) -> Option<Self> {
        messages.into_iter().rev().fold(None, |inner, message| {
            Some(Self {
                message,
                source: inner.map(Box::new),
            })
        })
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Recorded {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}
