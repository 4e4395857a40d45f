//! The code of the orchestration with the plain reference beside it. At every turn, new or replayed, both must issue
//! the same commands.

use std::panic::Location;
use std::sync::Arc;

use serde_json::Value;

use super::actor::Play;
use super::code::started;
use super::padding::Bound;
use super::reference::{End, Reference};
use super::versions::Versions;
use crate::engine::code::{Begin, OrchestrationCode, OrchestrationRun, TurnEnd};
use crate::error::Error;
use crate::id::Sequence;
use crate::model::history::{Command, Incoming, TurnRecord};
use crate::model::orchestration::{StopKind, Stopped};
use crate::orchestration::orchestration_code;
use crate::time::Timestamp;

/// The code of [`Play`] in one version, checked against the reference.
pub(super) struct Lockstep {
    code: Arc<dyn OrchestrationCode>,
    version: &'static str,
    /// All versions that are registered with it.
    versions: Versions,
}

struct Pair {
    payload_bytes: usize,
    version: &'static str,
    versions: Versions,
    instance: String,
    run: Box<dyn OrchestrationRun>,
    reference: Reference,
}

impl Lockstep {
    pub(super) fn new(version: &'static str, versions: Versions) -> Self {
        Self {
            code: orchestration_code::<Play>(),
            version,
            versions,
        }
    }
}

impl OrchestrationCode for Lockstep {
    fn name(&self) -> &str {
        self.code.name()
    }

    fn version(&self) -> &str {
        self.version
    }

    fn begin(&self, begin: Begin) -> Box<dyn OrchestrationRun> {
        Box::new(Pair {
            payload_bytes: begin.payload_bytes,
            instance: begin.instance.to_string(),
            reference: Reference::new(begin.instance.as_str()),
            run: self.code.begin(begin),
            version: self.version,
            versions: self.versions,
        })
    }

    fn check_input(&self, input: &[u8]) -> Result<(), String> {
        self.code.check_input(input)
    }
}

impl OrchestrationRun for Pair {
    fn turn(&mut self, time: Timestamp, incoming: &[Incoming]) -> Result<TurnEnd, Stopped> {
        self.has_the_right_version(incoming);
        let asked = self.reference.turn(time, incoming, Bound::Limit(self.payload_bytes));
        let end = match self.run.turn(time, incoming) {
            Ok(end) => end,
            Err(stopped) => {
                self.is_foreseen(&stopped);
                return Err(stopped);
            }
        };
        let instance = &self.instance;
        assert_ne!(
            self.reference.end,
            Some(End::Panicked),
            "{instance} continues where its program panics"
        );
        same(instance, &end.commands, &asked);
        assert_eq!(
            end.custom_status, self.reference.steps.status,
            "the custom status of {instance}"
        );
        assert_eq!(
            end.unread,
            self.reference.take_unread(),
            "the events that {instance} carries over"
        );
        Ok(end)
    }

    fn replay(&mut self, number: u32, turn: &TurnRecord) -> Result<Option<Vec<u8>>, Stopped> {
        self.has_the_right_version(&turn.incoming);
        let asked = self.reference.replay(turn);
        let replayed = self.run.replay(number, turn);
        if let Err(stopped) = &replayed {
            self.is_foreseen(stopped);
        }
        same(&self.instance, &turn.commands, &asked);
        replayed
    }

    fn places(&self) -> Vec<(Sequence, &'static Location<'static>)> {
        self.run.places()
    }

    fn wants(&self, sequence: Sequence) -> bool {
        let wants = self.run.wants(sequence);
        assert_eq!(
            wants,
            self.reference.steps.wants(sequence),
            "the code and the reference differ on whether {} waits for its step {sequence}",
            self.instance
        );
        wants
    }

    fn bytes(&self) -> usize {
        self.run.bytes()
    }
}

impl Pair {
    /// Checks that the code of an execution has its version, or the newest one if that runs older ones.
    fn has_the_right_version(&self, incoming: &[Incoming]) {
        if let Some(started) = incoming.iter().find_map(started) {
            assert_eq!(
                self.versions.runs(&started.version),
                Some(self.version),
                "the code that runs {}, which began with `{}`",
                self.instance,
                started.version
            );
        }
    }

    fn is_foreseen(&self, stopped: &Stopped) {
        let foreseen = stopped.kind == StopKind::Panicked && self.reference.end == Some(End::Panicked);
        assert!(foreseen, "{} is stopped: {stopped:?}", self.instance);
    }
}

/// Checks that `commands` equal those of the reference, except for the order of consecutive cancellations.
pub(super) fn same(instance: &str, commands: &[Command], expected: &[Command]) {
    if commands == expected {
        return;
    }
    let (commands, expected) = (plain(commands), plain(expected));
    assert_eq!(
        commands, expected,
        "the commands of {instance} differ from the reference"
    );
}

/// Converts commands to a comparable form: JSON has sorted keys, and failures consist of their texts.
fn plain(commands: &[Command]) -> Vec<Command> {
    let mut commands: Vec<Command> = commands.iter().cloned().map(canonical).collect();
    let canceled = |command: &Command| match command {
        Command::Cancel { sequence, .. } => Some(*sequence),
        _ => None,
    };
    for run in commands.chunk_by_mut(|a, b| canceled(a).is_some() && canceled(b).is_some()) {
        run.sort_by_key(canceled);
    }
    commands
}

fn canonical(mut command: Command) -> Command {
    let payload = match &mut command {
        Command::CallActivity { input, .. }
        | Command::StartOrchestration { input, .. }
        | Command::ContinueAsNew { input, .. } => input,
        Command::CallEntity { arguments, .. } | Command::SignalEntity { arguments, .. } => arguments,
        Command::SendEvent { payload, .. } => payload,
        Command::Complete { output } => output,
        Command::Refuse { what, error, .. } => {
            *what = String::new();
            *error = Error::new(error.kind(), "");
            return command;
        }
        Command::Fail { failure } => {
            // The reference knows its own reasons of a failure, but only the kind of an error of the library.
            let is_own = failure.error_type == "Trouble" || failure.error_type == "Failure";
            let text = if is_own {
                failure.message.clone()
            } else {
                failure.error_type.clone()
            };
            *failure = crate::failure::Failure::message(text);
            return command;
        }
        _ => return command,
    };
    let value: Value = serde_json::from_slice(payload).expect("a payload is valid JSON");
    *payload = serde_json::to_vec(&value).expect("a JSON value serializes");
    command
}
