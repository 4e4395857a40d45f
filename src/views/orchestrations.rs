//! Reads the row of an orchestration together with the turns that were written after it.

use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::model;
use crate::model::history::{Incoming, TurnRecord};
use crate::model::orchestration::{OrchestrationRecord, OrchestrationStatus, StartRecord};
use crate::schema;
use crate::store::Reader;

/// Maximum number of turns by which an orchestration may be ahead of its row.
///
/// A turn that changes nothing else does not update the row, which saves most orchestrations one write per turn. Code
/// that reads the row reads these turns as well.
pub(crate) const TURNS_AHEAD: u32 = 8;

/// Returns the current row of an orchestration.
pub(crate) fn record(
    reader: &dyn Reader,
    partition: PartitionId,
    id: &InstanceId,
) -> Result<Option<OrchestrationRecord>> {
    let Some(row) = reader.get(&schema::orchestration::key(partition, id))? else {
        return Ok(None);
    };
    let mut record = model::decode(&row, "orchestration")?;
    catch_up(reader, partition, id, &mut record)?;
    Ok(Some(record))
}

/// Returns the start of an orchestration's current execution. It is stored in the first turn and, before that turn, in
/// a row of its own.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if neither exists.
pub(crate) fn start_of(
    reader: &dyn Reader,
    partition: PartitionId,
    id: &InstanceId,
    record: &OrchestrationRecord,
) -> Result<StartRecord> {
    let start = if record.turns == 0 {
        let row = reader.get(&schema::orchestration::start_key(partition, id))?;
        row.map(|row| model::decode(&row, "start")).transpose()?
    } else {
        let row = reader.get(&schema::orchestration::turn_key(partition, id, record.execution, 0))?;
        let turn: Option<TurnRecord> = row.map(|row| model::decode(&row, "turn")).transpose()?;
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

/// Updates a row with the turns that were written after it.
pub(crate) fn catch_up(
    reader: &dyn Reader,
    partition: PartitionId,
    id: &InstanceId,
    record: &mut OrchestrationRecord,
) -> Result<()> {
    // In any other status, the row is current: it has no turns, or the change of the status wrote the row.
    if !matches!(
        record.status,
        OrchestrationStatus::Running | OrchestrationStatus::Suspended
    ) {
        return Ok(());
    }
    loop {
        let range = schema::orchestration::turns(partition, id, record.execution, record.turns..u32::MAX);
        let rows = reader.scan(range, TURNS_AHEAD as usize)?;
        for (_, row) in &rows {
            let turn: TurnRecord = model::decode(row, "turn of an orchestration")?;
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

    /// A row and the turns after it equal a current row, regardless of the number of turns and of changes to the clock.
    #[test]
    fn turns_after_the_row_count() {
        for (known, all) in [(0, 1), (1, 1), (1, 5), (2, 2 + TURNS_AHEAD), (1, 3 * TURNS_AHEAD)] {
            let (partition, id) = (PartitionId(3), InstanceId::trusted("o"));
            let model = Model::new();
            let mut now = OrchestrationRecord {
                name: "order".to_owned(),
                status: OrchestrationStatus::Running,
                execution: ExecutionId::derive("hub", &id, crate::id::MessageId::MIN),
                created: Timestamp(1),
                changed: Timestamp(1),
                ..OrchestrationRecord::default()
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
                let encoded = model::encode(&turn).unwrap();
                batch.put(
                    &schema::orchestration::turn_key(partition, &id, now.execution, number),
                    &encoded,
                );
                now.count(&turn, encoded.len());
                now.changed = turn.time;
                if number + 1 == known {
                    row = now.clone();
                }
            }
            batch.put(
                &schema::orchestration::key(partition, &id),
                &model::encode(&row).unwrap(),
            );
            model.write(&batch).unwrap();
            assert_eq!(
                record(&model, partition, &id).unwrap().unwrap(),
                now,
                "{known} of {all}"
            );
        }
    }
}
