//! Observations of orchestrations, made from commits. A crash removes the observations of the commits that it loses.

use std::collections::BTreeMap;

use super::check::has_asked;
use super::code::started;
use super::padding::Note;
use super::program::is_of_orchestration;
use super::reference::Reference;
use crate::engine::CoreStep;
use crate::engine::message::{Effect, Output};
use crate::error::ErrorKind;
use crate::failure::CallFailure;
use crate::id::{ActivityKey, ExecutionId, InstanceId, PartitionId, Sequence, ShardId};
use crate::model::history::{Command, Incoming, TurnRecord};
use crate::model::orchestration::{
    EarlyEventRecord, EndRecord, LockRecord, OrchestrationRecord, OrchestrationStatus, Order, StartRecord,
};
use crate::model::{self, Action, MessageRecord, Outcome, StateRecord};
use crate::runtime::Response;
use crate::schema;
use crate::simulation::coverage::CoverageMark;
use crate::simulation::plan::{End, Work};
use crate::simulation::world::World;
use crate::store::{Change, Reader};

/// The shard and the number of a commit.
type CommitOf = (ShardId, u64);

/// Observations of orchestrations, made from commits.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Observations {
    /// The requests for each piece of work, by its number. More than one only if a history was copied.
    pub(super) errands: BTreeMap<u64, Vec<Ask>>,
    /// The ended calls of entities: the commit, and whether they were answered.
    pub(super) answers: BTreeMap<(String, ExecutionId, Sequence), (CommitOf, bool)>,
    ends: Vec<(CommitOf, String, EndRecord)>,
    /// Orchestrations whose rows were removed.
    pub(super) removed: Vec<(CommitOf, String)>,
    /// The commits in which the notes of events were first seen.
    pub(super) notes: BTreeMap<u64, CommitOf>,
    serial: u64,
}

/// A request of an orchestration to an entity for work.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    commit: CommitOf,
    /// Position among all requests of the run.
    pub(super) serial: u64,
    pub(super) instance: String,
    pub(super) execution: ExecutionId,
    pub(super) sequence: Sequence,
    pub(super) target: String,
    pub(super) end: End,
    /// Set if it was requested inside of a critical section.
    pub(super) locked: bool,
    /// Set if an `async` operation does the work.
    slow: bool,
    /// The earliest time of the work, if it was scheduled.
    pub(super) at: Option<u64>,
}

/// Observations of one commit.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Shown {
    pub(super) turns: Vec<(String, ExecutionId, TurnRecord)>,
    /// Executions that follow others and have not begun.
    starts: Vec<(String, StartRecord)>,
    ends: Vec<(String, EndRecord)>,
    removed: Vec<String>,
    notes: Vec<u64>,
    jobs: Vec<(ActivityKey, u32, Vec<u8>)>,
    /// Entries written by a locked entity, with the instance that holds the lock.
    of_locked: Vec<(String, String, u64)>,
    /// Entries written by an entity that was not locked.
    of_free: Vec<(String, u64)>,
}

#[derive(serde::Deserialize)]
struct WorkArguments {
    work: Work,
}

impl Observations {
    /// Removes the observations of all commits of a shard after `last`, which a crash has lost.
    pub(in crate::simulation) fn forget_after(&mut self, shard: ShardId, last: u64) {
        let remains = |commit: &CommitOf| commit.0 != shard || commit.1 <= last;
        self.errands.retain(|_, asks| {
            asks.retain(|ask| remains(&ask.commit));
            !asks.is_empty()
        });
        self.answers.retain(|_, (commit, _)| remains(commit));
        self.ends.retain(|(commit, ..)| remains(commit));
        self.removed.retain(|(commit, _)| remains(commit));
        self.notes.retain(|_, commit| remains(commit));
    }

    fn note_turn(&mut self, instance: &str, execution: ExecutionId, turn: &TurnRecord, commit: CommitOf) {
        for incoming in &turn.incoming {
            match incoming {
                Incoming::Completed { sequence, outcome } => {
                    let answered = matches!(outcome, Outcome::Answer(_));
                    self.answers
                        .insert((instance.to_owned(), execution, *sequence), (commit, answered));
                }
                Incoming::Raised { payload, .. } => self.note_event(payload, commit),
                _ => {}
            }
        }
        for command in &turn.commands {
            let (target, sequence, arguments, locked, at) = match command {
                Command::CallEntity {
                    target,
                    sequence,
                    arguments,
                    lock,
                    ..
                } => (target, sequence, arguments, lock.is_some(), None),
                Command::SignalEntity {
                    target,
                    sequence,
                    arguments,
                    at,
                    ..
                } => (target, sequence, arguments, false, at.as_ref().map(|(_, due)| due.0)),
                _ => continue,
            };
            let WorkArguments { work } = serde_json::from_slice(arguments).expect("the arguments contain work");
            self.serial += 1;
            self.errands.entry(work.id).or_default().push(Ask {
                commit,
                serial: self.serial,
                instance: instance.to_owned(),
                execution,
                sequence: *sequence,
                target: target.to_string(),
                end: work.end,
                locked,
                slow: work.pauses.is_some(),
                at,
            });
        }
    }

    fn note_event(&mut self, payload: &[u8], commit: CommitOf) {
        self.notes.entry(Note::read(payload)).or_insert(commit);
    }

    /// Returns whether an orchestration requested this work and some processes refuse it.
    pub(in crate::simulation) fn is_disputed(&self, work: u64) -> bool {
        let asks = self.errands.get(&work);
        asks.is_some_and(|asks| asks.iter().all(|ask| ask.end == End::Disputed))
    }

    /// Checks that a client receives only ends that were committed.
    pub(super) fn check_told(&self, instance: &str, settled: &Response) {
        let mut ends = self
            .ends
            .iter()
            .filter(|(_, of, _)| of == instance)
            .map(|(_, _, end)| end);
        let is_true = match settled {
            Response::Answer(answer) => ends.any(|end| matches!(end, EndRecord::Completed(output) if output == answer)),
            Response::Failed(failure) => match &**failure {
                CallFailure::Returned(failure) => {
                    ends.any(|end| matches!(end, EndRecord::Failed(ended) if ended == failure))
                }
                CallFailure::Runtime(error) if error.kind() == ErrorKind::Terminated => {
                    ends.any(|end| matches!(end, EndRecord::Ended(_)))
                }
                CallFailure::Runtime(error) => error.kind() == ErrorKind::NotFound,
            },
            Response::Accepted | Response::Full { .. } => false,
        };
        assert!(
            is_true,
            "a client that waits for {instance} receives a false end: {settled:?}"
        );
    }
}

impl World {
    /// Observes what a step is about to commit, and checks it against the rows before it.
    pub(in crate::simulation) fn look_at(&mut self, step: &CoreStep) -> Shown {
        let mut shown = Shown::default();
        if self.profile.orchestrations.is_none() {
            return shown;
        }
        let tables = Tables::new();
        let mut suspended = Vec::new();
        for change in step.batch.changes() {
            match change {
                Change::Put { key, value } | Change::Insert { key, value } if key.len() > 3 => {
                    let id = || schema::id_text(key).expect("a key holds an id").to_owned();
                    if key[2] == tables.history {
                        let execution = ExecutionId(key[key.len() - 20..key.len() - 4].try_into().expect("16 bytes"));
                        let turn: TurnRecord = model::decode(value, "turn").expect("valid turn");
                        shown.turns.push((id(), execution, turn));
                    } else if key[2] == tables.end {
                        shown.ends.push((id(), model::decode(value, "end").expect("valid end")));
                    } else if key[2] == tables.early {
                        let event: EarlyEventRecord = model::decode(value, "event").expect("valid event");
                        shown.notes.push(Note::read(&event.payload));
                    } else if key[2] == tables.message {
                        let message: MessageRecord = model::decode(value, "message").expect("valid message");
                        if let Action::Order(order) = message.action
                            && let Order::Raise { payload, .. } = *order
                        {
                            shown.notes.push(Note::read(&payload));
                        }
                    } else if key[2] == tables.start {
                        shown
                            .starts
                            .push((id(), model::decode(value, "start").expect("valid start")));
                    } else if key[2] == tables.instance {
                        let record: OrchestrationRecord = model::decode(value, "instance").expect("valid instance");
                        self.check_code(&id(), &record);
                        self.note_status(&id(), &record, &mut suspended);
                    } else if key[2] == tables.state {
                        self.look_at_state(&id(), value, step, &mut shown);
                    }
                }
                Change::Delete { key } if key.len() > 3 && key[2] == tables.instance => {
                    shown
                        .removed
                        .push(schema::id_text(key).expect("a key holds an id").to_owned());
                }
                _ => {}
            }
        }
        for (id, _, turn) in &shown.turns {
            let asks = turn
                .commands
                .iter()
                .any(|command| !matches!(command, Command::Cancel { .. }));
            let is_resumed = |(of, _, turn): &(String, ExecutionId, TurnRecord)| {
                of == id
                    && turn
                        .incoming
                        .iter()
                        .any(|incoming| matches!(incoming, Incoming::Resumed { .. }))
            };
            assert!(
                !(asks && suspended.contains(id)) || shown.turns.iter().any(is_resumed),
                "{id} is suspended but issues commands: {turn:?}"
            );
        }
        self.check_what_is_carried(&shown);
        self.check_versions_of_children(&shown);
        for output in &step.outputs {
            if let Output::Effect(Effect::StartActivity(start)) = output {
                shown
                    .jobs
                    .push((start.activity.clone(), start.attempt, start.input.clone()));
            }
        }
        shown
    }

    /// Checks that an orchestration that continues as new has the requested input and version, and carries its unread
    /// events over in order.
    fn check_what_is_carried(&mut self, shown: &Shown) {
        let mut versions_changed = false;
        for (at, (id, execution, turn)) in shown.turns.iter().enumerate() {
            let Some(Command::ContinueAsNew { input, version, .. }) = turn.commands.last() else {
                continue;
            };
            let instance = InstanceId::trusted(id.as_str());
            let partition = instance.partition(self.profile.partitions);
            let range = schema::orchestration::turns(partition, &instance, *execution, 0..u32::MAX);
            let before = self
                .model
                .scan(range, usize::MAX)
                .expect("the model's reads do not fail");
            let mut reference = Reference::new(id);
            for (_, row) in before {
                reference.replay(&model::decode(&row, "turn").expect("valid turn"));
            }
            let here = shown.turns[..=at]
                .iter()
                .filter(|turn| turn.0 == *id && turn.1 == *execution);
            for (_, _, turn) in here {
                reference.replay(turn);
            }
            let unread = reference.take_unread();
            let begins = |(of, _, turn): &&(String, ExecutionId, TurnRecord)| {
                of == id && matches!(turn.incoming.first(), Some(Incoming::Started(_)))
            };
            let next = shown.turns[at + 1..].iter().find(begins);
            let start = shown.starts.iter().rfind(|(of, _)| of == id);
            let (begun, carried) = match (next, start) {
                (Some((_, _, turn)), _) => {
                    let begun = turn.incoming.iter().find_map(started).expect("the execution begins");
                    let carried = turn.incoming.iter().filter_map(raised).collect();
                    (Some((&begun.input, begun.version.clone())), carried)
                }
                (None, Some((_, start))) => {
                    let begun = (&start.input, start.version.clone().unwrap_or_default());
                    let carried = start.events.iter();
                    let carried = carried.map(|(name, payload)| (name.clone(), payload.to_vec()));
                    (Some(begun), carried.collect())
                }
                (None, None) => (None, Vec::new()),
            };
            let version = version.as_ref().unwrap_or(&reference.version);
            if let Some(begun) = begun {
                assert_eq!(
                    begun,
                    (input, version.clone()),
                    "the input and version with which {id} continues"
                );
            }
            let is_other = *version != reference.version;
            versions_changed |= is_other;
            assert!(
                carried.starts_with(&unread),
                "{id} continues as new with {carried:?}, but its unread events are {unread:?}"
            );
        }
        self.see(CoverageMark::OrchestrationVersionChanged, versions_changed);
    }

    /// Records the status of an orchestration, and whether it remains suspended.
    fn note_status(&mut self, id: &str, record: &OrchestrationRecord, suspended: &mut Vec<String>) {
        self.see(
            match record.status {
                OrchestrationStatus::Completed => CoverageMark::OrchestrationCompleted,
                OrchestrationStatus::Failed => CoverageMark::OrchestrationFailed,
                OrchestrationStatus::Terminated => CoverageMark::OrchestrationTerminated,
                OrchestrationStatus::Canceled => CoverageMark::OrchestrationCanceled,
                OrchestrationStatus::Suspended => CoverageMark::OrchestrationSuspended,
                _ if record.stopped.is_some() => CoverageMark::OrchestrationStopped,
                _ => return,
            },
            true,
        );
        let before = self.instance_record(id);
        let was = before.is_some_and(|before| {
            before.status == OrchestrationStatus::Suspended && before.execution == record.execution
        });
        if was && record.status == OrchestrationStatus::Suspended {
            suspended.push(id.to_owned());
        }
    }

    /// Observes the new entries of an entity, unless this step changes its lock.
    fn look_at_state(&self, id: &str, value: &[u8], step: &CoreStep, shown: &mut Shown) {
        let id = InstanceId::trusted(id);
        let partition = id.partition(self.profile.partitions);
        let lock = schema::lock::key(partition, &id);
        let changes_lock = step.batch.changes().any(|change| match change {
            Change::Put { key, .. } | Change::Insert { key, .. } | Change::Delete { key } => key == lock,
        });
        if changes_lock {
            return;
        }
        let read = |key: &[u8]| self.model.get(key).expect("the model's reads do not fail");
        let before = read(&schema::state::key(partition, &id));
        let before = before.map(|row| log_of(&row)).unwrap_or_default();
        let new = log_of(value).into_iter().filter(|work| !before.contains(work));
        let entity = id.as_str();
        match read(&lock) {
            None => shown.of_free.extend(new.map(|work| (entity.to_owned(), work))),
            Some(row) => {
                let lock: LockRecord = model::decode(&row, "lock").expect("valid lock");
                let owner = lock.owner.instance.to_string();
                let new = new.map(|work| (entity.to_owned(), owner.clone(), work));
                shown.of_locked.extend(new);
            }
        }
    }

    /// Records the observations of a commit after it was written.
    pub(in crate::simulation) fn note_commit(&mut self, shown: Shown, commit: CommitOf) {
        for (instance, execution, turn) in &shown.turns {
            let continues = matches!(turn.commands.last(), Some(Command::ContinueAsNew { .. }));
            self.see(CoverageMark::OrchestrationContinued, continues);
            let refuses = |command: &Command| matches!(command, Command::Refuse { .. });
            self.see(CoverageMark::OrchestrationRefused, turn.commands.iter().any(refuses));
            let has_lost = |incoming: &Incoming| {
                matches!(incoming, Incoming::Completed { outcome: Outcome::Runtime(error), .. }
                    if error.kind() == ErrorKind::TooLarge)
            };
            self.see(CoverageMark::ActivityAnswerRefused, turn.incoming.iter().any(has_lost));
            self.observations.note_turn(instance, *execution, turn, commit);
        }
        let ends = shown.ends.into_iter().map(|(instance, end)| (commit, instance, end));
        self.observations.ends.extend(ends);
        self.see(CoverageMark::OrchestrationPurged, !shown.removed.is_empty());
        let removed = shown.removed.into_iter().map(|instance| (commit, instance));
        self.observations.removed.extend(removed);
        for note in shown.notes {
            self.observations.notes.entry(note).or_insert(commit);
        }
        for (entity, owner, work) in shown.of_locked {
            let asks = self
                .observations
                .errands
                .get(&work)
                .filter(|_| is_of_orchestration(work));
            let is_owners = asks.is_some_and(|asks| asks.iter().any(|ask| ask.instance == owner));
            assert!(
                is_owners,
                "{entity} is locked by {owner} but did the work {work} of another"
            );
        }
        for (entity, work) in shown.of_free {
            let asks = self.observations.errands.get(&work);
            // An `async` operation that began under a lock continues if the lock is released by force in the meantime.
            let is_locked = asks.is_some_and(|asks| asks.iter().all(|ask| ask.locked && !ask.slow));
            assert!(
                !is_locked,
                "{entity} is not locked but did the work {work} of a critical section"
            );
        }
        for (activity, attempt, input) in shown.jobs {
            has_asked(self, &activity, attempt, &input);
        }
    }
}

fn raised(incoming: &Incoming) -> Option<(String, Vec<u8>)> {
    match incoming {
        Incoming::Raised { name, payload } => Some((name.clone(), payload.clone())),
        _ => None,
    }
}

/// Returns the numbers of the work in the log of an entity's state.
fn log_of(row: &[u8]) -> Vec<u64> {
    let record: StateRecord<'_> = model::decode(row, "state").expect("valid state");
    let state: serde_json::Value = serde_json::from_slice(record.state).expect("a state is JSON");
    let log = state.get("log").and_then(serde_json::Value::as_array);
    log.into_iter()
        .flatten()
        .filter_map(|entry| entry.get("id").and_then(serde_json::Value::as_u64))
        .collect()
}

/// The bytes of keys that identify tables.
struct Tables {
    history: u8,
    end: u8,
    early: u8,
    message: u8,
    instance: u8,
    start: u8,
    state: u8,
}

impl Tables {
    fn new() -> Self {
        let (partition, id) = (PartitionId(0), InstanceId::trusted("x"));
        Self {
            history: schema::orchestration::turn_key(partition, &id, ExecutionId::default(), 0)[2],
            end: schema::orchestration::end_key(partition, &id)[2],
            early: schema::early::events(partition).start[2],
            message: schema::message::all(partition).start[2],
            instance: schema::orchestration::key(partition, &id)[2],
            start: schema::orchestration::start_key(partition, &id)[2],
            state: schema::state::key(partition, &id)[2],
        }
    }
}
