//! The steps of one execution as the plain reference keeps them: what is open, what was asked for in this turn, and who waits
//! for which event.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

use super::padding::Bound;
use super::program::Retry;
use crate::error::{Error, ErrorKind};
use crate::id::{ExecutionId, Sequence};
use crate::store::records::history::{Command, Incoming, OpenStep, Started, StepOutcome};
use crate::time::Timestamp;

/// How a step ended: its answer as JSON, or what a program says of its failure.
pub(super) type Done = Result<Vec<u8>, String>;

/// The steps of one execution.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) seed: ExecutionId,
    pub(super) now: Timestamp,
    bound: Bound,
    random: u64,
    sequence: Sequence,
    open: BTreeMap<Sequence, Open>,
    turn: u32,
    /// Nothing stands where something was taken back in the turn that asked for it.
    asked: Vec<Option<Command>>,
    arrivals: u64,
    /// Events that nobody has read: the lower-case name, the place in the order of arrival, the name and the payload.
    unread: BTreeSet<(String, u64, String, Vec<u8>)>,
    /// Who waits for an event, the last one first to get it.
    waiters: BTreeMap<String, Vec<Sequence>>,
    section: Option<Section>,
    /// Why the execution fails: it asked for something that is refused and has no answer to say so.
    pub(super) refused: Option<ErrorKind>,
    pub(super) status: Option<Vec<u8>>,
    /// Whether something has changed that somebody may wait for.
    pub(super) stirred: bool,
}

#[derive(Debug)]
struct Open {
    what: What,
    done: Option<Done>,
    /// The turn and the place of its newest command.
    asked: (u32, usize),
}

#[derive(Debug)]
enum What {
    Timer(Timestamp),
    /// The wait before the next attempt of a step.
    Pause(Sequence, Timestamp),
    Event(String, Option<(u64, String, Vec<u8>)>),
    Call(String),
    Activity(Attempts),
    Child(String, Attempts),
    Lock(Vec<String>, bool),
}

#[derive(Debug)]
struct Attempts {
    retry: Option<Retry>,
    made: u32,
    begun: Timestamp,
    pause: Option<Sequence>,
    command: Command,
}

/// A critical section.
#[derive(Debug)]
struct Section {
    sequence: Sequence,
    entities: Vec<String>,
    granted: bool,
    lost: BTreeSet<String>,
    calls: BTreeMap<String, Sequence>,
}

impl Steps {
    pub(super) fn begin(&mut self, instance: &str, started: &Started) {
        self.seed = started.seed;
        self.random = xxh3_64(&[&started.seed.0[..], instance.as_bytes()].concat());
    }

    pub(super) fn begin_turn(&mut self, now: Timestamp, bound: Bound) {
        self.now = now;
        self.bound = bound;
        self.turn += 1;
        self.asked.clear();
        self.status = None;
    }

    /// What was asked for in this turn. Of what is taken back in a row the order does not count.
    pub(super) fn take_asked(&mut self) -> Vec<Command> {
        self.asked.drain(..).flatten().collect()
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn claim(&mut self) -> Sequence {
        self.sequence += 1;
        self.sequence
    }

    /// The id that a child or a timer of this step has if it is given none.
    pub(super) fn derived_id(&self, sequence: Sequence) -> String {
        format!("{}:{sequence}", self.seed)
    }

    /// Holds a payload to the limit. A refusal is a part of the history.
    pub(super) fn permit(&mut self, sequence: Sequence, bytes: usize) -> Result<(), ()> {
        if self.bound.permits(sequence, bytes) {
            return Ok(());
        }
        self.asked.push(Some(Command::Refuse {
            sequence,
            what: String::new(),
            error: Error::new(ErrorKind::TooLarge, ""),
        }));
        Err(())
    }

    /// The same for what a command brings.
    fn permit_command(&mut self, sequence: Sequence, command: &Command) -> Result<(), ErrorKind> {
        let payload = match command {
            Command::CallActivity { input, .. } | Command::StartOrchestration { input, .. } => input,
            Command::CallEntity { arguments, .. } | Command::SignalEntity { arguments, .. } => arguments,
            Command::SendEvent { payload, .. } => payload,
            _ => return Ok(()),
        };
        self.permit(sequence, payload.len()).map_err(|()| ErrorKind::TooLarge)
    }

    /// Asks for something that has no end, or notes why the execution fails.
    pub(super) fn send(&mut self, sequence: Sequence, command: Command) {
        match self.permit_command(sequence, &command) {
            Ok(()) => self.asked.push(Some(command)),
            Err(kind) => {
                self.refused.get_or_insert(kind);
            }
        }
    }

    fn open(&mut self, sequence: Sequence, what: What, command: Command) {
        self.asked.push(Some(command));
        let asked = (self.turn, self.asked.len() - 1);
        let done = None;
        self.open.insert(sequence, Open { what, done, asked });
    }

    pub(super) fn timer(&mut self, millis: u64) -> Sequence {
        let sequence = self.claim();
        let due = Timestamp(self.now.0 + millis);
        self.open(sequence, What::Timer(due), Command::CreateTimer { sequence, due });
        sequence
    }

    pub(super) fn event(&mut self, name: &str) -> Sequence {
        let sequence = self.claim();
        let command = Command::WaitForEvent {
            sequence,
            name: name.to_owned(),
        };
        let key = name.to_lowercase();
        let first = self.unread.iter().find(|event| event.0 == key).cloned();
        let given = match first {
            Some(event) => {
                self.unread.remove(&event);
                Some((event.1, event.2, event.3))
            }
            None => {
                self.waiters.entry(key).or_default().push(sequence);
                None
            }
        };
        self.open(sequence, What::Event(name.to_owned(), given), command);
        sequence
    }

    pub(super) fn activity(
        &mut self,
        sequence: Sequence,
        command: Command,
        retry: Option<Retry>,
    ) -> Result<(), ErrorKind> {
        self.permit_command(sequence, &command)?;
        let attempts = self.attempts(&command, retry);
        self.open(sequence, What::Activity(attempts), command);
        Ok(())
    }

    /// Asks for a sub-orchestration, if no critical section forbids it.
    pub(super) fn child(
        &mut self,
        sequence: Sequence,
        command: Command,
        retry: Option<Retry>,
    ) -> Result<(), ErrorKind> {
        if self.section.is_some() {
            return Err(ErrorKind::ChildInLock);
        }
        self.permit_command(sequence, &command)?;
        let attempts = self.attempts(&command, retry);
        self.open(sequence, What::Child(instance_of(&command), attempts), command);
        Ok(())
    }

    fn attempts(&self, command: &Command, retry: Option<Retry>) -> Attempts {
        Attempts {
            retry,
            made: 1,
            begun: self.now,
            pause: None,
            command: command.clone(),
        }
    }

    /// Under which lock an entity may be called.
    pub(super) fn call(
        &mut self,
        sequence: Sequence,
        target: &str,
        command: impl Fn(Option<Sequence>) -> Command,
    ) -> Result<(), ErrorKind> {
        self.permit_command(sequence, &command(None))?;
        let lock = match &mut self.section {
            None => None,
            Some(section) if !section.granted => return Err(ErrorKind::LockNotGranted),
            Some(section) if !section.entities.iter().any(|entity| entity == target) => {
                return Err(ErrorKind::NotLocked);
            }
            Some(section) if section.lost.contains(target) => return Err(ErrorKind::LockLost),
            Some(section) if section.calls.contains_key(target) => return Err(ErrorKind::CallPending),
            Some(section) => {
                section.calls.insert(target.to_owned(), sequence);
                Some(section.sequence)
            }
        };
        self.open(sequence, What::Call(target.to_owned()), command(lock));
        Ok(())
    }

    /// Sends a signal, unless it would wait for the end of the critical section that sends it.
    pub(super) fn signal(&mut self, sequence: Sequence, target: &str, command: Command) {
        if let Err(kind) = self.permit_command(sequence, &command) {
            self.refused.get_or_insert(kind);
            return;
        }
        let locked = |section: &Section| {
            section.entities.iter().any(|entity| entity == target) && !section.lost.contains(target)
        };
        if self.section.as_ref().is_some_and(locked) {
            self.refused.get_or_insert(ErrorKind::SignalToLocked);
        } else {
            self.asked.push(Some(command));
        }
    }

    pub(super) fn lock(&mut self, mut entities: Vec<String>) -> Result<Sequence, ErrorKind> {
        let sequence = self.claim();
        entities.sort();
        entities.dedup();
        if self.section.is_some() {
            return Err(ErrorKind::NestedLock);
        }
        self.section = Some(Section {
            sequence,
            entities: entities.clone(),
            granted: false,
            lost: BTreeSet::new(),
            calls: BTreeMap::new(),
        });
        let command = Command::Lock {
            sequence,
            entities: entities.clone(),
        };
        self.open(sequence, What::Lock(entities, false), command);
        Ok(sequence)
    }

    /// How a step ended, once. A lock stays open.
    pub(super) fn done(&mut self, sequence: Sequence) -> Option<Done> {
        let step = self.open.get_mut(&sequence)?;
        let done = match &mut step.what {
            What::Event(_, given) => Some(Ok(given.take()?.2)),
            _ => step.done.take(),
        }?;
        if !matches!(step.what, What::Lock(..)) {
            self.open.remove(&sequence);
        }
        Some(done)
    }

    /// Whether the end of a step is waited for.
    pub(super) fn wants(&self, sequence: Sequence) -> bool {
        self.open.get(&sequence).is_some_and(|step| match &step.what {
            What::Event(..) | What::Lock(_, true) => false,
            what => step.done.is_none() && what.pause().is_none(),
        })
    }

    /// Takes in what the execution is told.
    pub(super) fn deliver(&mut self, incoming: &Incoming) {
        match incoming {
            Incoming::Completed { sequence, outcome } if self.wants(*sequence) => self.complete(*sequence, outcome),
            Incoming::Raised { name, payload } => {
                self.arrivals += 1;
                self.hand_out((self.arrivals, name.clone(), payload.clone()));
            }
            Incoming::LockLost { lock, entity } => {
                let section = self.section.as_mut().filter(|section| section.sequence == *lock);
                let call = section.and_then(|section| {
                    section.lost.insert(entity.clone());
                    section.calls.remove(entity)
                });
                if let Some(call) = call {
                    self.settle(call, Err(runtime(ErrorKind::LockLost)));
                }
            }
            _ => {}
        }
    }

    fn complete(&mut self, sequence: Sequence, outcome: &StepOutcome) {
        let Some(step) = self.open.get_mut(&sequence) else {
            return;
        };
        if let What::Pause(of, _) = step.what {
            self.open.remove(&sequence);
            return self.repeat(of);
        }
        let due = match &step.what {
            What::Activity(attempts) | What::Child(_, attempts) => attempts.next_due(outcome, self.now),
            _ => None,
        };
        let Some(due) = due else {
            return self.settle(sequence, read(outcome));
        };
        let pause = self.claim();
        self.open(
            pause,
            What::Pause(sequence, due),
            Command::CreateTimer { sequence: pause, due },
        );
        if let Some(attempts) = self.attempts_of(sequence) {
            attempts.pause = Some(pause);
        }
    }

    fn attempts_of(&mut self, sequence: Sequence) -> Option<&mut Attempts> {
        match &mut self.open.get_mut(&sequence)?.what {
            What::Activity(attempts) | What::Child(_, attempts) => Some(attempts),
            _ => None,
        }
    }

    /// Makes the next attempt of a step.
    fn repeat(&mut self, sequence: Sequence) {
        let Some(attempts) = self.attempts_of(sequence) else {
            return;
        };
        attempts.pause = None;
        attempts.made += 1;
        let mut command = attempts.command.clone();
        if let Command::CallActivity { attempt, .. } | Command::StartOrchestration { attempt, .. } = &mut command {
            *attempt = attempts.made;
        }
        self.asked.push(Some(command));
        let asked = (self.turn, self.asked.len() - 1);
        if let Some(step) = self.open.get_mut(&sequence) {
            step.asked = asked;
        }
    }

    fn settle(&mut self, sequence: Sequence, done: Done) {
        let Some(step) = self.open.get_mut(&sequence) else {
            return;
        };
        if let Some(section) = &mut self.section {
            section.calls.retain(|_, call| *call != sequence);
            if let What::Lock(_, granted) = &mut step.what {
                *granted = true;
                section.granted = true;
            }
        }
        step.done = Some(done);
        self.stirred = true;
    }

    /// Gives an event to who waited for it last, or keeps it at its place.
    fn hand_out(&mut self, event: (u64, String, Vec<u8>)) {
        let key = event.1.to_lowercase();
        match self.waiters.get_mut(&key).and_then(Vec::pop) {
            Some(waiter) => {
                if let Some(Open {
                    what: What::Event(_, given),
                    ..
                }) = self.open.get_mut(&waiter)
                {
                    *given = Some(event);
                }
                self.stirred = true;
            }
            None => {
                self.unread.insert((key, event.0, event.1, event.2));
            }
        }
    }

    /// Nobody wants the end of a step any more.
    pub(super) fn abandon(&mut self, sequence: Sequence) {
        if let Some(event) = self.take_back(sequence) {
            self.hand_out(event);
        }
    }

    /// Takes back what a step asked for. An event comes back that it was given and did not read.
    fn take_back(&mut self, sequence: Sequence) -> Option<(u64, String, Vec<u8>)> {
        let step = self.open.remove(&sequence)?;
        if let What::Event(name, None) = &step.what
            && let Some(waiters) = self.waiters.get_mut(&name.to_lowercase())
        {
            waiters.retain(|waiter| *waiter != sequence);
        }
        if let Some(section) = &mut self.section {
            section.calls.retain(|_, call| *call != sequence);
        }
        if self
            .section
            .as_ref()
            .is_some_and(|section| section.sequence == sequence)
        {
            self.section = None;
        }
        if let Some(pause) = step.what.pause() {
            self.take_back(pause);
        }
        let (turn, place) = step.asked;
        let is_over = match &step.what {
            What::Lock(..) => false,
            What::Event(_, given) => given.is_some(),
            what => step.done.is_some() || what.pause().is_some(),
        };
        let is_unread = matches!(step.what, What::Event(_, Some(_)));
        if turn == self.turn && (!is_over || is_unread) {
            self.asked[place] = None;
        } else if !is_over {
            let open = step.what.open_step();
            self.asked.push(Some(Command::Cancel { sequence, step: open }));
        }
        match step.what {
            What::Event(_, given) => given,
            _ => None,
        }
    }

    /// Ends the execution: takes back what is open, and says how it ends.
    pub(super) fn finish(&mut self, last: Command) {
        let open: Vec<Sequence> = self.open.keys().copied().collect();
        for sequence in open {
            if let Some((arrival, name, payload)) = self.take_back(sequence) {
                self.unread.insert((name.to_lowercase(), arrival, name, payload));
            }
        }
        self.asked.push(Some(last));
        self.waiters.clear();
    }

    /// What nobody has read, oldest first.
    pub(super) fn take_unread(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut events: Vec<_> = std::mem::take(&mut self.unread).into_iter().collect();
        events.sort_by_key(|event| event.1);
        events.into_iter().map(|event| (event.2, event.3)).collect()
    }

    /// The steps that have not ended.
    pub(super) fn open_steps(&self) -> impl Iterator<Item = (Sequence, OpenStep)> {
        self.open
            .iter()
            .map(|(sequence, step)| (*sequence, step.what.open_step()))
    }

    /// The entities of the critical section whose locks were released by force.
    pub(super) fn lost(&self) -> BTreeSet<String> {
        self.section
            .as_ref()
            .map(|section| section.lost.clone())
            .unwrap_or_default()
    }
}

impl What {
    fn pause(&self) -> Option<Sequence> {
        match self {
            Self::Activity(attempts) | Self::Child(_, attempts) => attempts.pause,
            _ => None,
        }
    }

    fn open_step(&self) -> OpenStep {
        match self {
            Self::Timer(due) | Self::Pause(_, due) => OpenStep::Timer { due: *due },
            Self::Event(..) => OpenStep::Event,
            Self::Call(target) => OpenStep::Call { target: target.clone() },
            Self::Activity(_) => OpenStep::Activity,
            Self::Child(instance, _) => OpenStep::Child {
                instance: instance.clone(),
            },
            Self::Lock(entities, granted) => OpenStep::Lock {
                entities: entities.clone(),
                granted: *granted,
            },
        }
    }
}

impl Attempts {
    /// When the next attempt is due, if there is to be one.
    fn next_due(&self, outcome: &StepOutcome, now: Timestamp) -> Option<Timestamp> {
        let retry = self.retry?;
        let is_worth_it = match outcome {
            StepOutcome::Answer(_) => false,
            StepOutcome::Returned(failure) => !failure.non_retriable,
            StepOutcome::Runtime(error) => matches!(
                error.kind(),
                ErrorKind::Panicked
                    | ErrorKind::TimedOut
                    | ErrorKind::OperationFailed
                    | ErrorKind::Overloaded
                    | ErrorKind::Closed
                    | ErrorKind::Io
            ),
        };
        if !is_worth_it || self.made >= retry.attempts {
            return None;
        }
        let wait = if retry.doubles {
            retry.first << (self.made - 1)
        } else {
            retry.first
        };
        let due = Timestamp(now.0 + wait);
        let in_time = |overall| due.0 <= self.begun.0 + overall;
        retry.overall.is_none_or(in_time).then_some(due)
    }
}

/// The orchestration that a command starts.
fn instance_of(command: &Command) -> String {
    match command {
        Command::StartOrchestration { instance, .. } => instance.clone(),
        _ => unreachable!("a child is begun by a start"),
    }
}

pub(super) fn runtime(kind: ErrorKind) -> String {
    format!("runtime: {kind:?}")
}

/// What a program makes of an outcome. A failure of the library's own is none of the types that a program knows.
fn read(outcome: &StepOutcome) -> Done {
    match outcome {
        StepOutcome::Answer(answer) => Ok(answer.clone()),
        StepOutcome::Returned(failure) if !["Trouble", "Refused"].contains(&failure.error_type.as_str()) => {
            Err(runtime(ErrorKind::Serialization))
        }
        StepOutcome::Returned(failure) => Err(format!("returned: {}", failure.message)),
        StepOutcome::Runtime(error) => Err(runtime(error.kind())),
    }
}
