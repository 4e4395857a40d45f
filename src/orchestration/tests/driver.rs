//! A stand-in for the engine of one execution, which keeps its history and tracks open steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::code::{Begin, OrchestrationCode, OrchestrationRun};
use crate::failure::Failure;
use crate::id::{ExecutionId, InstanceId, Sequence};
use crate::model::Outcome;
use crate::model::history::{Command, Incoming, OpenStep, SEMANTICS, Started, TurnRecord};
use crate::model::orchestration::Stopped;
use crate::orchestration::{Orchestration, orchestration_code};
use crate::time::Timestamp;

/// One execution of one orchestration.
pub(super) struct Driver {
    code: Arc<dyn OrchestrationCode>,
    run: Option<Box<dyn OrchestrationRun>>,
    /// `true` if every turn begins with a replay.
    pub(super) strict: bool,
    pub(super) begin: Begin,
    pub(super) history: Vec<TurnRecord>,
    pub(super) now: Timestamp,
    /// The steps that the engine has begun and not ended, with their commands.
    pub(super) open: BTreeMap<Sequence, Command>,
    pub(super) granted: BTreeSet<Sequence>,
    pub(super) status: Option<String>,
    pub(super) unread: Vec<(String, String)>,
}

impl Driver {
    /// Creates an execution that has not begun.
    pub(super) fn new<O: Orchestration>() -> Self {
        Self {
            code: orchestration_code::<O>(),
            run: None,
            strict: false,
            begin: Begin {
                instance: InstanceId::trusted("order-1"),
                execution: ExecutionId([7; 16]),
                actions: 20_000,
                payload_bytes: 1_000,
            },
            history: Vec::new(),
            now: Timestamp(1_000_000),
            open: BTreeMap::new(),
            granted: BTreeSet::new(),
            status: None,
            unread: Vec::new(),
        }
    }

    /// Creates an execution that has had its first turn.
    pub(super) fn started<O: Orchestration>(input: &str) -> Self {
        let mut driver = Self::new::<O>();
        driver.start(input);
        driver
    }

    /// Starts the execution, and returns the commands that it issues.
    pub(super) fn start(&mut self, input: &str) -> Vec<Command> {
        self.try_start(input).unwrap()
    }

    pub(super) fn try_start(&mut self, input: &str) -> Result<Vec<Command>, Stopped> {
        self.try_turn(vec![Incoming::Started(Box::new(Started {
            semantics: SEMANTICS,
            name: self.code.name().to_owned(),
            input: input.into(),
            seed: self.begin.execution,
            ..Started::default()
        }))])
    }

    /// Runs a turn.
    pub(super) fn turn(&mut self, incoming: Vec<Incoming>) -> Vec<Command> {
        self.try_turn(incoming).unwrap()
    }

    pub(super) fn try_turn(&mut self, incoming: Vec<Incoming>) -> Result<Vec<Command>, Stopped> {
        if self.strict || self.run.is_none() {
            self.run = Some(self.replayed(self.history.len())?);
        }
        let run = self.run.as_mut().unwrap();
        let end = match run.turn(self.now, &incoming) {
            Ok(end) => end,
            Err(stopped) => {
                self.run = None;
                return Err(stopped);
            }
        };
        // A step that was open when the turn began may be canceled in it before its completion is delivered.
        let delivered = Delivered::of(&incoming);
        for command in &end.commands {
            self.note_command(command, &delivered);
        }
        for incoming in &incoming {
            self.note_incoming(incoming);
        }
        self.open.retain(|_, command| !delivered.is_lost(command));
        if let Some(status) = end.custom_status {
            self.status = Some(text(&status));
        }
        let unread = end.unread.into_iter().map(|(name, payload)| (name, text(&payload)));
        self.unread.extend(unread);
        self.history.push(TurnRecord {
            time: self.now,
            incoming,
            commands: end.commands.clone(),
            notes: end.notes,
        });
        self.check_wants();
        Ok(end.commands)
    }

    /// Creates a run that has replayed this many turns.
    pub(super) fn replayed(&self, turns: usize) -> Result<Box<dyn OrchestrationRun>, Stopped> {
        let mut run = self.code.begin(self.begin.clone());
        for (number, turn) in self.history[..turns].iter().enumerate() {
            run.replay(number as u32, turn)?;
        }
        Ok(run)
    }

    /// Unloads the live code, as an eviction does.
    pub(super) fn unload(&mut self) {
        self.run = None;
    }

    /// Replays the history of this execution with other code.
    pub(super) fn replay_with<O: Orchestration>(&self) -> Result<(), Stopped> {
        let mut other = Self::new::<O>();
        other.history = self.history.clone();
        other.replayed(other.history.len()).map(drop)
    }

    /// Ends a step with an answer.
    pub(super) fn answer(&mut self, sequence: Sequence, answer: &str) -> Vec<Command> {
        self.turn(vec![answered(sequence, answer)])
    }

    /// Ends a step with an error that its code returned.
    pub(super) fn fail(&mut self, sequence: Sequence, message: &str) -> Vec<Command> {
        self.end(sequence, Outcome::Returned(Failure::message(message)))
    }

    pub(super) fn end(&mut self, sequence: Sequence, outcome: Outcome) -> Vec<Command> {
        self.turn(vec![Incoming::Completed { sequence, outcome }])
    }

    /// Lets a timer fire when it is due.
    pub(super) fn fire(&mut self, sequence: Sequence) -> Vec<Command> {
        if let Some(Command::CreateTimer { due, .. }) = self.open.get(&sequence) {
            self.now = self.now.max(*due);
        }
        self.answer(sequence, "null")
    }

    pub(super) fn raise(&mut self, name: &str, payload: &str) -> Vec<Command> {
        self.turn(vec![raised(name, payload)])
    }

    /// Returns how the execution ended: its output, or its error after a `!`.
    pub(super) fn ended(&self) -> Option<String> {
        match self.history.last()?.commands.last()? {
            Command::Complete { output } => Some(text(output)),
            Command::Fail { failure } => Some(format!("!{}: {failure}", failure.error_type)),
            Command::ContinueAsNew { input, .. } => Some(format!("again {}", text(input))),
            _ => None,
        }
    }

    pub(super) fn wants(&self, sequence: Sequence) -> bool {
        self.run.as_ref().unwrap().wants(sequence)
    }

    pub(super) fn bytes(&self) -> usize {
        self.run.as_ref().unwrap().bytes()
    }

    fn note_incoming(&mut self, incoming: &Incoming) {
        if let Incoming::Completed { sequence, .. } = incoming {
            match self.open.get(sequence) {
                Some(Command::Lock { .. }) => {
                    if let Incoming::Completed {
                        outcome: Outcome::Answer(_),
                        ..
                    } = incoming
                    {
                        self.granted.insert(*sequence);
                    }
                }
                _ => {
                    self.open.remove(sequence);
                }
            }
        }
    }

    /// Checks that every cancellation names an open step, and that the end leaves none open.
    fn note_command(&mut self, command: &Command, delivered: &Delivered) {
        match command {
            Command::CallActivity { sequence, .. }
            | Command::CreateTimer { sequence, .. }
            | Command::WaitForEvent { sequence, .. }
            | Command::StartOrchestration {
                sequence, wait: true, ..
            }
            | Command::CallEntity { sequence, .. }
            | Command::Lock { sequence, .. } => {
                let before = self.open.insert(*sequence, command.clone());
                assert!(before.is_none(), "step {sequence} was requested twice");
            }
            Command::Cancel { sequence, step } => {
                let canceled = self.open.remove(sequence).expect("only an open step is canceled");
                let fits = match (&canceled, step) {
                    (Command::CallActivity { .. }, OpenStep::Activity)
                    | (Command::WaitForEvent { .. }, OpenStep::Event)
                    | (Command::StartOrchestration { .. }, OpenStep::Child { .. })
                    | (Command::CallEntity { .. }, OpenStep::Call { .. }) => true,
                    (Command::CreateTimer { due, .. }, OpenStep::Timer { due: canceled }) => due == canceled,
                    (
                        Command::Lock { entities, .. },
                        OpenStep::Lock {
                            entities: canceled,
                            granted,
                        },
                    ) => {
                        let is_known = self.granted.contains(sequence) == *granted;
                        entities == canceled && (is_known || delivered.ended.contains(sequence))
                    }
                    _ => false,
                };
                assert!(fits, "{canceled:?} was canceled as {step:?}");
            }
            Command::Complete { .. } | Command::Fail { .. } | Command::ContinueAsNew { .. } => {
                // The driver does not know which of several waiters received an event.
                self.open.retain(|sequence, command| match command {
                    Command::WaitForEvent { .. } => false,
                    Command::Lock { .. } => true,
                    command => !delivered.ended.contains(sequence) && !delivered.is_lost(command),
                });
                assert!(self.open.is_empty(), "the execution ended and left {:?}", self.open);
            }
            _ => {}
        }
    }

    /// Checks that the code needs the completion of the open steps, and of no others.
    fn check_wants(&self) {
        let Some(run) = &self.run else { return };
        for (&sequence, command) in &self.open {
            let is_event = matches!(command, Command::WaitForEvent { .. });
            assert_eq!(
                run.wants(sequence),
                !is_event && !self.granted.contains(&sequence),
                "{command:?}"
            );
        }
    }
}

/// The messages that were delivered in one turn.
struct Delivered {
    ended: BTreeSet<Sequence>,
    /// Entities whose locks were released by force. For the code, calls of them have ended.
    lost: BTreeSet<InstanceId>,
}

impl Delivered {
    fn of(incoming: &[Incoming]) -> Self {
        let ended = incoming.iter().filter_map(|incoming| match incoming {
            Incoming::Completed { sequence, .. } => Some(*sequence),
            _ => None,
        });
        let lost = incoming.iter().filter_map(|incoming| match incoming {
            Incoming::LockLost { entity, .. } => Some(entity.clone()),
            _ => None,
        });
        Self {
            ended: ended.collect(),
            lost: lost.collect(),
        }
    }

    fn is_lost(&self, command: &Command) -> bool {
        matches!(command, Command::CallEntity { target, lock: Some(_), .. } if self.lost.contains(target))
    }
}

pub(super) fn answered(sequence: Sequence, answer: &str) -> Incoming {
    Incoming::Completed {
        sequence,
        outcome: Outcome::Answer(answer.into()),
    }
}

pub(super) fn raised(name: &str, payload: &str) -> Incoming {
    Incoming::Raised {
        name: name.to_owned(),
        payload: payload.into(),
    }
}

pub(super) fn text(json: &[u8]) -> String {
    String::from_utf8_lossy(json).into_owned()
}

/// Abbreviates commands: `activity 1`, `cancel 2`.
pub(super) fn short(commands: &[Command]) -> Vec<String> {
    let short = |command: &Command| match command {
        Command::CallActivity {
            sequence, attempt: 1, ..
        } => format!("activity {sequence}"),
        Command::CallActivity { sequence, attempt, .. } => format!("activity {sequence} attempt {attempt}"),
        Command::CreateTimer { sequence, .. } => format!("timer {sequence}"),
        Command::WaitForEvent { sequence, .. } => format!("event {sequence}"),
        Command::StartOrchestration {
            sequence, wait: true, ..
        } => format!("child {sequence}"),
        Command::StartOrchestration { sequence, .. } => format!("start {sequence}"),
        Command::CallEntity { sequence, .. } => format!("call {sequence}"),
        Command::SignalEntity { sequence, .. } => format!("signal {sequence}"),
        Command::CancelSignal { sequence, .. } => format!("cancel signal {sequence}"),
        Command::SendEvent { sequence, .. } => format!("send {sequence}"),
        Command::Lock { sequence, .. } => format!("lock {sequence}"),
        Command::Cancel { sequence, .. } => format!("cancel {sequence}"),
        Command::ContinueAsNew { input, .. } => format!("again {}", text(input)),
        Command::Complete { output } => format!("complete {}", text(output)),
        Command::Fail { failure } => format!("fail {}: {failure}", failure.error_type),
        Command::Refuse { sequence, error, .. } => format!("refuse {sequence}: {:?}", error.kind()),
    };
    commands.iter().map(short).collect()
}
