//! The one error that everything outside an operation's own code fails with.

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::failure::{Failure, tell_record};

/// The result of everything that a hub does for its caller.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the runtime met instead of doing what it was asked for.
///
/// The [`kind`](Error::kind) says which decision a caller has; the text names the thing, the reason and the way out.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`Error`], one for each decision that a caller would take differently.
// The answers that request ids remember store a kind as its place in this list: a new one goes to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An id, key or name breaks the rules for ids. Nothing was stored.
    InvalidId,
    /// A value could not be turned into JSON, or not back into its type.
    Serialization,
    /// A payload, state or number of actions is over its limit. Nothing of it was stored.
    TooLarge,
    /// The entity's type is not registered with this hub.
    Unregistered,
    /// The entity's type has no operation of this name.
    UnknownOperation,
    /// The operation's arguments do not decode into its parameters.
    InvalidArguments,
    /// The operation returned an error of its own; the entity is as it was before.
    OperationFailed,
    /// The operation or activity panicked; an entity is as it was before.
    Panicked,
    /// An `async` operation or an activity ran longer than its limit; an entity is as it was before.
    TimedOut,
    /// The entity is quarantined or held and takes no calls until an operator resumes it.
    Quarantined,
    /// A `try_` form found a full queue, or a bound on what is kept for later is reached. Nothing happened.
    Overloaded,
    /// The request id was used before with other arguments.
    RequestIdReused,
    /// A write or a sync failed: the hub releases nothing more and has to be opened again.
    Poisoned,
    /// The hub is shutting down or gone; what was asked for may or may not have been taken in.
    Closed,
    /// Another process, or another hub of this one, holds the directory.
    Locked,
    /// The directory is not a hub, or one of another format version.
    Format,
    /// The store is damaged, or does not hold everything that was acknowledged.
    Corrupted,
    /// The directory is a copy made by a checkpoint and was not released for work.
    Copy,
    /// The hub was configured in a way that cannot work.
    Configuration,
    /// The operating system or the store refused an operation.
    Io,
    /// There is no orchestration of this id.
    NotFound,
    /// An orchestration of this id exists and has not ended.
    AlreadyExists,
    /// The orchestration has ended, so that nothing reaches it any more.
    Ended,
    /// The orchestration is not in a state in which this can be done.
    WrongState,
    /// The orchestration was terminated, or cancelled by its parent.
    Terminated,
    /// An operator released a lock of the critical section by force.
    LockLost,
    /// A critical section inside another one.
    NestedLock,
    /// A sub-orchestration inside a critical section.
    ChildInLock,
    /// A signal to an entity that the critical section has locked.
    SignalToLocked,
    /// A call of an entity before the lock that was asked for is granted.
    LockNotGranted,
    /// A second call of an entity inside a critical section while the first one is pending.
    CallPending,
    /// A call of an entity that the critical section has not locked.
    NotLocked,
    /// An activity was running in too many crashes of the process.
    Poisonous,
    /// The hub is only looked at: its directory is not open for work, and nothing in it can be changed.
    ReadOnly,
    /// The orchestration cannot continue and has not ended. Its status says why, and a fixed build resumes it.
    Stopped,
}

impl Error {
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

    /// Adds sources of which only the texts are left, outermost first.
    pub(crate) fn with_recorded_sources(mut self, messages: Vec<String>) -> Self {
        if let Some(source) = Recorded::chain(messages) {
            self.source = Some(Arc::new(source));
        }
        self
    }

    /// The decision that a caller has.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The texts of its sources, outermost first.
    pub(crate) fn sources(&self) -> Vec<String> {
        let mut sources = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            sources.push(source.to_string());
            next = source.source();
        }
        sources
    }

    /// The text without its sources.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// Two errors are the same if they are told alike; their sources are not compared.
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

/// A source of an error of which only the text is left.
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
