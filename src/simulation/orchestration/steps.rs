//! The steps of one execution in the plain reference: the open steps, the commands of this turn, and the waiters for
//! events.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

use super::padding::Bound;
use super::program::Retry;
use crate::error::{Error, ErrorKind};
use crate::id::{ExecutionId, InstanceId, Sequence};
use crate::model::Outcome;
use crate::model::history::{Command, Incoming, OpenStep, Started};
use crate::time::Timestamp;

/// The end of a step: its answer as JSON, or its failure as a program describes it.
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
    /// The commands of this turn. `None` is a command that was taken back in the turn that issued it.
    asked: Vec<Option<Command>>,
    arrivals: u64,
    /// Unread events: the lower-case name, the position in the order of arrival, the name and the payload.
    unread: BTreeSet<(String, u64, String, Vec<u8>)>,
    /// The waiters for each event. The last one receives the event first.
    waiters: BTreeMap<String, Vec<Sequence>>,
    section: Option<Section>,
    /// The reason why the execution fails: a command was refused that has no answer to report the refusal.
    pub(super) refused: Option<ErrorKind>,
    pub(super) status: Option<Vec<u8>>,
    /// Set if anything has changed that a task may wait for.
    pub(super) stirred: bool,
}

#[derive(Debug)]
struct Open {
    what: What,
    done: Option<Done>,
    /// The turn and the index of its newest command.
    asked: (u32, usize),
}

#[derive(Debug)]
enum What {
    Timer(Timestamp),
    /// The wait before the next attempt of a step.
    Pause(Sequence, Timestamp),
    Event(String, Option<(u64, String, Vec<u8>)>),
    Call(InstanceId),
    Activity(Attempts),
    Child(InstanceId, Attempts),
    Lock(Vec<InstanceId>, bool),
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
    entities: Vec<InstanceId>,
    granted: bool,
    lost: BTreeSet<InstanceId>,
    calls: BTreeMap<InstanceId, Sequence>,
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

    /// Takes the commands of this turn. The order of consecutive cancellations does not count.
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

    /// Returns the id of a child or a timer of this step without an explicit id.
    pub(super) fn derived_id(&self, sequence: Sequence) -> String {
        format!("{}:{sequence}", self.seed)
    }

    /// Checks a payload against the limit. A refusal is a part of the history.
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

    /// Checks the payload of a command against the limit.
    fn permit_command(&mut self, sequence: Sequence, command: &Command) -> Result<(), ErrorKind> {
        let payload = match command {
            Command::CallActivity { input, .. } | Command::StartOrchestration { input, .. } => input,
            Command::CallEntity { arguments, .. } | Command::SignalEntity { arguments, .. } => arguments,
            Command::SendEvent { payload, .. } => payload,
            _ => return Ok(()),
        };
        self.permit(sequence, payload.len()).map_err(|()| ErrorKind::TooLarge)
    }

    /// Issues a command that has no end, or records why the execution fails.
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

    /// Starts a sub-orchestration, unless a critical section forbids it.
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

    /// Calls an entity, under the lock of the critical section if there is one.
    pub(super) fn call(
        &mut self,
        sequence: Sequence,
        target: &InstanceId,
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
                section.calls.insert(target.clone(), sequence);
                Some(section.sequence)
            }
        };
        self.open(sequence, What::Call(target.clone()), command(lock));
        Ok(())
    }

    /// Sends a signal, unless it would wait for the end of the critical section that sends it.
    pub(super) fn signal(&mut self, sequence: Sequence, target: &InstanceId, command: Command) {
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

    pub(super) fn lock(&mut self, mut entities: Vec<InstanceId>) -> Result<Sequence, ErrorKind> {
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

    /// Returns the end of a step, once. A lock stays open.
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

    /// Returns whether the execution waits for the end of a step.
    pub(super) fn wants(&self, sequence: Sequence) -> bool {
        self.open.get(&sequence).is_some_and(|step| match &step.what {
            What::Event(..) | What::Lock(_, true) => false,
            what => step.done.is_none() && what.pause().is_none(),
        })
    }

    /// Delivers an incoming event to the execution.
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

    fn complete(&mut self, sequence: Sequence, outcome: &Outcome) {
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

    /// Gives an event to its last waiter, or keeps it at its position.
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

    /// Abandons a step whose end is no longer wanted.
    pub(super) fn abandon(&mut self, sequence: Sequence) {
        if let Some(event) = self.take_back(sequence) {
            self.hand_out(event);
        }
    }

    /// Takes back the command of a step. Returns an event that the step received but did not read.
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

    /// Ends the execution: takes back open steps, and issues the last command.
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

    /// Takes the unread events, oldest first.
    pub(super) fn take_unread(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut events: Vec<_> = std::mem::take(&mut self.unread).into_iter().collect();
        events.sort_by_key(|event| event.1);
        events.into_iter().map(|event| (event.2, event.3)).collect()
    }

    /// Returns the steps that have not ended.
    pub(super) fn open_steps(&self) -> impl Iterator<Item = (Sequence, OpenStep)> {
        self.open
            .iter()
            .map(|(sequence, step)| (*sequence, step.what.open_step()))
    }

    /// Returns the steps that the execution waits for. A step between two attempts is represented by its delay.
    pub(super) fn awaited(&self) -> BTreeSet<Sequence> {
        let waits = |step: &Open| match &step.what {
            What::Event(_, given) => given.is_none(),
            What::Lock(_, granted) => !granted,
            what => step.done.is_none() && what.pause().is_none(),
        };
        let steps = self.open.iter().filter(|(_, step)| waits(step));
        steps.map(|(sequence, _)| *sequence).collect()
    }

    /// Returns the entities of the critical section whose locks were released by force.
    pub(super) fn lost(&self) -> BTreeSet<InstanceId> {
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
    /// Returns the due time of the next attempt, if there is one.
    fn next_due(&self, outcome: &Outcome, now: Timestamp) -> Option<Timestamp> {
        let retry = self.retry?;
        let is_retriable = match outcome {
            Outcome::Answer(_) => false,
            Outcome::Returned(failure) => !failure.non_retriable,
            Outcome::Runtime(error) => matches!(
                error.kind(),
                ErrorKind::Panicked
                    | ErrorKind::TimedOut
                    | ErrorKind::OperationFailed
                    | ErrorKind::Overloaded
                    | ErrorKind::Closed
                    | ErrorKind::Replaced
                    | ErrorKind::Io
            ),
        };
        if !is_retriable || self.made >= retry.attempts {
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

/// Returns the orchestration that a command starts.
fn instance_of(command: &Command) -> InstanceId {
    match command {
        Command::StartOrchestration { instance, .. } => instance.clone(),
        _ => unreachable!("the command of a child is a start"),
    }
}

pub(super) fn runtime(kind: ErrorKind) -> String {
    format!("runtime: {kind:?}")
}

/// Reads an outcome as a program does. A failure of the library's own has no type that the program knows.
fn read(outcome: &Outcome) -> Done {
    match outcome {
        Outcome::Answer(answer) => Ok(answer.clone()),
        Outcome::Returned(failure) if !["Trouble", "Refused"].contains(&failure.error_type.as_str()) => {
            Err(runtime(ErrorKind::Serialization))
        }
        Outcome::Returned(failure) => Err(format!("returned: {}", failure.message)),
        Outcome::Runtime(error) => Err(runtime(error.kind())),
    }
}
