//! How a command ends.

use std::fmt;
use std::io;

/// The codes that the process ends with. They are documented in [`HELP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Something went wrong that is none of the others.
    Failed = 1,
    /// The command line, or an argument in it, is wrong.
    Usage = 2,
    /// There is no such hub, orchestration, entity, lock or dead letter.
    NotFound = 3,
    /// It is not in a state in which this can be done.
    Conflict = 4,
    /// The hub cannot be reached, or does not let the caller in.
    Unreachable = 5,
    /// A check found problems.
    Problems = 6,
    /// What was waited for has not ended in time.
    TimedOut = 7,
    /// The orchestration that was waited for, or the operation that was called, failed.
    Unsuccessful = 8,
}

/// What `--help` says of the codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed for another reason
  2  the command line or an argument is wrong
  3  not found: no such hub, orchestration, entity, lock or dead letter
  4  not possible now: in use, ended, in the wrong state, or the hub is stopped
  5  the hub is not reachable or open elsewhere, or the token is missing or wrong
  6  `check` found problems
  7  `wait` ran out of time
  8  the orchestration that was waited for, or the operation that was called, failed";

/// Why a command was not done.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// One word for programs.
    pub(crate) code: String,
    /// What went wrong, for people.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

/// The result of a command.
pub(crate) type Result<T = ()> = std::result::Result<T, End>;

/// Why a command ends before its time.
#[derive(Debug)]
pub(crate) enum End {
    Failed(Box<Failure>),
    /// Nobody reads what the command prints any more, which is no error of anybody.
    NobodyReads,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            advice: None,
        }
    }

    /// An argument that cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "Usage", message)
    }

    /// Adds what to do about it.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<io::Error> for End {
    /// An error of writing what a command prints.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::NobodyReads;
        }
        Failure::new(Exit::Failed, "Io", format!("the output cannot be written: {error}")).into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
