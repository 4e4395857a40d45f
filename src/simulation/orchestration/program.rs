//! Programs: the input of an orchestration contains all its behavior, so the simulation knows the expected result.

use serde::{Deserialize, Serialize};

use super::padding::Padding;
use crate::simulation::plan::{Kind, Work};

/// Bit that is set in the numbers of all work that orchestrations request, and in no others. The orchestration draws
/// these numbers itself when it requests the work, so they are not part of a plan.
const DRAWN: u64 = 1 << 63;

/// Returns whether an orchestration requested the work with this number.
pub(in crate::simulation) fn is_of_orchestration(work: u64) -> bool {
    work & DRAWN != 0
}

/// Returns the number of a piece of work, derived from a number that an orchestration drew.
pub(super) fn number_of(drawn: u64) -> u64 {
    drawn | DRAWN
}

/// The behavior of an orchestration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Program {
    /// The acts, run one after another.
    pub(super) acts: Vec<Act>,
    /// Number of times it continues as new before it ends.
    pub(super) rounds: u32,
    /// Set if it carries unread events over when it continues as new.
    pub(super) keeps_events: bool,
    /// The version with which it continues, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_version: Option<String>,
    /// Set if its output contains the version with which it began.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) tells_version: bool,
    /// Target size of its input in bytes, or 0 for no padding.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) input: usize,
    /// The same for the input with which it continues.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) next_input: usize,
    /// Size of the padding in its output in bytes.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) output: usize,
    #[serde(default, skip_serializing_if = "Padding::is_empty")]
    pub(super) padding: Padding,
    pub(super) end: Finish,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_none(bytes: &usize) -> bool {
    *bytes == 0
}

/// The end of a program after its last act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Finish {
    Return,
    Fail,
    /// Panics at every attempt, so that the orchestration remains stopped.
    Panic,
}

/// A part of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Act {
    /// Runs acts one after another, up to the first [`Trouble`].
    Each(Vec<Act>),
    /// Runs acts concurrently until all have ended, or up to the first [`Trouble`].
    Join(Vec<Act>),
    /// Runs acts concurrently until the first one ends.
    Race(Vec<Act>),
    Job {
        job: Job,
        /// Set if at most one of these activities runs at a time.
        narrow: bool,
        retry: Option<Retry>,
        /// Set if a failure ends the program.
        fatal: bool,
    },
    /// Waits for this many milliseconds.
    Timer(u64),
    Event {
        name: String,
        /// Timeout in milliseconds.
        timeout: Option<u64>,
    },
    Call(Errand),
    Signal {
        errand: Errand,
        /// Delay in milliseconds.
        after: Option<u64>,
    },
    /// A critical section.
    Lock {
        entities: Vec<(Kind, String)>,
        inside: Vec<Act>,
    },
    /// A sub-orchestration that the program awaits.
    Child {
        program: Box<Program>,
        /// The instance id, if it is not derived.
        id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        retry: Option<Retry>,
        fatal: bool,
    },
    /// An orchestration without a waiter.
    Start {
        program: Box<Program>,
        id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    Send {
        to: String,
        name: String,
        note: u64,
        /// Target size of the event in bytes, or 0 for no padding.
        #[serde(default, skip_serializing_if = "is_none")]
        bytes: usize,
    },
    Status(u64),
}

/// Work for an entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Errand {
    pub(super) kind: Kind,
    pub(super) key: String,
    /// The work. Its number is drawn when it is requested.
    pub(super) work: Work,
}

/// The behavior of an activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) label: u64,
    /// Number of attempts that fail before one succeeds.
    pub(super) fails: u32,
    /// Set if a failure is non-retriable.
    pub(super) hard: bool,
    /// Target size of its answer in bytes, or 0 for no padding.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) answer: usize,
    /// Target size of its input in bytes, or 0 for no padding.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) input: usize,
    #[serde(default, skip_serializing_if = "Padding::is_empty")]
    pub(super) padding: Padding,
}

/// A retry policy. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retry {
    pub(super) attempts: u32,
    pub(super) first: u64,
    /// Set if each interval is twice as long as the previous one.
    pub(super) doubles: bool,
    /// Period in which attempts begin.
    pub(super) overall: Option<u64>,
}

/// The result of a part of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Told {
    Nothing,
    Number(u64),
    Event(Option<u64>),
    List(Vec<Told>),
    Won(usize, Box<Told>),
    Failed(String),
    Version(String),
    Padding(String),
}

/// The reason why a program did not reach its end, or the error of an activity.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("{0}")]
pub(super) struct Trouble(pub(super) String);

/// Maximum number of attempts of a step.
pub(super) const MOST_ATTEMPTS: u32 = 3;

impl Job {
    /// Returns the result of an attempt.
    pub(super) fn result(&self, attempt: u32) -> Result<u64, Trouble> {
        match attempt <= self.fails {
            true => Err(Trouble(format!("attempt {attempt} of job {} fails", self.label))),
            false => Ok(self.label * 1_000 + u64::from(attempt)),
        }
    }

    /// Returns the job as it is sent, padded to its target size.
    pub(super) fn filled(&self) -> Self {
        let padding = Padding::up_to(self.input, self);
        Self {
            padding,
            ..self.clone()
        }
    }

    /// Encodes a result as JSON. Leading spaces pad it to its target size.
    pub(super) fn answer(&self, result: u64) -> Vec<u8> {
        let number = result.to_string();
        let spaces = " ".repeat(self.answer.saturating_sub(number.len()));
        (spaces + &number).into_bytes()
    }
}

impl Errand {
    /// Returns the work with the number that was drawn for it.
    pub(super) fn with(&self, number: u64) -> Work {
        Work {
            id: number,
            ..self.work.clone()
        }
    }
}

impl Program {
    /// Returns whether the program panics at its end.
    pub(super) fn panics(&self) -> bool {
        self.rounds == 0 && self.end == Finish::Panic
    }

    /// Returns its output, given the result of its acts.
    pub(super) fn output(&self, told: Told, version: &str) -> Told {
        let mut output = vec![told];
        if self.tells_version {
            output.push(Told::Version(version.to_owned()));
        }
        if self.output > 0 {
            output.push(Told::Padding("x".repeat(self.output)));
        }
        match output.len() {
            1 => output.remove(0),
            _ => Told::List(output),
        }
    }

    /// Returns the input of the next execution.
    pub(super) fn next(&self) -> Self {
        let next = Self {
            rounds: self.rounds - 1,
            input: self.next_input,
            padding: Padding::default(),
            ..self.clone()
        };
        next.filled()
    }

    /// Returns the program as it is sent, padded to its target size.
    pub(super) fn filled(&self) -> Self {
        let padding = Padding::up_to(self.input, self);
        Self {
            padding,
            ..self.clone()
        }
    }
}
