//! Reading the row of an orchestration together with the turns that were written after it.

use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::store::records::history::{Incoming, TurnRecord};
use crate::store::records::instance::{InstanceRecord, OrchestrationStatus, StartRecord};
use crate::store::{Reader, keys, records};

/// How many turns of an orchestration may be ahead of its row. A turn that changes nothing else leaves the row as it is,
/// which spares most orchestrations a write a turn; whoever reads the row reads these turns as well.
pub(crate) const TURNS_AHEAD: u32 = 8;

/// The row of an orchestration, as of now.
pub(crate) fn instance(reader: &dyn Reader, partition: PartitionId, id: &InstanceId) -> Result<Option<InstanceRecord>> {
    let Some(row) = reader.get(&keys::instance(partition, id))? else {
        return Ok(None);
    };
    let mut record = records::decode(&row, "orchestration")?;
    catch_up(reader, partition, id, &mut record)?;
    Ok(Some(record))
}

/// What began, or will begin, the execution that an orchestration is in. It is known as long as the orchestration: from the
/// first turn, and before that turn from its own row.
///
/// # Errors
/// [`ErrorKind::Corrupted`] if neither is there.
pub(crate) fn start_of(
    reader: &dyn Reader,
    partition: PartitionId,
    id: &InstanceId,
    record: &InstanceRecord,
) -> Result<StartRecord> {
    let start = if record.turns == 0 {
        let row = reader.get(&keys::start(partition, id))?;
        row.map(|row| records::decode(&row, "start")).transpose()?
    } else {
        let row = reader.get(&keys::turn(partition, id, record.execution, 0))?;
        let turn: Option<TurnRecord> = row.map(|row| records::decode(&row, "turn")).transpose()?;
        turn.and_then(|turn| turn.incoming.into_iter().next())
            .and_then(|first| match first {
                Incoming::Started(started) => Some(StartRecord::from(*started)),
                _ => None,
            })
    };
    start.ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupted,
            format!("the start of the orchestration `{id}` is missing"),
        )
    })
}

/// Adds to a row what the turns say that were written after it.
pub(crate) fn catch_up(
    reader: &dyn Reader,
    partition: PartitionId,
    id: &InstanceId,
    record: &mut InstanceRecord,
) -> Result<()> {
    // In any other status it has no turns, or they are known: what changes the status writes the row.
    if !matches!(
        record.status,
        OrchestrationStatus::Running | OrchestrationStatus::Suspended
    ) {
        return Ok(());
    }
    loop {
        let range = keys::turns(partition, id, record.execution, record.turns..u32::MAX);
        let rows = reader.scan(range, TURNS_AHEAD as usize)?;
        for (_, row) in &rows {
            let turn: TurnRecord = records::decode(row, "turn of an orchestration")?;
            record.count(&turn, row.len());
            record.changed = turn.time;
        }
        if rows.len() < TURNS_AHEAD as usize {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ExecutionId;
    use crate::store::{Batch, Model, Store};
    use crate::time::Timestamp;

    /// A row and the turns after it say what a row of this moment would say, however many turns there are and wherever the clock
    /// was set meanwhile.
    #[test]
    fn turns_after_the_row_count() {
        for (known, all) in [(0, 1), (1, 1), (1, 5), (2, 2 + TURNS_AHEAD), (1, 3 * TURNS_AHEAD)] {
            let (partition, id) = (PartitionId(3), InstanceId::trusted("o"));
            let model = Model::new();
            let mut now = InstanceRecord {
                name: "order".to_owned(),
                status: OrchestrationStatus::Running,
                execution: ExecutionId::derive("hub", &id, crate::id::MessageId::MIN),
                created: Timestamp(1),
                changed: Timestamp(1),
                ..InstanceRecord::default()
            };
            let mut row = now.clone();
            let mut batch = Batch::default();
            for number in 0..all {
                let turn = TurnRecord {
                    time: Timestamp(10_000 - u64::from(number)),
                    incoming: vec![Incoming::Resumed {
                        reason: "x".repeat(number as usize),
                    }],
                    ..TurnRecord::default()
                };
                let encoded = records::encode(&turn).unwrap();
                batch.put(&keys::turn(partition, &id, now.execution, number), &encoded);
                now.count(&turn, encoded.len());
                now.changed = turn.time;
                if number + 1 == known {
                    row = now.clone();
                }
            }
            batch.put(&keys::instance(partition, &id), &records::encode(&row).unwrap());
            model.write(&batch).unwrap();
            assert_eq!(
                instance(&model, partition, &id).unwrap().unwrap(),
                now,
                "{known} of {all}"
            );
        }
    }
}
