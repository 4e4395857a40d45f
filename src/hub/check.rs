//! Checking a directory: whether everything in it can be read. It needs none of the types of the program that wrote it.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::engine::message::Message;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::inspect::{Inspection, MEMORY, current_runtime};
use crate::id::{InstanceId, PartitionId};
use crate::payload::Payload;
use crate::store::keys::{self, Table};
use crate::store::records::history::TurnRecord;
use crate::store::records::instance::{
    ActivityRecord, EarlyCountRecord, EarlyEventRecord, EarlyPlaceRecord, EndRecord, InstanceRecord, LockRecord,
    StartRecord,
};
use crate::store::records::{
    self, DeadLetterRecord, PartitionRecord, QuarantineRecord, RequestRecord, StateRecord, TimerRecord,
};
use crate::store::{Inspected, PageBounds, ReadOnlyStore, Reader};
use crate::time::Timestamp;

/// How many problems are described; the others are only counted.
const PROBLEMS: usize = 1_000;

/// What [`Inspection::check`] found.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CheckReport {
    /// The id of the hub; empty if the directory does not say.
    pub hub: String,
    /// 1 at the hub's creation, one more whenever a copy was released for work.
    pub incarnation: u64,
    /// Whether it is a copy made by a checkpoint that was not released for work.
    pub copy: bool,
    /// Over how many partitions instances are spread.
    pub partitions: u16,
    /// The newest commit that is there.
    pub last_commit: u64,
    /// How many records were looked at.
    pub records: u64,
    /// How many they were of each kind, for those of which there are some.
    pub tables: Vec<CheckedTable>,
    /// How many problems there are.
    pub problem_count: u64,
    /// The first thousand of them.
    pub problems: Vec<CheckProblem>,
}

/// What was looked at of one kind of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckedTable {
    /// What the records are.
    pub table: &'static str,
    /// How many were looked at.
    pub records: u64,
    /// How many bytes they have, with their keys.
    pub bytes: u64,
}

/// Something in a directory that cannot be read, or that does not fit the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckProblem {
    /// Of what kind the record is; nothing if it is about the directory as a whole.
    pub table: Option<&'static str>,
    /// The entity or the orchestration that it belongs to, if it is one's.
    pub instance: Option<String>,
    /// The key of the record as hexadecimal digits.
    pub key: Option<String>,
    /// What is wrong with it.
    pub message: String,
}

impl CheckReport {
    /// Whether everything can be read.
    pub fn is_good(&self) -> bool {
        self.problem_count == 0
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records were checked, {} problems",
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
    /// Reads every record of the directory and decodes it; compares the newest commit with what was acknowledged, and the
    /// place of each record with the one it should have. It needs no registered types, and changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if a process has the hub open, and [`ErrorKind::Format`] if there is no hub. Whatever is broken is
    /// no error but part of the report.
    pub async fn check(self) -> Result<CheckReport> {
        self.check_with(|_, _| ()).await
    }

    /// As [`check`](Self::check), telling again and again how many partitions are done, and of how many.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn check_with(self, progress: impl FnMut(u16, u16) + Send + 'static) -> Result<CheckReport> {
        let checked = current_runtime()?.spawn_blocking(move || check(&self.directory, progress));
        checked
            .await
            .map_err(|error| Error::new(ErrorKind::Closed, "the check was not finished").with_source(error))?
    }
}

fn check(directory: &Path, mut progress: impl FnMut(u16, u16)) -> Result<CheckReport> {
    let mut check = Check::default();
    if crate::store::is_no_hub(directory) {
        let text = format!(
            "{} is not a hub: there is nothing in it, or something else; name a hub's directory",
            directory.display()
        );
        return Err(Error::new(ErrorKind::Format, text));
    }
    let (inspected, promise) = match crate::store::open_unchecked(directory, MEMORY) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
        // Nothing of it can be read, which is what the caller wants to know.
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

/// A check under way.
#[derive(Default)]
struct Check {
    report: CheckReport,
    /// How many records there are of each table, and how many bytes.
    counts: [(u64, u64); Table::ALL.len()],
}

impl Check {
    /// Looks at all rows of one partition.
    fn rows(&mut self, store: &ReadOnlyStore, partition: PartitionId) {
        let mut range = keys::rows_of(partition);
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
        let Some((partition, table)) = keys::partition_and_table(key) else {
            return self.problem(
                None,
                Some(key),
                "a record is of no kind that this build knows".to_owned(),
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
            let text = format!("it is in partition {}, where nobody looks for it", partition.0);
            self.problem(Some(table), Some(key), text);
        }
    }

    /// Rows behind the last partition are of no hub with so many partitions.
    fn others(&mut self, store: &ReadOnlyStore, partitions: u16) {
        let behind = keys::rows_of(PartitionId(partitions)).start..vec![u8::MAX; 3];
        match store.first_key(behind) {
            Ok(None) => {}
            Ok(Some(key)) => {
                let text = format!("there are records of more partitions than the {partitions} that FORMAT names");
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

/// Decodes a record, and says why it cannot.
fn decode(table: Table, key: &[u8], value: &[u8]) -> Result<(), String> {
    fn record<'a, R: serde::Deserialize<'a>>(value: &'a [u8], what: &str) -> Result<R, String> {
        records::decode(value, what).map_err(|error| error.to_string())
    }
    let what = name(table);
    match table {
        Table::Partition => record::<PartitionRecord>(value, what).map(drop),
        Table::State => payload(record::<StateRecord<'_>>(value, what)?.state),
        Table::Urgent | Table::Message => {
            let id = InstanceId::trusted(keys::id_of(key).ok_or(BROKEN_KEY)?);
            Message::from_row(&id, key, value)
                .map(drop)
                .map_err(|error| error.to_string())
        }
        Table::Timer => {
            keys::timer_parts(key).ok_or(BROKEN_KEY)?;
            record::<TimerRecord>(value, what).map(drop)
        }
        Table::TimerName => length(value, 8),
        Table::Request => record::<RequestRecord>(value, what).map(drop),
        Table::RequestAge => keys::request_age_parts(key).map(drop).ok_or(BROKEN_KEY.to_owned()),
        Table::DeadLetter => {
            keys::message_id_of(key).ok_or(BROKEN_KEY)?;
            record::<DeadLetterRecord>(value, what).map(drop)
        }
        Table::DeadLetterAge => keys::dead_letter_age_parts(key).map(drop).ok_or(BROKEN_KEY.to_owned()),
        Table::Quarantine => record::<QuarantineRecord>(value, what).map(drop),
        Table::Lock => record::<LockRecord>(value, what).map(drop),
        Table::Instance => record::<InstanceRecord>(value, what).map(drop),
        Table::History => record::<TurnRecord>(value, what).map(drop),
        Table::End => match record::<EndRecord>(value, what)? {
            EndRecord::Completed(output) => payload(&output),
            EndRecord::Failed(_) | EndRecord::Ended(_) => Ok(()),
        },
        Table::CustomStatus => payload(value),
        Table::Status => keys::status_parts(key).map(drop).ok_or(BROKEN_KEY.to_owned()),
        Table::Activity => {
            keys::activity_parts(key).ok_or(BROKEN_KEY)?;
            record::<ActivityRecord>(value, what).map(drop)
        }
        Table::Start => record::<StartRecord>(value, what).map(drop),
        Table::EarlyEvent => {
            keys::message_id_of(key).ok_or(BROKEN_KEY)?;
            record::<EarlyEventRecord>(value, what).map(drop)
        }
        Table::OrchestrationName => keys::orchestration_name_parts(key)
            .map(drop)
            .ok_or(BROKEN_KEY.to_owned()),
        Table::EarlyPlace => record::<EarlyPlaceRecord>(value, what).map(drop),
        Table::EarlyExpiry => {
            keys::early_expiry_parts(key).ok_or(BROKEN_KEY)?;
            record::<Timestamp>(value, what).map(drop)
        }
        Table::EarlyCount => record::<EarlyCountRecord>(value, what).map(drop),
        Table::EarlyLeft => record::<Timestamp>(value, what).map(drop),
        Table::Child => keys::child_parts(key).map(drop).ok_or(BROKEN_KEY.to_owned()),
    }
}

const BROKEN_KEY: &str = "its key is not one of such a record";

fn payload(value: &[u8]) -> Result<(), String> {
    match Payload::of(value) {
        Payload::Json(json) => serde_json::from_slice::<IgnoredAny>(json)
            .map(drop)
            .map_err(|reason| format!("it is no JSON: {reason}")),
        Payload::Absent | Payload::Bytes(_) => Ok(()),
    }
}

fn length(value: &[u8], wanted: usize) -> Result<(), String> {
    match value.len() {
        length if length == wanted => Ok(()),
        length => Err(format!("it has {length} bytes instead of {wanted}")),
    }
}

/// The instance that a record belongs to, where its key says so.
fn instance(table: Table, key: &[u8]) -> Option<&str> {
    match table {
        Table::Partition | Table::DeadLetter | Table::OrchestrationName => None,
        Table::Timer => keys::timer_parts(key).map(|(_, id, _)| id),
        Table::RequestAge => keys::request_age_parts(key).map(|(_, id, _)| id),
        Table::DeadLetterAge => keys::dead_letter_age_parts(key).map(|(_, id)| id),
        Table::Status => keys::status_parts(key).map(|(_, id)| id),
        Table::EarlyExpiry => keys::early_expiry_parts(key).map(|(_, id, _)| id),
        _ => keys::id_of(key),
    }
}

/// What the records of a table are called.
fn name(table: Table) -> &'static str {
    match table {
        Table::Partition => "counters",
        Table::State => "state",
        Table::Urgent => "urgent message",
        Table::Message => "message",
        Table::Timer => "timer",
        Table::TimerName => "timer name",
        Table::Request => "request id",
        Table::RequestAge => "age of a request id",
        Table::DeadLetter => "dead letter",
        Table::DeadLetterAge => "age of a dead letter",
        Table::Quarantine => "quarantine",
        Table::Lock => "lock",
        Table::Instance => "orchestration",
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::records::CommitRecord;
    use crate::store::records::instance::OrchestrationStatus;
    use crate::store::{Batch, OpenOptions, Store};
    use crate::time::Timestamp;

    const PARTITIONS: u16 = 4;

    /// Records that do not decode, stand where nobody looks for them, or are of no kind that is known: each is told with its
    /// kind and its instance, and none hides another.
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
            records::encode(&record).unwrap()
        };
        let unknown = [here.0.to_be_bytes().as_slice(), &[0xee, 1]].concat();
        let execution = crate::id::ExecutionId([0; 16]);
        let broken: [(Vec<u8>, Vec<u8>, &str); 8] = [
            (
                keys::state(here, &id),
                vec![1, 0xff],
                "state of `@a@k`: a stored state does not decode",
            ),
            (
                keys::state(here, &InstanceId::trusted("@a@l")),
                state(b"{"),
                "it is no JSON",
            ),
            (
                keys::lock(here, &id),
                vec![9, 9],
                "lock of `@a@k`: a stored lock has record version 9",
            ),
            (keys::state(elsewhere, &id), state(b"1"), "where nobody looks for it"),
            (
                keys::turn(here, &id, execution, 3),
                Vec::new(),
                "turn of a history of `@a@k`",
            ),
            (
                keys::timer_name(here, &id, "t"),
                vec![1, 2],
                "timer name of `@a@k`: it has 2 bytes instead of 8",
            ),
            (unknown, vec![1], "of no kind that this build knows"),
            (
                keys::state(PartitionId(PARTITIONS), &id),
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
        batch.put(&keys::COMMIT, &records::encode(&commit).unwrap());
        let status = keys::status(here, OrchestrationStatus::Running, Timestamp(1), &id);
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
            "the index row counts, the one behind the last partition does not"
        );
    }

    /// Every table has a name of its own and a place in the list of all of them.
    #[test]
    fn tables_have_names() {
        let names: std::collections::BTreeSet<&str> = Table::ALL.into_iter().map(name).collect();
        assert_eq!(names.len(), Table::ALL.len());
        for table in Table::ALL {
            let key = [&[0, 1, table as u8][..], b"x"].concat();
            assert_eq!(keys::partition_and_table(&key), Some((PartitionId(1), table)));
        }
    }
}
