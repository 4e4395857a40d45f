//! Exit codes and failures of commands.

use std::fmt;
use std::io;

/// Exit codes of the process, documented in [`HELP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Any other failure.
    Failed = 1,
    /// The command line or one of its arguments is invalid.
    Usage = 2,
    /// The hub, orchestration, entity, lock or dead letter does not exist.
    NotFound = 3,
    /// The target is not in a state that allows the command.
    Conflict = 4,
    /// The hub is unreachable or rejects the caller.
    Unreachable = 5,
    /// A check found problems.
    Problems = 6,
    /// The wait timed out.
    TimedOut = 7,
    /// The awaited orchestration or the called operation failed.
    Unsuccessful = 8,
}

/// Description of the exit codes in `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  success
  1  any other failure
  2  the command line or an argument is invalid
  3  not found: no such hub, orchestration, entity, lock or dead letter
  4  not possible now: in use, ended, in the wrong state, or the hub is stopped
  5  the hub is unreachable or open in another process, or the token is missing or wrong
  6  `check` found problems
  7  `wait` timed out
  8  the awaited orchestration or the called operation failed";

/// The failure of a command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Machine-readable code, one word.
    pub(crate) code: String,
    /// Human-readable message.
    pub(crate) message: String,
    /// Suggested remedy.
    pub(crate) advice: Option<String>,
}

/// The result of a command.
pub(crate) type Result<T = ()> = std::result::Result<T, End>;

/// The reason why a command ends early.
#[derive(Debug)]
pub(crate) enum End {
    Failed(Box<Failure>),
    /// The reader of the output has closed it, which is not an error.
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

    /// Creates a failure for an invalid argument.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "Usage", message)
    }

    /// Adds a suggested remedy.
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
    /// Converts an error of writing the output.
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
