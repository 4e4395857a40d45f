//! The shards of a hub as one hub.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::open::Opened;
use super::snapshot::{PART, all_rows};
use crate::error::{Error, ErrorKind, Result};
use crate::files::create_private_directory;
use crate::id::{MessageId, ShardId};
use crate::model::{self, CommitRecord, MailMark, MailRecord};
use crate::schema::{self, Table};
use crate::store::Reader;
use crate::store::rocks::base::RocksBase;
use crate::store::rocks::open::open_writable;
use crate::store::rocks::options::options;

/// Returns the row of a message that has arrived at its instance, under an id.
pub(crate) type Arrive = fn(MessageId, MailRecord, u16) -> Result<(Vec<u8>, Vec<u8>)>;

/// The database of the merged hub, and its newest commit.
pub(super) struct Merged {
    pub(super) base: RocksBase,
    pub(super) commit: CommitRecord,
    /// No crash has happened in any shard since this batch.
    pub(super) calm_since: u64,
}

/// Writes the rows of all shards to a new database. Messages that were on their way between shards have arrived there.
///
/// The shards have no row of an instance in common. What is different in a hub of one shard is the row of the newest commit,
/// which comes after those of all shards, and that there are no messages between shards.
pub(super) fn merge(shards: &[Opened], directory: &Path, memory_budget: usize, arrive: Arrive) -> Result<Merged> {
    let views: Vec<_> = shards.iter().map(|shard| shard.store.rows()).collect();
    create_private_directory(directory)?;
    let mut how = options(memory_budget);
    how.create_if_missing(true);
    let base = open_writable(directory, &how)?;
    let mut expected = 0;
    for view in &views {
        expected += load_shard(view.as_ref(), &base)?;
    }
    let newest = shards.iter().filter_map(|shard| shard.last_commit);
    let before = CommitRecord::before_the_first(shards[0].partitions);
    let commit = newest.fold(before, |newest, of_shard| CommitRecord {
        number: newest.number.max(of_shard.number),
        next_batch: newest.next_batch.max(of_shard.next_batch),
        clock: if of_shard.clock.time > newest.clock.time {
            of_shard.clock
        } else {
            newest.clock
        },
        ..newest
    });
    let mut more = arrivals(&views, commit, arrive)?;
    let commit = CommitRecord {
        number: commit.number + 1,
        // The messages that have arrived have ids of the batch before.
        next_batch: commit.next_batch + 1,
        ..commit
    };
    more.insert(schema::COMMIT.to_vec(), model::encode(&commit)?);
    expected += more.len() as u64;
    let more: Vec<(&[u8], &[u8])> = more.iter().map(|(key, row)| (&key[..], &row[..])).collect();
    base.load(&more)?;
    if count(&base)? != expected {
        let text = "two shards of the hub have the same row; this is a fault of Abide, and the hub in the database is unchanged";
        return Err(Error::new(ErrorKind::Corrupted, text));
    }
    Ok(Merged {
        base,
        commit,
        calm_since: shards.iter().map(|shard| shard.calm_since).max().unwrap_or_default(),
    })
}

/// Copies the rows of the instances of a shard. Returns their number.
fn load_shard(view: &dyn Reader, base: &RocksBase) -> Result<u64> {
    let (mut part, mut bytes, mut count, mut failed) = (Vec::new(), 0, 0, None);
    view.visit(all_rows(), &mut |key, row| {
        let table = schema::partition_and_table(key).map(|(_, table)| table);
        if !matches!(table, None | Some(Table::Mail | Table::MailSent | Table::MailTaken)) {
            bytes += key.len() + row.len();
            part.push((key.to_vec(), row.to_vec()));
            count += 1;
        }
        if bytes >= PART {
            bytes = 0;
            failed = load(&std::mem::take(&mut part), base).err();
        }
        match failed {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    load(&part, base)?;
    Ok(count)
}

fn load(rows: &[(Vec<u8>, Vec<u8>)], base: &RocksBase) -> Result<()> {
    let rows: Vec<(&[u8], &[u8])> = rows.iter().map(|(key, row)| (&key[..], &row[..])).collect();
    match rows.len() {
        0 => Ok(()),
        _ => base.load(&rows),
    }
}

fn count(base: &RocksBase) -> Result<u64> {
    let mut count = 0;
    base.visit(all_rows(), &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// Creates the error for messages between two shards that do not follow each other.
fn lost(from: ShardId, to: ShardId) -> Error {
    let text = format!(
        "messages from shard {} of the hub to shard {} are missing: one of the two shards has lost commits; restore a backup of \
         the whole database",
        from.0, to.0
    );
    Error::new(ErrorKind::Corrupted, text)
}

/// Returns the rows of the messages that one shard has sent and another one has not taken in, in order.
fn arrivals(
    views: &[Box<dyn Reader + '_>],
    commit: CommitRecord,
    arrive: Arrive,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut id = MessageId {
        batch: commit.next_batch,
        index: 0,
    };
    let mut rows = BTreeMap::new();
    let ids = || (0..views.len() as u16).map(ShardId);
    for (from, to) in ids().flat_map(|from| ids().map(move |to| (from, to))) {
        let taken = views[to.index()].get(&schema::mail::taken(from))?;
        let taken = taken.map(|row| model::decode::<MailMark>(&row, "mark of messages between shards"));
        let mut taken = taken.transpose()?.unwrap_or_default();
        let mut on_their_way = Vec::new();
        views[from.index()].visit(schema::mail::from(to, taken.number + 1), &mut |key, row| {
            on_their_way.push((schema::mail::number_of(key), row.to_vec()));
            ControlFlow::Continue(())
        })?;
        for (number, row) in on_their_way {
            let record: MailRecord = model::decode(&row, "message to another shard")?;
            if number != Some(taken.number + 1) || record.before != taken.chain {
                return Err(lost(from, to));
            }
            taken = taken.after(&row);
            let (key, row) = arrive(id, record, commit.partitions)?;
            rows.insert(key, row);
            id = id.next();
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::InstanceId;
    use crate::model::{Action, MessageRecord};
    use crate::store::{Batch, Model, Store};

    /// The messages that a shard has not taken in arrive, each once and in the order in which they were sent. Those that it has
    /// taken in, and that the sender has not deleted yet, do not arrive again.
    #[test]
    fn messages_that_were_on_their_way_arrive_once() {
        let target = InstanceId::trusted("@counter@a");
        let record = |number: u8, before: u64| MailRecord {
            target: target.clone(),
            message: MessageRecord {
                source: Some("@counter@b".into()),
                step: None,
                action: Action::Operation {
                    operation: "add".into(),
                    arguments: vec![number],
                },
                call: false,
                request: None,
                trace: None,
            },
            before,
        };
        let (from, to) = (ShardId(1), ShardId(0));
        let (sender, receiver) = (Model::new(), Model::new());
        let mut batch = Batch::default();
        let mut marks = vec![MailMark::default()];
        for number in 1..=5 {
            let before = marks[marks.len() - 1];
            let row = model::encode(&record(number, before.chain)).unwrap();
            batch.insert(&schema::mail::key(to, number.into()), &row);
            marks.push(before.after(&row));
        }
        sender.write(&batch).unwrap();
        let mut batch = Batch::default();
        batch.put(&schema::mail::taken(from), &model::encode(&marks[2]).unwrap());
        receiver.write(&batch).unwrap();

        let views: [Box<dyn Reader>; 2] = [receiver.snapshot(), sender.snapshot()];
        let commit = CommitRecord {
            next_batch: 7,
            ..CommitRecord::before_the_first(8)
        };
        let arrive: Arrive = |id, record, partitions| {
            let key = schema::message::key(record.target.partition(partitions), &record.target, id);
            Ok((key, model::encode(&record.message)?))
        };
        let rows = arrivals(&views, commit, arrive).unwrap();
        let ids = (0..3).map(|index| MessageId { batch: 7, index });
        let keys: Vec<_> = ids
            .map(|id| schema::message::key(target.partition(8), &target, id))
            .collect();
        assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), keys);
        for (row, number) in rows.values().zip(3..) {
            let message: MessageRecord = model::decode(row, "message").unwrap();
            assert_eq!(message, record(number, 0).message);
        }

        // A shard that has lost what it had taken in does not go on as if nothing had happened.
        let mut batch = Batch::default();
        batch.put(
            &schema::mail::taken(from),
            &model::encode(&MailMark { chain: 7, ..marks[2] }).unwrap(),
        );
        receiver.write(&batch).unwrap();
        let views: [Box<dyn Reader>; 2] = [receiver.snapshot(), sender.snapshot()];
        let error = arrivals(&views, commit, arrive).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(
            error
                .to_string()
                .contains("from shard 1 of the hub to shard 0 are missing"),
            "{error}"
        );
    }
}
