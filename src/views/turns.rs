//! Reads the turns of an execution.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::model::history::TurnRecord;
use crate::model::orchestration::OrchestrationRecord;
use crate::store::{PageBounds, Reader};
use crate::{model, schema};

/// Reads some turns of an execution in order, one page at a time, until `take` returns `false`.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if one of the turns is missing, or any error of the reader.
pub(crate) fn read_turns(
    reader: &dyn Reader,
    partition: PartitionId,
    id: &InstanceId,
    record: &OrchestrationRecord,
    turns: Range<u32>,
    mut take: impl FnMut(u32, TurnRecord) -> bool,
) -> Result<()> {
    read_turn_rows(reader, partition, id, record, turns, |number, row| {
        Ok(take(number, model::decode(row, "turn")?))
    })
}

/// Reads the rows of some turns of an execution in order, one page at a time, until `take` returns `false`.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if one of the turns is missing, any error of the reader, or that of
/// `take`.
pub(crate) fn read_turn_rows(
    reader: &dyn Reader,
    partition: PartitionId,
    id: &InstanceId,
    record: &OrchestrationRecord,
    turns: Range<u32>,
    mut take: impl FnMut(u32, &[u8]) -> Result<bool>,
) -> Result<()> {
    let (mut next, end) = (turns.start, turns.end.min(record.turns));
    while next < end {
        let range = schema::orchestration::turns(partition, id, record.execution, next..end);
        let page = reader.page(range, PageBounds::USUAL)?;
        for (key, row) in &page.rows {
            if !key.ends_with(&next.to_be_bytes()) {
                return Err(lacks(id, next));
            }
            if !take(next, row)? {
                return Ok(());
            }
            next += 1;
        }
        if next < end && !page.full {
            return Err(lacks(id, next));
        }
    }
    Ok(())
}

fn lacks(id: &InstanceId, turn: u32) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("the history of `{id}` lacks turn {turn}; open a checkpoint that contains it"),
    )
}
