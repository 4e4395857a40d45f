//! Programs: an orchestration carries in its input everything that it shall do, so that the simulation knows it, too.

use serde::{Deserialize, Serialize};

use super::padding::Padding;
use crate::simulation::plan::{Kind, Work};

/// Set in the numbers of all work that orchestrations ask for, and in no others. They are drawn where it is asked for, by the
/// orchestration itself, so that they are no part of a plan.
const DRAWN: u64 = 1 << 63;

/// Whether a number is one of work that an orchestration asked for.
pub(in crate::simulation) fn is_of_orchestration(work: u64) -> bool {
    work & DRAWN != 0
}

/// The number of a piece of work, made of what an orchestration drew.
pub(super) fn number_of(drawn: u64) -> u64 {
    drawn | DRAWN
}

/// What an orchestration does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Program {
    /// One after another.
    pub(super) acts: Vec<Act>,
    /// How often it continues as new before it ends.
    pub(super) rounds: u32,
    /// Whether it takes unread events along.
    pub(super) keeps_events: bool,
    /// The version with which it continues, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_version: Option<String>,
    /// Whether it tells at its end the version with which it began.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) tells_version: bool,
    /// How many bytes its input is to have, or 0.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) input: usize,
    /// The same of the input with which it continues.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) next_input: usize,
    /// How many bytes of its output are padding.
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

/// How a program ends that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Finish {
    Return,
    Fail,
    /// At every attempt, so that it is stopped for good.
    Panic,
}

/// A part of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Act {
    /// One after another, up to the first trouble.
    Each(Vec<Act>),
    /// All at once, up to the first trouble.
    Join(Vec<Act>),
    /// All at once, up to the first end.
    Race(Vec<Act>),
    Job {
        job: Job,
        /// Whether no two of them run at one time.
        narrow: bool,
        retry: Option<Retry>,
        /// Whether a failure is trouble.
        fatal: bool,
    },
    /// After so many milliseconds.
    Timer(u64),
    Event {
        name: String,
        /// In milliseconds.
        timeout: Option<u64>,
    },
    Call(Errand),
    Signal {
        errand: Errand,
        /// In milliseconds.
        after: Option<u64>,
    },
    /// A critical section.
    Lock {
        entities: Vec<(Kind, String)>,
        inside: Vec<Act>,
    },
    /// A sub-orchestration, awaited.
    Child {
        program: Box<Program>,
        /// Its id, if it is not one of its own.
        id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        retry: Option<Retry>,
        fatal: bool,
    },
    /// An orchestration that nobody waits for.
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
        /// How many bytes the event is to have, or 0.
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
    /// The number of this work is drawn when it is asked for.
    pub(super) work: Work,
}

/// What an activity shall do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) label: u64,
    /// How many of its attempts fail before one succeeds.
    pub(super) fails: u32,
    /// Whether a failure is one that no retry mends.
    pub(super) hard: bool,
    /// How many bytes its answer is to have, or 0.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) answer: usize,
    /// How many bytes its input is to have, or 0.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) input: usize,
    #[serde(default, skip_serializing_if = "Padding::is_empty")]
    pub(super) padding: Padding,
}

/// How often something is tried again. The waits are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retry {
    pub(super) attempts: u32,
    pub(super) first: u64,
    /// Whether each wait is twice as long as the one before.
    pub(super) doubles: bool,
    /// For how long attempts are begun.
    pub(super) overall: Option<u64>,
}

/// What came of a part of a program.
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

/// Why a program did not come to its end, or what an activity fails with.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("{0}")]
pub(super) struct Trouble(pub(super) String);

impl Job {
    /// What an attempt ends with.
    pub(super) fn result(&self, attempt: u32) -> Result<u64, Trouble> {
        match attempt <= self.fails {
            true => Err(Trouble(format!("attempt {attempt} of job {} fails", self.label))),
            false => Ok(self.label * 1_000 + u64::from(attempt)),
        }
    }

    /// It as it is sent: with as many bytes as it is to have.
    pub(super) fn filled(&self) -> Self {
        let padding = Padding::up_to(self.input, self);
        Self {
            padding,
            ..self.clone()
        }
    }

    /// A result as JSON. Spaces before a number are part of it.
    pub(super) fn answer(&self, result: u64) -> Vec<u8> {
        let number = result.to_string();
        let spaces = " ".repeat(self.answer.saturating_sub(number.len()));
        (spaces + &number).into_bytes()
    }
}

impl Errand {
    /// The work, with the number that was drawn for it.
    pub(super) fn with(&self, number: u64) -> Work {
        Work {
            id: number,
            ..self.work.clone()
        }
    }
}

impl Program {
    /// Whether it panics when it comes to its end.
    pub(super) fn panics(&self) -> bool {
        self.rounds == 0 && self.end == Finish::Panic
    }

    /// What it returns, after what came of its acts.
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

    /// What the next execution is begun with.
    pub(super) fn next(&self) -> Self {
        let next = Self {
            rounds: self.rounds - 1,
            input: self.next_input,
            padding: Padding::default(),
            ..self.clone()
        };
        next.filled()
    }

    /// It as it is sent: with as many bytes as it is to have.
    pub(super) fn filled(&self) -> Self {
        let padding = Padding::up_to(self.input, self);
        Self {
            padding,
            ..self.clone()
        }
    }
}
