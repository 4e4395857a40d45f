//! The rows of orchestrations in a store.

use std::collections::{BTreeMap, BTreeSet};

use super::lockstep::same;
use super::program::Job;
use super::reference::{End, Reference};
use crate::error::ErrorKind;
use crate::id::{ExecutionId, InstanceId, MessageId, PartitionId, Sequence};
use crate::model::history::{Command, Incoming, TurnRecord};
use crate::model::orchestration::{
    ActivityRecord, EarlyCountRecord, EarlyEventRecord, EarlyPlaceRecord, EndRecord, LockRecord, OrchestrationRecord,
    OrchestrationStatus, Order, StopKind,
};
use crate::model::{self, Action, MessageRecord, Outcome, PartitionRecord};
use crate::schema;
use crate::simulation::orchestration::program::MOST_ATTEMPTS;
use crate::simulation::world::World;
use crate::store::Reader;
use crate::views::orchestrations::{catch_up, record};

/// The rows of orchestrations in a store.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) orchestrations: BTreeMap<String, OrchestrationRecord>,
    pub(super) ends: BTreeMap<String, EndRecord>,
    pub(super) custom_statuses: BTreeSet<String>,
    pub(super) starts: BTreeSet<String>,
    /// The index: status, time of creation and id.
    pub(super) index: BTreeSet<(OrchestrationStatus, u64, String)>,
    pub(super) locks: BTreeMap<String, LockRecord>,
    pub(super) activities: BTreeMap<(String, ExecutionId, Sequence), ActivityRecord>,
    /// The timers of orchestrations, by id and name.
    pub(super) timers: BTreeSet<(String, String)>,
    /// The orchestrations for which early events are kept, once for each event.
    pub(super) early: Vec<String>,
    pub(super) early_held: EarlyCountRecord,
    /// The count of early events in the partitions.
    pub(super) early_counted: EarlyCountRecord,
    /// The count of early events by their places.
    pub(super) early_places: EarlyCountRecord,
    /// The orchestrations that have begun but not yet received all their early events.
    pub(super) early_left: BTreeSet<String>,
    /// Parents and their children, with the order that started each child.
    pub(super) children: BTreeSet<(String, String, MessageId)>,
    /// Number of turns of each execution.
    pub(super) turns: BTreeMap<(String, ExecutionId), u32>,
    /// Messages for orchestrations, and about locks.
    pub(super) orders: Vec<(String, Action)>,
    /// Steps of orchestrations that wait in the queue of an entity.
    pub(super) calls: BTreeSet<(String, ExecutionId, Sequence)>,
}

impl World {
    pub(super) fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::default();
        let rows = self.whole();
        for partition in (0..self.profile.partitions).map(PartitionId) {
            inventory.read(partition, rows.as_ref());
        }
        inventory
    }

    pub(super) fn instance_record(&self, id: &str) -> Option<OrchestrationRecord> {
        let id = InstanceId::trusted(id);
        let partition = id.partition(self.profile.partitions);
        record(self.model_of(partition).as_ref(), partition, &id).expect("valid instance")
    }

    /// Returns the turns of the current execution of an orchestration.
    pub(super) fn history(&self, id: &str, record: &OrchestrationRecord) -> Vec<TurnRecord> {
        let instance = InstanceId::trusted(id);
        let partition = instance.partition(self.profile.partitions);
        let range = schema::orchestration::turns(partition, &instance, record.execution, 0..record.turns);
        let rows = self
            .model_of(partition)
            .scan(range, usize::MAX)
            .expect("the model's reads do not fail");
        assert_eq!(rows.len(), record.turns as usize, "the turns of {id}");
        rows.iter()
            .map(|(_, row)| model::decode(row, "turn").expect("valid turn"))
            .collect()
    }

    /// Replays the history of an orchestration with the reference, which must issue the recorded commands and end the
    /// same.
    pub(super) fn follow(&self, id: &str, record: &OrchestrationRecord, inventory: &Inventory) -> Reference {
        let mut reference = Reference::new(id);
        let turns = self.history(id, record);
        for turn in &turns {
            let asked = reference.replay(turn);
            same(id, &turn.commands, &asked);
        }
        self.check_steps(id, record, &turns);
        let end = inventory.ends.get(id);
        let fits = match record.status {
            OrchestrationStatus::Completed => {
                reference.end == Some(End::Completed) && matches!(end, Some(EndRecord::Completed(_)))
            }
            OrchestrationStatus::Failed => {
                reference.end == Some(End::Failed) && matches!(end, Some(EndRecord::Failed(_)))
            }
            OrchestrationStatus::Terminated | OrchestrationStatus::Canceled => {
                reference.end.is_none() && matches!(end, Some(EndRecord::Ended(_)))
            }
            OrchestrationStatus::Running | OrchestrationStatus::Suspended => reference.end.is_none() && end.is_none(),
            OrchestrationStatus::Pending | OrchestrationStatus::ContinuedAsNew => turns.is_empty() && end.is_none(),
        };
        assert!(
            fits,
            "{id} is {record:?} and ended with {end:?}, but the reference ended with {:?}",
            reference.end
        );
        let last = turns.last().and_then(|turn| turn.commands.last());
        match (end, last) {
            (Some(EndRecord::Completed(output)), Some(Command::Complete { output: recorded })) => {
                assert_eq!(output, recorded, "the output of {id}");
            }
            (Some(EndRecord::Failed(failure)), Some(Command::Fail { failure: recorded })) => {
                assert_eq!(failure, recorded, "the failure of {id}");
            }
            (Some(EndRecord::Ended(_)) | None, _) => {}
            other => panic!("the end of {id} differs from its history: {other:?}"),
        }
        if let Some(stopped) = &record.stopped {
            let foreseen = match stopped.kind {
                StopKind::Unregistered => self.profile.bad_builds || self.profile.versions,
                StopKind::Panicked => true,
                _ => false,
            };
            assert!(foreseen, "{id} is stopped: {stopped:?}");
        }
        reference
    }
}

impl World {
    /// Checks the recorded ends of steps: the ends of activities follow from their inputs, and no timer is early.
    fn check_steps(&self, id: &str, record: &OrchestrationRecord, turns: &[TurnRecord]) {
        // A rewind keeps the first request of a step with the answer of a later attempt.
        let is_rewound = !record.rewound.is_empty();
        let mut asked: BTreeMap<Sequence, Command> = BTreeMap::new();
        for turn in turns {
            for incoming in &turn.incoming {
                let Incoming::Completed { sequence, outcome } = incoming else {
                    continue;
                };
                match asked.remove(sequence) {
                    Some(Command::CallActivity { input, attempt, .. }) => {
                        let job: Job = serde_json::from_slice(&input).expect("valid job");
                        let fits = |attempt| match (outcome, job.result(attempt)) {
                            (Outcome::Answer(answer), Ok(result)) => {
                                *answer == job.answer(result) && self.all_processes_allow(answer.len()) != Some(false)
                            }
                            (Outcome::Returned(failure), Err(trouble)) => failure.message == trouble.0,
                            (Outcome::Runtime(error), Ok(result)) if error.kind() == ErrorKind::TooLarge => {
                                self.all_processes_allow(job.answer(result).len()) != Some(true)
                            }
                            (Outcome::Runtime(error), _) => error.kind() != ErrorKind::TooLarge,
                            _ => false,
                        };
                        let fits = fits(attempt) || is_rewound && (attempt..=MOST_ATTEMPTS).any(fits);
                        assert!(fits, "{id}: attempt {attempt} of {job:?} ended with {outcome:?}");
                    }
                    Some(Command::CreateTimer { due, .. }) => {
                        let is_early = turn.time < due && !self.clock_was_set_back;
                        assert!(
                            !is_early,
                            "{id}: the timer {sequence} was due at {due:?} and fired at {:?}",
                            turn.time
                        );
                    }
                    Some(_) => {}
                    None => panic!("{id}: the step {sequence} ended twice, or never began: {outcome:?}"),
                }
            }
            for command in &turn.commands {
                let sequence = match command {
                    Command::CallActivity { sequence, .. }
                    | Command::CreateTimer { sequence, .. }
                    | Command::StartOrchestration {
                        sequence, wait: true, ..
                    }
                    | Command::CallEntity { sequence, .. }
                    | Command::Lock { sequence, .. } => *sequence,
                    // The end of a canceled step is not delivered.
                    Command::Cancel { sequence, .. } => {
                        asked.remove(sequence);
                        continue;
                    }
                    _ => continue,
                };
                asked.insert(sequence, command.clone());
            }
        }
    }
}

impl Inventory {
    fn read(&mut self, partition: PartitionId, reader: &dyn Reader) {
        let scan = |range| reader.scan(range, usize::MAX).expect("the model's reads do not fail");
        let id_of = |key: &[u8]| schema::id_text(key).expect("a key holds an id").to_owned();
        for (key, row) in scan(schema::orchestration::with_prefix(partition, "")) {
            let id = id_of(&key);
            let mut record = model::decode(&row, "instance").expect("valid instance");
            catch_up(reader, partition, &InstanceId::trusted(id.as_str()), &mut record).expect("valid turns");
            self.orchestrations.insert(id, record);
        }
        let any = InstanceId::trusted("");
        for (key, row) in scan(table_of(&schema::orchestration::end_key(partition, &any))) {
            let end = model::decode(&row, "end").expect("valid end");
            self.ends.insert(id_of(&key), end);
        }
        let statuses = scan(table_of(&schema::orchestration::custom_status_key(partition, &any)));
        self.custom_statuses.extend(statuses.iter().map(|(key, _)| id_of(key)));
        let starts = scan(table_of(&schema::orchestration::start_key(partition, &any)));
        self.starts.extend(starts.iter().map(|(key, _)| id_of(key)));
        for status in OrchestrationStatus::ALL {
            for (key, _) in scan(schema::orchestration::with_status(partition, status)) {
                let (created, id) = schema::orchestration::status_parts(&key).expect("valid key of a status");
                self.index.insert((status, created.0, id.to_owned()));
            }
        }
        for (key, row) in scan(schema::lock::all(partition)) {
            let lock = model::decode(&row, "lock").expect("valid lock");
            self.locks.insert(id_of(&key), lock);
        }
        for (key, row) in scan(schema::activity::all(partition)) {
            let (id, execution, sequence) = schema::activity::parts(&key).expect("valid key of an activity");
            let record = model::decode(&row, "activity").expect("valid activity");
            self.activities.insert((id.to_owned(), execution, sequence), record);
        }
        for (key, _) in scan(schema::timer::all(partition)) {
            let (_, id, name) = schema::timer::parts(&key).expect("valid key of a timer");
            if !id.starts_with('@') {
                self.timers.insert((id.to_owned(), name.to_owned()));
            }
        }
        let early = scan(schema::early::events(partition));
        for (key, row) in early {
            let event: EarlyEventRecord = model::decode(&row, "event").expect("valid event");
            self.early.push(id_of(&key));
            self.early_held.events += 1;
            self.early_held.bytes += event.bytes();
        }
        let any_count = schema::early::count_key(partition, &any);
        for (key, row) in scan(table_of(&any_count)) {
            let count: EarlyCountRecord = model::decode(&row, "count").expect("valid count");
            let places = scan(schema::early::places_of(partition, &InstanceId::trusted(id_of(&key))));
            let places = places
                .iter()
                .map(|(_, row)| model::decode::<EarlyPlaceRecord>(row, "place").expect("valid place"));
            let bytes = places.clone().map(|place| place.bytes).sum();
            let counted = EarlyCountRecord {
                events: places.len() as u64,
                bytes,
            };
            assert_eq!(
                count,
                counted,
                "the events that wait for {} differ from their count",
                id_of(&key)
            );
            self.early_places.events += count.events;
            self.early_places.bytes += count.bytes;
        }
        let left = scan(schema::early::all_left(partition));
        self.early_left.extend(left.iter().map(|(key, _)| id_of(key)));
        for (key, _) in scan(schema::child::all(partition)) {
            let (parent, child, order) = schema::child::parts(&key).expect("valid key of a child");
            self.children.insert((parent.to_owned(), child.to_owned(), order));
        }
        if let Some(row) = reader
            .get(&schema::partition::key(partition))
            .expect("the model's reads do not fail")
        {
            let counters: PartitionRecord = model::decode(&row, "partition").expect("valid partition");
            self.early_counted.events += counters.early_events;
            self.early_counted.bytes += counters.early_bytes;
        }
        for (key, row) in scan(table_of(&schema::orchestration::turn_key(
            partition,
            &any,
            ExecutionId::default(),
            0,
        ))) {
            let execution = ExecutionId(key[key.len() - 20..key.len() - 4].try_into().expect("16 bytes"));
            model::decode::<TurnRecord>(&row, "turn").expect("valid turn");
            *self.turns.entry((id_of(&key), execution)).or_default() += 1;
        }
        for (key, row) in scan(schema::message::all_with_priority(partition)) {
            let message: MessageRecord = model::decode(&row, "message").expect("valid message");
            if let (Some(source), Some(step)) = (message.source, message.step) {
                self.calls.insert((source.to_string(), step.execution, step.sequence));
            }
            if matches!(message.action, Action::Order(_) | Action::Lock(_)) {
                self.orders.push((id_of(&key), message.action));
            }
        }
    }

    /// Returns whether an orchestration is about to receive the end of this step.
    pub(super) fn will_complete(&self, id: &str, execution: ExecutionId, sequence: Sequence) -> bool {
        self.orders.iter().any(|(target, action)| {
            let Action::Order(order) = action else { return false };
            let completes = matches!(&**order, Order::Completed { execution: of, sequence: step, .. }
                if *of == execution && *step == sequence);
            completes && target == id
        })
    }
}

/// Returns the range of the table to which `key` belongs.
fn table_of(key: &[u8]) -> std::ops::Range<Vec<u8>> {
    let start = key[..3].to_vec();
    let mut end = start.clone();
    end[2] += 1;
    start..end
}
