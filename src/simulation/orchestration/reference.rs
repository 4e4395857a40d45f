//! The plain reference: computes the commands of a program from its incoming events. It walks the tree of the program
//! and has neither futures nor wakers, so it shares nothing with the code that it is compared with.

use super::padding::{Bound, Note};
use super::program::{Act, Errand, Finish, Program, Retry, Told, Trouble, number_of};
use super::steps::{Done, Steps, runtime};
use crate::error::ErrorKind;
use crate::failure::Failure;
use crate::id::{InstanceId, Sequence};
use crate::model::history::{Command, Incoming, TurnRecord};
use crate::simulation::plan::Work;
use crate::time::Timestamp;

/// One execution of a program.
#[derive(Debug, Default)]
pub(super) struct Reference {
    instance: String,
    /// The version with which it began.
    pub(super) version: String,
    program: Option<Program>,
    root: Option<Task>,
    pub(super) steps: Steps,
    pub(super) end: Option<End>,
}

/// The end of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Failed,
    Continued,
    /// The code panicked, so the orchestration is stopped.
    Panicked,
}

/// A running part of a program.
#[derive(Debug)]
enum Task {
    /// Not polled yet.
    New(Act),
    Each {
        rest: std::vec::IntoIter<Act>,
        told: Vec<Told>,
        now: Option<Box<Task>>,
    },
    Join(Vec<Result<Told, Task>>),
    Race(Vec<Task>),
    /// A step, how to read its answer, and whether its failure ends the program.
    Step(Sequence, Reading, bool),
    Event(Sequence, Option<Sequence>),
    Asking(Sequence, Vec<Act>),
    Holding(Sequence, Box<Task>),
    Refused(ErrorKind),
    Failing(Trouble),
    Done(Told),
}

#[derive(Clone, Copy, Debug)]
enum Reading {
    Nothing,
    Number,
    Receipt,
    Told,
}

type Ended = Result<Told, Trouble>;

/// Sequence number of the payload that ends an execution.
const END: Sequence = 0;

impl Reference {
    pub(super) fn new(instance: &str) -> Self {
        Self {
            instance: instance.to_owned(),
            ..Self::default()
        }
    }

    /// Replays a turn of a history.
    pub(super) fn replay(&mut self, turn: &TurnRecord) -> Vec<Command> {
        self.turn(turn.time, &turn.incoming, Bound::of(&turn.commands))
    }

    /// Runs one turn, and returns the commands of the program in it.
    pub(super) fn turn(&mut self, time: Timestamp, incoming: &[Incoming], bound: Bound) -> Vec<Command> {
        self.steps.begin_turn(time, bound);
        for incoming in incoming {
            self.deliver(incoming);
        }
        self.steps.take_asked()
    }

    fn deliver(&mut self, incoming: &Incoming) {
        if let Incoming::Started(started) = incoming {
            self.steps.begin(&self.instance, started);
            self.version.clone_from(&started.version);
            let program: Program = serde_json::from_slice(&started.input).expect("the input is a program");
            self.root = Some(each(program.acts.clone()));
            self.program = Some(program);
        } else {
            self.steps.deliver(incoming);
        }
        loop {
            self.steps.stirred = false;
            let Some(root) = &mut self.root else { return };
            let ended = poll(root, &mut self.steps);
            // A panic unwinds before refusals are checked.
            if matches!(ended, Some(Ok(_))) && self.program.as_ref().is_some_and(Program::panics) {
                self.end = Some(End::Panicked);
                self.root = None;
                return;
            }
            // The last payload may be refused as well, but the first reason counts.
            let refused = self.steps.refused.take();
            let ending = match ended {
                Some(Ok(told)) => Some(self.ending(told)),
                Some(Err(Trouble(text))) => Some(Err(text)),
                None => None,
            };
            let ending = match refused {
                Some(kind) => Some(Err(format!("{kind:?}"))),
                None => ending,
            };
            match ending {
                Some(Ok((last, end))) => return self.finish(last, end),
                Some(Err(text)) => return self.fail(text),
                None if !self.steps.stirred => return,
                None => {}
            }
        }
    }

    /// Returns how a program ends after its last act, or why it fails.
    fn ending(&mut self, told: Told) -> Result<(Command, End), String> {
        let program = self.program.as_ref().expect("the program has begun");
        let too_large = |()| format!("{:?}", ErrorKind::TooLarge);
        if program.rounds > 0 {
            let input = json(&program.next());
            self.steps.permit(END, input.len()).map_err(too_large)?;
            let last = Command::ContinueAsNew {
                input,
                version: program.next_version.clone(),
                keep_events: program.keeps_events,
            };
            return Ok((last, End::Continued));
        }
        match program.end {
            Finish::Return => {
                let output = json(&program.output(told, &self.version));
                self.steps.permit(END, output.len()).map_err(too_large)?;
                Ok((Command::Complete { output }, End::Completed))
            }
            Finish::Fail => Err("as planned".to_owned()),
            Finish::Panic => unreachable!("handled by the caller"),
        }
    }

    fn fail(&mut self, text: String) {
        let failure = Failure::message(text);
        self.finish(Command::Fail { failure }, End::Failed);
    }

    fn finish(&mut self, last: Command, end: End) {
        self.root = None;
        self.steps.finish(last);
        self.end = Some(end);
    }

    /// Takes the events that it carries over when it continues as new.
    pub(super) fn take_unread(&mut self) -> Vec<(String, Vec<u8>)> {
        let keeps = self.program.as_ref().is_some_and(|program| program.keeps_events);
        match self.end {
            Some(End::Continued) if keeps => self.steps.take_unread(),
            _ => Vec::new(),
        }
    }
}

fn each(acts: Vec<Act>) -> Task {
    Task::Each {
        rest: acts.into_iter(),
        told: Vec::new(),
        now: None,
    }
}

fn poll(task: &mut Task, steps: &mut Steps) -> Option<Ended> {
    if let Task::New(act) = task {
        *task = begin(act.clone(), steps);
    }
    match task {
        Task::New(_) => unreachable!("begun above"),
        Task::Done(told) => Some(Ok(told.clone())),
        Task::Failing(trouble) => Some(Err(trouble.clone())),
        Task::Refused(kind) => Some(Ok(Told::Failed(runtime(*kind)))),
        Task::Each { rest, told, now } => loop {
            if let Some(act) = now {
                match poll(act, steps)? {
                    Ok(done) => told.push(done),
                    Err(trouble) => return Some(Err(trouble)),
                }
            }
            match rest.next() {
                Some(next) => *now = Some(Box::new(Task::New(next))),
                None => return Some(Ok(Told::List(std::mem::take(told)))),
            }
        },
        Task::Join(parts) => {
            for at in 0..parts.len() {
                let Err(part) = &mut parts[at] else { continue };
                match poll(part, steps) {
                    Some(Ok(told)) => parts[at] = Ok(told),
                    Some(Err(trouble)) => {
                        parts.drain(..).for_each(|part| forget_part(part, steps));
                        return Some(Err(trouble));
                    }
                    None => {}
                }
            }
            let told = parts.iter().map(|part| part.as_ref().ok().cloned());
            told.collect::<Option<Vec<Told>>>().map(|told| Ok(Told::List(told)))
        }
        Task::Race(parts) => {
            for at in 0..parts.len() {
                if let Some(ended) = poll(&mut parts[at], steps) {
                    let won = |told| Told::Won(at, Box::new(told));
                    let losers = parts.drain(..).enumerate().filter(|(loser, _)| *loser != at);
                    losers.for_each(|(_, loser)| forget(loser, steps));
                    return Some(ended.map(won));
                }
            }
            None
        }
        Task::Step(sequence, reading, fatal) => {
            let told = reading.read(steps.done(*sequence)?);
            Some(match told {
                Ok(told) => Ok(told),
                Err(failure) if *fatal => Err(Trouble(failure)),
                Err(failure) => Ok(Told::Failed(failure)),
            })
        }
        Task::Event(event, timer) => {
            if let Some(payload) = steps.done(*event) {
                if let Some(timer) = timer {
                    steps.abandon(*timer);
                }
                let note = Note::read(&payload.expect("an event has a payload"));
                return Some(Ok(Told::Event(Some(note))));
            }
            if let Some(timer) = timer {
                steps.done(*timer)?.expect("a timer does not fail");
                steps.abandon(*event);
                return Some(Ok(Told::Event(None)));
            }
            None
        }
        Task::Asking(sequence, inside) => match steps.done(*sequence)? {
            Ok(_) => {
                let (sequence, inside) = (*sequence, std::mem::take(inside));
                *task = Task::Holding(sequence, Box::new(each(inside)));
                poll(task, steps)
            }
            Err(failure) => Some(Ok(Told::Failed(failure))),
        },
        Task::Holding(sequence, inside) => {
            let ended = poll(inside, steps)?;
            steps.abandon(*sequence);
            Some(ended)
        }
    }
}

/// Starts a part, which makes its calls.
#[expect(
    clippy::result_large_err,
    reason = "the `Err` of a join is an unfinished part, and a run has few of them"
)]
fn begin(act: Act, steps: &mut Steps) -> Task {
    match act {
        Act::Each(acts) => each(acts),
        Act::Join(acts) => Task::Join(acts.into_iter().map(|act| Err(Task::New(act))).collect()),
        Act::Race(acts) => Task::Race(acts.into_iter().map(Task::New).collect()),
        Act::Job {
            job,
            narrow,
            retry,
            fatal,
        } => {
            let sequence = steps.claim();
            let command = Command::CallActivity {
                sequence,
                name: if narrow { "narrow" } else { "wide" }.to_owned(),
                input: json(&job.filled()),
                attempt: 1,
                timeout_ms: None,
            };
            match steps.activity(sequence, command, retry) {
                Ok(()) => Task::Step(sequence, Reading::Number, fatal),
                Err(kind) => refused(kind, fatal),
            }
        }
        Act::Timer(millis) => Task::Step(steps.timer(millis), Reading::Nothing, false),
        Act::Event { name, timeout } => {
            let event = steps.event(&name);
            Task::Event(event, timeout.map(|millis| steps.timer(millis)))
        }
        Act::Call(errand) => call(&errand, steps),
        Act::Signal { errand, after } => {
            signal(&errand, after, steps);
            Task::Done(Told::Nothing)
        }
        Act::Lock { entities, inside } => {
            let ids = entities.iter().map(|(kind, key)| kind.id(key));
            match steps.lock(ids.collect()) {
                Ok(sequence) => Task::Asking(sequence, inside),
                Err(kind) => Task::Refused(kind),
            }
        }
        Act::Child {
            program,
            id,
            version,
            retry,
            fatal,
        } => {
            let sequence = steps.claim();
            let id = id.unwrap_or_else(|| steps.derived_id(sequence));
            begin_child(
                sequence,
                start(sequence, id, version, &program, true),
                retry,
                fatal,
                steps,
            )
        }
        Act::Start { program, id, version } => {
            let sequence = steps.claim();
            let id = id.unwrap_or_else(|| steps.derived_id(sequence));
            steps.send(sequence, start(sequence, id, version, &program, false));
            Task::Done(Told::Nothing)
        }
        Act::Send { to, name, note, bytes } => {
            let sequence = steps.claim();
            let command = Command::SendEvent {
                sequence,
                instance: InstanceId::trusted(to),
                name,
                payload: json(&Note::new(note, bytes)),
            };
            steps.send(sequence, command);
            Task::Done(Told::Nothing)
        }
        Act::Status(status) => {
            steps.status = Some(json(&status));
            Task::Done(Told::Nothing)
        }
    }
}

fn begin_child(sequence: Sequence, command: Command, retry: Option<Retry>, fatal: bool, steps: &mut Steps) -> Task {
    match steps.child(sequence, command, retry) {
        Ok(()) => Task::Step(sequence, Reading::Told, fatal),
        Err(kind) => refused(kind, fatal),
    }
}

/// Returns the task of a step that was refused when it was requested.
fn refused(kind: ErrorKind, fatal: bool) -> Task {
    match fatal {
        true => Task::Failing(Trouble(runtime(kind))),
        false => Task::Refused(kind),
    }
}

fn start(sequence: Sequence, instance: String, version: Option<String>, program: &Program, wait: bool) -> Command {
    Command::StartOrchestration {
        sequence,
        instance: InstanceId::trusted(instance),
        name: "play".to_owned(),
        version,
        input: json(&program.filled()),
        tags: Vec::new(),
        wait,
        attempt: 1,
    }
}

/// The arguments of the operations that do work.
#[derive(serde::Serialize)]
struct Arguments<'a> {
    work: &'a Work,
}

fn call(errand: &Errand, steps: &mut Steps) -> Task {
    let work = errand.with(number_of(steps.draw())).filled();
    let sequence = steps.claim();
    let target = errand.kind.id(&errand.key);
    let asked = steps.call(sequence, &target, |lock| Command::CallEntity {
        sequence,
        target: target.clone(),
        operation: work.operation().to_owned(),
        arguments: json(&Arguments { work: &work }),
        lock,
    });
    match asked {
        Ok(()) => Task::Step(sequence, Reading::Receipt, false),
        Err(kind) => Task::Refused(kind),
    }
}

fn signal(errand: &Errand, after: Option<u64>, steps: &mut Steps) {
    let work = errand.with(number_of(steps.draw())).filled();
    let sequence = steps.claim();
    let target = errand.kind.id(&errand.key);
    let at = after.map(|millis| (steps.derived_id(sequence), Timestamp(steps.now.0 + millis)));
    let command = Command::SignalEntity {
        sequence,
        target: target.clone(),
        operation: work.operation().to_owned(),
        arguments: json(&Arguments { work: &work }),
        at,
    };
    steps.signal(sequence, &target, command);
}

/// Drops a part that has not ended.
fn forget(task: Task, steps: &mut Steps) {
    match task {
        Task::New(_) | Task::Done(_) | Task::Refused(_) | Task::Failing(_) => {}
        Task::Each { now, .. } => {
            if let Some(now) = now {
                forget(*now, steps);
            }
        }
        Task::Join(parts) => parts.into_iter().for_each(|part| forget_part(part, steps)),
        Task::Race(parts) => parts.into_iter().for_each(|part| forget(part, steps)),
        Task::Step(sequence, ..) | Task::Asking(sequence, _) => steps.abandon(sequence),
        Task::Event(event, timer) => {
            steps.abandon(event);
            if let Some(timer) = timer {
                steps.abandon(timer);
            }
        }
        Task::Holding(sequence, inside) => {
            forget(*inside, steps);
            steps.abandon(sequence);
        }
    }
}

fn forget_part(part: Result<Told, Task>, steps: &mut Steps) {
    if let Err(task) = part {
        forget(task, steps);
    }
}

impl Reading {
    fn read(self, done: Done) -> Result<Told, String> {
        let answer = done?;
        let read = match self {
            Self::Nothing => Ok(Told::Nothing),
            Self::Number => serde_json::from_slice(&answer).map(Told::Number),
            Self::Told => serde_json::from_slice(&answer),
            Self::Receipt => serde_json::from_slice(&answer)
                .map(|receipt: crate::simulation::workload::Receipt| Told::Number(receipt.id)),
        };
        Ok(read.expect("an answer has the type of its step"))
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("a payload of the simulation serializes")
}
