//! The kinds of functions that the macros expand.

use std::fmt;

/// The kind of a user's function, as messages name it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Operation,
    Activity,
    Orchestration,
}

impl Kind {
    /// Returns the attribute that the user wrote.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Operation => "#[operations]",
            Self::Activity => "#[activity]",
            Self::Orchestration => "#[orchestration]",
        }
    }

    /// Returns the type of its context.
    pub(crate) fn context(self) -> &'static str {
        match self {
            Self::Operation => "EntityContext",
            Self::Activity => "ActivityContext",
            Self::Orchestration => "OrchestrationContext",
        }
    }

    /// Returns the parts of it that are stored.
    pub(crate) fn stored(self) -> &'static str {
        match self {
            Self::Operation => "its arguments and its return value",
            Self::Activity | Self::Orchestration => "its input and its output",
        }
    }

    /// Returns the place for code that is not of this kind.
    pub(crate) fn helper(self) -> &'static str {
        match self {
            Self::Operation => "a helper without `pub`",
            Self::Activity | Self::Orchestration => "a separate function",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operation => "an operation",
            Self::Activity => "an activity",
            Self::Orchestration => "an orchestration",
        })
    }
}
