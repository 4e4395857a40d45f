//! The content of a store in terms of the workload.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::orchestration::is_of_orchestration;
use super::plan::Work;
use super::workload::{Archive, Entry, UNKNOWN};
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::model::{
    self, Action, CommitRecord, DeadLetterRecord, MessageRecord, PartitionRecord, StateRecord, TimerRecord,
};
use crate::schema;
use crate::store::{Reader, Row};
use crate::time::Timestamp;

/// The content of a store.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The number of the last commit.
    pub(super) commit: u64,
    /// The logs of each entity, in order: the archived ones, then the current one, which may be empty.
    pub(super) logs: BTreeMap<String, Vec<Vec<Entry>>>,
    /// The ids of all entities with a state.
    pub(super) states: Vec<String>,
    /// The waiting messages, as target and description.
    pub(super) messages: Vec<(String, String)>,
    pub(super) timers: Vec<Timestamp>,
    /// Dead letters, with a flag that is set if the good build has the operation.
    pub(super) letters: Vec<(PartitionId, MessageId, bool)>,
    pub(super) quarantined: Vec<String>,
    /// Work that waits in a message, a timer or a dead letter, except for work of orchestrations.
    pub(super) waiting_work: Vec<u64>,
    /// The same for work of orchestrations.
    pub(super) waiting_errands: Vec<u64>,
    /// Work in dead letters.
    pub(super) dead_work: Vec<u64>,
    /// Entities with a log in a dead letter to the archive.
    pub(super) dead_logs: Vec<String>,
    /// Entries of logs that are on their way to the archive.
    pub(super) moving: Vec<Entry>,
    /// Pairs of counts that must be equal, with their description.
    pub(super) pairs: Vec<(&'static str, u64, u64)>,
    pub(super) request_rows: usize,
}

#[derive(Deserialize)]
struct WorkArguments {
    work: Work,
}

#[derive(Deserialize)]
struct KeepArguments {
    of: String,
    log: Vec<Entry>,
}

#[derive(Deserialize)]
struct Worker {
    log: Vec<Entry>,
}

impl Survey {
    pub(super) fn of(reader: &dyn Reader, partitions: u16) -> Self {
        let mut survey = Self::default();
        if let Some(row) = reader.get(&schema::COMMIT).unwrap() {
            survey.commit = model::decode::<CommitRecord>(&row, "commit").unwrap().number;
        }
        let mut current = BTreeMap::new();
        for partition in (0..partitions).map(PartitionId) {
            survey.look_at_states(partition, &mut current, reader);
            survey.look_at_messages(partition, reader);
            survey.look_at_timers(partition, reader);
            survey.look_at_dead_letters(partition, reader);
            survey.look_at_requests(partition, reader);
            let quarantined = reader.scan(schema::quarantine::all(partition), usize::MAX).unwrap();
            survey.quarantined.extend(quarantined.iter().map(id_of));
        }
        for (id, log) in current {
            survey.logs.entry(id).or_default().push(log);
        }
        survey
    }

    fn look_at_states(
        &mut self,
        partition: PartitionId,
        current: &mut BTreeMap<String, Vec<Entry>>,
        reader: &dyn Reader,
    ) {
        for row in reader
            .scan(schema::state::with_prefix(partition, "@"), usize::MAX)
            .unwrap()
        {
            let id = id_of(&row);
            let record: StateRecord<'_> = model::decode(&row.1, "state").unwrap();
            if id.starts_with("@archive@") {
                let archive: Archive = serde_json::from_slice(record.state).unwrap();
                for (of, log) in archive.chunks {
                    self.logs.entry(of).or_default().push(log);
                }
            } else {
                let worker: Worker = serde_json::from_slice(record.state).unwrap();
                current.insert(id.clone(), worker.log);
            }
            self.states.push(id);
        }
    }

    fn look_at_messages(&mut self, partition: PartitionId, reader: &dyn Reader) {
        let priority = reader.scan(schema::priority::all(partition), usize::MAX).unwrap();
        let others = reader.scan(schema::message::all(partition), usize::MAX).unwrap();
        for row in priority.into_iter().chain(others) {
            let record: MessageRecord = model::decode(&row.1, "message").unwrap();
            let what = match &record.action {
                Action::Operation { operation, arguments }
                | Action::Schedule {
                    operation, arguments, ..
                } => {
                    self.look_at_arguments(operation, arguments);
                    operation.to_string()
                }
                Action::Cancel { .. } => "cancel".to_owned(),
                Action::Lock(order) => format!("{order:?}"),
                Action::Order(order) => format!("{order:?}"),
            };
            let source = record.source.as_ref().map_or("a client", InstanceId::as_str);
            let target = id_of(&row);
            let message = format!("{what} from {source} to {target}");
            self.messages.push((target, message));
        }
    }

    fn look_at_timers(&mut self, partition: PartitionId, reader: &dyn Reader) {
        let mut timers = 0;
        for (key, value) in reader.scan(schema::timer::all(partition), usize::MAX).unwrap() {
            let (due, _, _) = schema::timer::parts(&key).unwrap();
            let record: TimerRecord = model::decode(&value, "timer").unwrap();
            if let Action::Operation { operation, arguments } = &record.action {
                self.look_at_arguments(operation, arguments);
            }
            self.timers.push(due);
            timers += 1;
        }
        let names = table_like(
            &schema::timer::name_key(partition, &InstanceId::trusted(""), ""),
            reader,
        );
        self.pairs.push(("timers and their names", timers, names.len() as u64));
    }

    fn look_at_dead_letters(&mut self, partition: PartitionId, reader: &dyn Reader) {
        let rows = reader.scan(schema::dead_letter::all(partition), usize::MAX).unwrap();
        for (key, value) in &rows {
            let record: DeadLetterRecord = model::decode(value, "dead letter").unwrap();
            let (waiting, errands) = (self.waiting_work.len(), self.waiting_errands.len());
            let moving = self.moving.len();
            let Action::Operation { operation, arguments } = &record.action else {
                // A start whose id was in use, and may remain in use.
                self.letters
                    .push((partition, schema::message::id_of(key).unwrap(), false));
                continue;
            };
            self.look_at_arguments(operation, arguments);
            self.dead_work.extend(&self.waiting_work[waiting..]);
            self.dead_work.extend(&self.waiting_errands[errands..]);
            if self.moving.len() > moving {
                let arguments: KeepArguments = serde_json::from_slice(arguments).unwrap();
                self.dead_logs.push(arguments.of);
            }
            let known = operation != UNKNOWN;
            self.letters
                .push((partition, schema::message::id_of(key).unwrap(), known));
        }
        let counted = counters(partition, reader).dead_letters;
        let ages = reader.scan(schema::dead_letter::ages(partition), usize::MAX).unwrap();
        let places = ages
            .iter()
            .map(|(key, _)| schema::dead_letter::age_parts(key).unwrap().0);
        let ids = rows.iter().map(|(key, _)| schema::message::id_of(key).unwrap());
        assert!(
            places.map(|place| place.number).eq(ids),
            "dead letters and their ages differ"
        );
        self.pairs
            .push(("dead letters and their count", rows.len() as u64, counted));
    }

    fn look_at_requests(&mut self, partition: PartitionId, reader: &dyn Reader) {
        let rows = table_like(&schema::request::key(partition, &InstanceId::trusted(""), ""), reader);
        let ages = reader.scan(schema::request::ages(partition), usize::MAX).unwrap();
        let counted = counters(partition, reader).requests;
        self.request_rows += rows.len() + ages.len();
        self.pairs
            .push(("requests and their ages", rows.len() as u64, ages.len() as u64));
        self.pairs
            .push(("requests and their count", rows.len() as u64, counted));
    }

    /// Returns the work that a message requests.
    pub(super) fn work_in(operation: &str, arguments: &[u8]) -> Vec<u64> {
        let mut survey = Self::default();
        survey.look_at_arguments(operation, arguments);
        survey.waiting_work
    }

    fn look_at_arguments(&mut self, operation: &str, arguments: &[u8]) {
        match operation {
            "work" | "work_slowly" => {
                let arguments: WorkArguments = serde_json::from_slice(arguments).unwrap();
                match is_of_orchestration(arguments.work.id) {
                    true => self.waiting_errands.push(arguments.work.id),
                    false => self.waiting_work.push(arguments.work.id),
                }
            }
            "keep" => {
                let arguments: KeepArguments = serde_json::from_slice(arguments).unwrap();
                self.moving.extend(arguments.log);
            }
            _ => {}
        }
    }

    /// Counts how often each piece of work is in a log, except for work of orchestrations.
    pub(super) fn done(&self) -> BTreeMap<u64, usize> {
        self.count(|work| !is_of_orchestration(work))
    }

    /// Counts how often each piece of work of orchestrations is in a log.
    pub(super) fn errands_done(&self) -> BTreeMap<u64, usize> {
        self.count(is_of_orchestration)
    }

    fn count(&self, counts: impl Fn(u64) -> bool) -> BTreeMap<u64, usize> {
        let mut done = BTreeMap::new();
        let logged = self.logs.values().flatten().flatten();
        for entry in logged.chain(&self.moving).filter(|entry| counts(entry.id)) {
            *done.entry(entry.id).or_default() += 1;
        }
        done
    }
}

fn counters(partition: PartitionId, reader: &dyn Reader) -> PartitionRecord {
    let row = reader.get(&schema::partition::key(partition)).unwrap();
    row.map_or_else(PartitionRecord::default, |row| {
        model::decode(&row, "partition").unwrap()
    })
}

fn id_of(row: &Row) -> String {
    schema::id_text(&row.0).unwrap().to_owned()
}

/// Returns all rows of the table to which `key` belongs.
fn table_like(key: &[u8], reader: &dyn Reader) -> Vec<Row> {
    let start = key[..3].to_vec();
    let mut end = start.clone();
    end[2] += 1;
    reader.scan(start..end, usize::MAX).unwrap()
}
