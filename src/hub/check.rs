//! The check that everything in a directory can be read. It needs none of the types of the program that wrote it.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::engine::message::Message;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::inspect::{Inspection, MEMORY, current_runtime};
use crate::id::{InstanceId, PartitionId};
use crate::model::history::TurnRecord;
use crate::model::orchestration::{
    ActivityRecord, EarlyCountRecord, EarlyEventRecord, EarlyPlaceRecord, EndRecord, LockRecord, OrchestrationRecord,
    StartRecord,
};
use crate::model::{
    self, AuditRecord, DeadLetterRecord, PartitionRecord, QuarantineRecord, RequestRecord, StateRecord, TimerRecord,
};
use crate::payload::Payload;
use crate::schema::{self, Table};
use crate::store::{Inspected, PageBounds, ReadOnlyStore, Reader};
use crate::time::Timestamp;

/// Maximum number of problems that are described. Further problems are only counted.
const PROBLEMS: usize = 1_000;

/// The report of [`Inspection::check`].
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CheckReport {
    /// The id of the hub. Empty if the directory does not contain it.
    pub hub: String,
    /// 1 at the creation of the hub, incremented each time a copy is restored.
    pub incarnation: u64,
    /// `true` if the directory is a copy made by a checkpoint that has not been restored.
    pub copy: bool,
    /// Number of partitions that the instances are spread over.
    pub partitions: u16,
    /// The newest commit in the store.
    pub last_commit: u64,
    /// Number of records that were checked.
    pub records: u64,
    /// Number of records of each kind. Kinds without records are left out.
    pub tables: Vec<CheckedTable>,
    /// Number of problems.
    pub problem_count: u64,
    /// The first thousand problems.
    pub problems: Vec<CheckProblem>,
}

/// The checked records of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckedTable {
    /// The kind of the records.
    pub table: &'static str,
    /// Number of records that were checked.
    pub records: u64,
    /// Size of the records with their keys, in bytes.
    pub bytes: u64,
}

/// A record that cannot be read or does not fit the rest, or a problem of the directory as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckProblem {
    /// The kind of the record. `None` if the problem concerns the directory as a whole.
    pub table: Option<&'static str>,
    /// The entity or orchestration that the record belongs to, if any.
    pub instance: Option<String>,
    /// The key of the record in hexadecimal.
    pub key: Option<String>,
    /// The description of the problem.
    pub message: String,
}

impl CheckReport {
    /// Returns `true` if everything can be read.
    pub fn is_good(&self) -> bool {
        self.problem_count == 0
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "checked {} records, found {} problems",
            self.records, self.problem_count
        )?;
        for problem in &self.problems {
            write!(f, "\n{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CheckProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.table, &self.instance) {
            (Some(table), Some(instance)) => write!(f, "{table} of `{instance}`: ")?,
            (Some(table), None) => write!(f, "{table}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.message)
    }
}

impl Inspection {
    /// Reads and decodes every record of the directory. Compares the newest commit with the acknowledged one, and the
    /// place of each record with its expected place. Needs no registered types, and changes nothing.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Locked`] if a process has the hub open, or of kind [`ErrorKind::Format`]
    /// if the directory is not a hub or has another format version. Broken data is not an error but part of the report.
    pub async fn check(self) -> Result<CheckReport> {
        self.check_with(|_, _| ()).await
    }

    /// Like [`check`](Self::check), and calls `progress` after each partition with the number of partitions checked and
    /// their total number.
    ///
    /// # Errors
    /// Returns the same errors as [`check`](Self::check).
    pub async fn check_with(self, progress: impl FnMut(u16, u16) + Send + 'static) -> Result<CheckReport> {
        let checked = current_runtime()?.spawn_blocking(move || check(&self.directory, progress));
        checked
            .await
            .map_err(|error| Error::new(ErrorKind::Closed, "the check did not finish").with_source(error))?
    }
}

fn check(directory: &Path, mut progress: impl FnMut(u16, u16)) -> Result<CheckReport> {
    let mut check = Check::default();
    if crate::store::is_no_hub(directory) {
        let text = format!(
            "{} is not a hub: it is empty or contains other files; specify the directory of a hub",
            directory.display()
        );
        return Err(Error::new(ErrorKind::Format, text));
    }
    let (inspected, promise) = match crate::store::open_unchecked(directory, MEMORY) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
        // Nothing can be read, and that is the answer for the caller.
        Err(error) => {
            check.problem(None, None, error.to_string());
            return Ok(check.report);
        }
    };
    if let Err(error) = promise {
        check.problem(None, None, error.to_string());
    }
    let Inspected {
        store,
        partitions,
        hub,
        incarnation,
        copy,
        last_commit,
    } = inspected;
    check.report = CheckReport {
        hub: hub.to_string(),
        incarnation,
        copy,
        partitions,
        last_commit,
        ..check.report
    };
    for partition in 0..partitions {
        check.rows(&store, PartitionId(partition));
        progress(partition + 1, partitions);
    }
    check.others(&store, partitions);
    Ok(check.finish())
}

/// A check in progress.
#[derive(Default)]
struct Check {
    report: CheckReport,
    /// Number of records of each table, and their size in bytes.
    counts: [(u64, u64); Table::ALL.len()],
}

impl Check {
    /// Checks all rows of one partition.
    fn rows(&mut self, store: &ReadOnlyStore, partition: PartitionId) {
        let mut range = schema::rows_of(partition);
        loop {
            let page = match store.page(range.clone(), PageBounds::USUAL) {
                Ok(page) => page,
                Err(error) => {
                    let text = format!("the rest of partition {} cannot be read: {error}", partition.0);
                    return self.problem(None, Some(&range.start), text);
                }
            };
            for (key, value) in &page.rows {
                self.row(key, value);
            }
            match page.rows.last() {
                Some((last, _)) if page.full => {
                    range.start.clone_from(last);
                    range.start.push(0);
                }
                _ => return,
            }
        }
    }

    fn row(&mut self, key: &[u8], value: &[u8]) {
        self.report.records += 1;
        let Some((partition, table)) = schema::partition_and_table(key) else {
            return self.problem(
                None,
                Some(key),
                "this build does not know the kind of this record".to_owned(),
            );
        };
        if let Some(place) = Table::ALL.iter().position(|known| *known == table) {
            let (records, bytes) = &mut self.counts[place];
            *records += 1;
            *bytes += (key.len() + value.len()) as u64;
        }
        if let Err(reason) = decode(table, key, value) {
            return self.problem(Some(table), Some(key), reason);
        }
        if let Some(id) = instance(table, key)
            && InstanceId::trusted(id).partition(self.report.partitions) != partition
        {
            let text = format!("it is in partition {}, where it is never looked up", partition.0);
            self.problem(Some(table), Some(key), text);
        }
    }

    /// Checks that there are no rows after the last partition. They do not belong to a hub with this number of
    /// partitions.
    fn others(&mut self, store: &ReadOnlyStore, partitions: u16) {
        let behind = schema::rows_of(PartitionId(partitions)).start..vec![u8::MAX; 3];
        match store.first_key(behind) {
            Ok(None) => {}
            Ok(Some(key)) => {
                let text = format!("there are records of more partitions than the {partitions} in FORMAT");
                self.problem(None, Some(&key), text);
            }
            Err(error) => self.problem(None, None, format!("the end of the store cannot be read: {error}")),
        }
    }

    fn problem(&mut self, table: Option<Table>, key: Option<&[u8]>, message: String) {
        self.report.problem_count += 1;
        if self.report.problems.len() < PROBLEMS {
            let instance = table.zip(key).and_then(|(table, key)| instance(table, key));
            self.report.problems.push(CheckProblem {
                table: table.map(name),
                instance: instance.map(str::to_owned),
                key: key.map(|key| key.iter().map(|byte| format!("{byte:02x}")).collect()),
                message,
            });
        }
    }

    fn finish(mut self) -> CheckReport {
        let counted = Table::ALL.into_iter().zip(self.counts);
        self.report.tables = counted
            .filter(|(_, (records, _))| *records > 0)
            .map(|(table, (records, bytes))| CheckedTable {
                table: name(table),
                records,
                bytes,
            })
            .collect();
        self.report
    }
}

/// Decodes a record, and returns the reason if it cannot be decoded.
fn decode(table: Table, key: &[u8], value: &[u8]) -> Result<(), String> {
    fn record<'a, R: serde::Deserialize<'a>>(value: &'a [u8], what: &str) -> Result<R, String> {
        model::decode(value, what).map_err(|error| error.to_string())
    }
    let what = name(table);
    match table {
        Table::Partition => record::<PartitionRecord>(value, what).map(drop),
        Table::Mail | Table::MailSent | Table::MailTaken => {
            Err("it is of a hub of several shards, and this directory has one".to_owned())
        }
        Table::State => payload(record::<StateRecord<'_>>(value, what)?.state),
        Table::Priority | Table::Message => {
            let id = schema::id_of(key).ok_or(BROKEN_KEY)?;
            Message::from_row(&id, key, value)
                .map(drop)
                .map_err(|error| error.to_string())
        }
        Table::Timer => {
            schema::timer::parts(key).ok_or(BROKEN_KEY)?;
            record::<TimerRecord>(value, what).map(drop)
        }
        Table::TimerName => length(value, 8),
        Table::Request => record::<RequestRecord>(value, what).map(drop),
        Table::RequestAge => schema::request::age_parts(key).map(drop).ok_or(BROKEN_KEY.to_owned()),
        Table::DeadLetter => {
            schema::message::id_of(key).ok_or(BROKEN_KEY)?;
            record::<DeadLetterRecord>(value, what).map(drop)
        }
        Table::DeadLetterAge => schema::dead_letter::age_parts(key)
            .map(drop)
            .ok_or(BROKEN_KEY.to_owned()),
        Table::Quarantine => record::<QuarantineRecord>(value, what).map(drop),
        Table::Lock => record::<LockRecord>(value, what).map(drop),
        Table::Orchestration => record::<OrchestrationRecord>(value, what).map(drop),
        Table::History => record::<TurnRecord>(value, what).map(drop),
        Table::End => match record::<EndRecord>(value, what)? {
            EndRecord::Completed(output) => payload(&output),
            EndRecord::Failed(_) | EndRecord::Ended(_) => Ok(()),
        },
        Table::CustomStatus => payload(value),
        Table::Status => schema::orchestration::status_parts(key)
            .map(drop)
            .ok_or(BROKEN_KEY.to_owned()),
        Table::Activity => {
            schema::activity::parts(key).ok_or(BROKEN_KEY)?;
            record::<ActivityRecord>(value, what).map(drop)
        }
        Table::Start => record::<StartRecord>(value, what).map(drop),
        Table::EarlyEvent => {
            schema::message::id_of(key).ok_or(BROKEN_KEY)?;
            record::<EarlyEventRecord>(value, what).map(drop)
        }
        Table::OrchestrationName => schema::orchestration::name_parts(key)
            .map(drop)
            .ok_or(BROKEN_KEY.to_owned()),
        Table::EarlyPlace => record::<EarlyPlaceRecord>(value, what).map(drop),
        Table::EarlyExpiry => {
            schema::early::expiry_parts(key).ok_or(BROKEN_KEY)?;
            record::<Timestamp>(value, what).map(drop)
        }
        Table::EarlyCount => record::<EarlyCountRecord>(value, what).map(drop),
        Table::EarlyLeft => record::<Timestamp>(value, what).map(drop),
        Table::Child => schema::child::parts(key).map(drop).ok_or(BROKEN_KEY.to_owned()),
        Table::Audit => {
            schema::message::id_of(key).ok_or(BROKEN_KEY)?;
            record::<AuditRecord>(value, what).map(drop)
        }
    }
}

const BROKEN_KEY: &str = "its key is malformed";

fn payload(value: &[u8]) -> Result<(), String> {
    match Payload::of(value) {
        Payload::Json(json) => serde_json::from_slice::<IgnoredAny>(json)
            .map(drop)
            .map_err(|reason| format!("it is not valid JSON: {reason}")),
        Payload::Absent | Payload::Bytes(_) => Ok(()),
    }
}

fn length(value: &[u8], wanted: usize) -> Result<(), String> {
    match value.len() {
        length if length == wanted => Ok(()),
        length => Err(format!("it has {length} bytes instead of {wanted}")),
    }
}

/// Returns the instance that a record belongs to, if its key contains it.
fn instance(table: Table, key: &[u8]) -> Option<&str> {
    match table {
        Table::Partition
        | Table::Mail
        | Table::MailSent
        | Table::MailTaken
        | Table::DeadLetter
        | Table::OrchestrationName => None,
        Table::Timer => schema::timer::parts(key).map(|(_, id, _)| id),
        Table::RequestAge => schema::request::age_parts(key).map(|(_, id, _)| id),
        Table::DeadLetterAge => schema::dead_letter::age_parts(key).map(|(_, id)| id),
        Table::Status => schema::orchestration::status_parts(key).map(|(_, id)| id),
        Table::EarlyExpiry => schema::early::expiry_parts(key).map(|(_, id, _)| id),
        _ => schema::id_text(key),
    }
}

/// Returns the name for the records of a table.
fn name(table: Table) -> &'static str {
    match table {
        Table::Partition => "counters",
        Table::Mail => "message to another shard",
        Table::MailSent => "mark of the messages to another shard",
        Table::MailTaken => "mark of the messages from another shard",
        Table::State => "state",
        Table::Priority => "priority message",
        Table::Message => "message",
        Table::Timer => "timer",
        Table::TimerName => "timer name",
        Table::Request => "request id",
        Table::RequestAge => "age of a request id",
        Table::DeadLetter => "dead letter",
        Table::DeadLetterAge => "age of a dead letter",
        Table::Quarantine => "quarantine",
        Table::Lock => "lock",
        Table::Orchestration => "orchestration",
        Table::History => "turn of a history",
        Table::End => "end of an orchestration",
        Table::CustomStatus => "custom status",
        Table::Status => "index by status",
        Table::Activity => "activity",
        Table::EarlyEvent => "early event",
        Table::OrchestrationName => "orchestration name",
        Table::Start => "start of an orchestration",
        Table::EarlyPlace => "place of an early event",
        Table::EarlyExpiry => "expiry of an early event",
        Table::EarlyCount => "count of early events",
        Table::EarlyLeft => "early events that are left",
        Table::Child => "sub-orchestration of an orchestration",
        Table::Audit => "change of a state",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ShardId;
    use crate::model::CommitRecord;
    use crate::model::orchestration::OrchestrationStatus;
    use crate::store::{Batch, OpenOptions, Store};
    use crate::time::Timestamp;

    const PARTITIONS: u16 = 4;

    /// Records that do not decode, are in the wrong partition, or are of an unknown kind are all reported. Each report
    /// names the kind and the instance, and no problem hides another.
    #[test]
    fn every_broken_record_is_told() {
        let place = tempfile::tempdir().unwrap();
        let id = InstanceId::trusted("@a@k");
        let (here, elsewhere) = {
            let here = id.partition(PARTITIONS);
            (here, PartitionId((here.0 + 1) % PARTITIONS))
        };
        let state = |state: &[u8]| {
            let record = StateRecord {
                changed: Timestamp(1),
                state,
            };
            model::encode(&record).unwrap()
        };
        let unknown = [here.0.to_be_bytes().as_slice(), &[0xee, 1]].concat();
        let execution = crate::id::ExecutionId([0; 16]);
        let broken: [(Vec<u8>, Vec<u8>, &str); 9] = [
            (
                schema::state::key(here, &id),
                vec![1, 0xff],
                "state of `@a@k`: a stored state does not decode",
            ),
            (
                schema::state::key(here, &InstanceId::trusted("@a@l")),
                state(b"{"),
                "it is not valid JSON",
            ),
            (
                schema::lock::key(here, &id),
                vec![9, 9],
                "lock of `@a@k`: a stored lock has record version 9",
            ),
            (
                schema::state::key(elsewhere, &id),
                state(b"1"),
                "where it is never looked up",
            ),
            (
                schema::orchestration::turn_key(here, &id, execution, 3),
                Vec::new(),
                "turn of a history of `@a@k`",
            ),
            (
                schema::timer::name_key(here, &id, "t"),
                vec![1, 2],
                "timer name of `@a@k`: it has 2 bytes instead of 8",
            ),
            (
                schema::mail::sent(ShardId(1)),
                vec![1],
                "mark of the messages to another shard: it is of a hub of several shards",
            ),
            (unknown, vec![1], "does not know the kind of this record"),
            (
                schema::state::key(PartitionId(PARTITIONS), &id),
                state(b"1"),
                "more partitions than the 4",
            ),
        ];
        let how = OpenOptions {
            partitions: PARTITIONS,
            ..OpenOptions::default()
        };
        let opened = crate::store::open(place.path(), &how).unwrap();
        let mut batch = Batch::default();
        let commit = CommitRecord {
            number: 1,
            ..CommitRecord::before_the_first(PARTITIONS)
        };
        batch.put(&schema::COMMIT, &model::encode(&commit).unwrap());
        let status = schema::orchestration::status_key(here, OrchestrationStatus::Running, Timestamp(1), &id);
        batch.put(&status, &[]);
        for (key, value, _) in &broken {
            batch.put(key, value);
        }
        opened.store.write(&batch).unwrap();
        opened.store.sync().unwrap();
        opened.store.acknowledge(1).unwrap();
        opened.store.close(1).unwrap();
        drop(opened);

        let mut seen = Vec::new();
        let report = check(place.path(), |done, of| seen.push((done, of))).unwrap();
        assert_eq!(seen, [(1, 4), (2, 4), (3, 4), (4, 4)]);
        for (key, _, text) in &broken {
            let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
            assert!(
                problems.iter().any(|problem| problem.contains(text)),
                "{}: {text}: {problems:#?}",
                key.escape_ascii()
            );
        }
        assert_eq!(report.problem_count, broken.len() as u64);
        assert_eq!(report.last_commit, 1);
        assert_eq!(
            report.records,
            broken.len() as u64,
            "the index row counts, the one after the last partition does not"
        );
    }

    /// Every table has a unique name and is in the list of all tables.
    #[test]
    fn tables_have_names() {
        let names: std::collections::BTreeSet<&str> = Table::ALL.into_iter().map(name).collect();
        assert_eq!(names.len(), Table::ALL.len());
        for table in Table::ALL {
            let key = [&[0, 1, table as u8][..], b"x"].concat();
            assert_eq!(schema::partition_and_table(&key), Some((PartitionId(1), table)));
        }
    }
}
