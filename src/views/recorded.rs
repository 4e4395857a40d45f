//! A history as it is stored, as a document that can be kept outside of the hub and replayed later.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::model::history::TurnRecord;
use crate::model::orchestration::OrchestrationRecord;
use crate::model::{self, STORED_FORMAT};
use crate::schema;
use crate::store::{Batch, MemoryStore, Store};
use crate::views::orchestrations;
use crate::views::turns::read_turn_rows;
use crate::views::view::View;

/// The history of one execution, in a form that other builds can replay. Returned by
/// [`recorded_history`](crate::client::OrchestrationHandle::recorded_history).
///
/// It is a document for serde, such as a line of JSON in a file of a repository. The functions of the module `testing`
/// replay it with the code of a build. It contains the payloads of the orchestration.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordedHistory {
    instance_id: String,
    name: String,
    /// The version of the stored format, on which the rows depend.
    stored_format: u32,
    /// The row of the orchestration, in base64.
    record: String,
    /// The rows of its turns.
    turns: Vec<String>,
}

impl RecordedHistory {
    /// Returns the id of the orchestration.
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// Returns the stored name of the orchestration's type.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads the history of the newest execution. Returns `None` if there is no such orchestration.
    pub(crate) fn read(view: View<'_>, id: &InstanceId) -> Result<Option<Self>> {
        let partition = id.partition(view.partitions);
        let Some(record) = orchestrations::record(view.reader, partition, id)? else {
            return Ok(None);
        };
        let mut turns = Vec::new();
        read_turn_rows(view.reader, partition, id, &record, 0..record.turns, |_, row| {
            turns.push(STANDARD.encode(row));
            Ok(true)
        })?;
        Ok(Some(Self {
            instance_id: id.to_string(),
            stored_format: STORED_FORMAT,
            record: STANDARD.encode(model::encode(&record)?),
            name: record.name,
            turns,
        }))
    }

    /// Returns the rows in a store, with the record of the orchestration. The store has one partition.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Format`] if a build with another stored format has recorded the history,
    /// and of kind [`ErrorKind::Corrupted`] if it is damaged.
    #[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "only tests replay it"))]
    pub(crate) fn restore(&self) -> Result<(InstanceId, OrchestrationRecord, MemoryStore)> {
        let id = InstanceId::orchestration(&self.instance_id)?;
        if self.stored_format != STORED_FORMAT {
            let text = format!(
                "the history of `{id}` was recorded with the stored format {}, and this build reads {STORED_FORMAT}; \
                 record it again with this version of abide",
                self.stored_format
            );
            return Err(Error::new(ErrorKind::Format, text));
        }
        let mut record: OrchestrationRecord = model::decode(&self.bytes(&self.record)?, "orchestration")?;
        record.turns = u32::try_from(self.turns.len()).unwrap_or(u32::MAX);
        let mut batch = Batch::default();
        for (number, row) in (0..record.turns).zip(&self.turns) {
            let row = self.bytes(row)?;
            model::decode::<TurnRecord>(&row, "turn")?;
            let key = schema::orchestration::turn_key(PartitionId(0), &id, record.execution, number);
            batch.put(&key, &row);
        }
        let store = MemoryStore::new();
        store.write(&batch)?;
        Ok((id, record, store))
    }

    fn bytes(&self, text: &str) -> Result<Vec<u8>> {
        STANDARD.decode(text).map_err(|error| {
            let text = format!("the recorded history of `{}` is damaged: {error}", self.instance_id);
            Error::new(ErrorKind::Corrupted, text).with_source(error)
        })
    }
}

impl fmt::Debug for RecordedHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedHistory")
            .field("instance_id", &self.instance_id)
            .field("name", &self.name)
            .field("turns", &self.turns.len())
            .finish_non_exhaustive()
    }
}
