//! What a function of the user's becomes.

use std::fmt;

/// What a function of the user's becomes, in the words of the messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Operation,
    Activity,
    Orchestration,
}

impl Kind {
    /// The attribute that the user wrote.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Operation => "#[operations]",
            Self::Activity => "#[activity]",
            Self::Orchestration => "#[orchestration]",
        }
    }

    /// The type of its context.
    pub(crate) fn context(self) -> &'static str {
        match self {
            Self::Operation => "EntityContext",
            Self::Activity => "ActivityContext",
            Self::Orchestration => "OrchestrationContext",
        }
    }

    /// What of it is stored.
    pub(crate) fn stored(self) -> &'static str {
        match self {
            Self::Operation => "its arguments and its answer",
            Self::Activity | Self::Orchestration => "its input and its output",
        }
    }

    /// Where code goes that is none.
    pub(crate) fn helper(self) -> &'static str {
        match self {
            Self::Operation => "a helper without `pub`",
            Self::Activity | Self::Orchestration => "a function of its own",
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
