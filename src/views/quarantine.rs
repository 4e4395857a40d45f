//! Quarantined and held entities.

use std::time::SystemTime;

use crate::error::Result;
use crate::id::EntityId;
use crate::model::{self, QuarantineRecord};
use crate::schema;
use crate::views::pages::{Page, page, stored_entity};
use crate::views::view::View;

/// An entity whose messages wait because its state cannot be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QuarantinedEntity {
    /// Its id.
    pub id: EntityId,
    /// The reason for the quarantine.
    pub reason: String,
    /// The time at which it was quarantined.
    pub since: SystemTime,
}

/// Reads one page, after the item with the id `after`.
pub(crate) fn read_page(view: View<'_>, after: Option<EntityId>, at_most: usize) -> Result<Page<QuarantinedEntity>> {
    let after = after.map(|id| {
        let partition = id.instance().partition(view.partitions);
        (partition, schema::quarantine::key(partition, id.instance()))
    });
    let id = |_, key: &[u8]| schema::id_text(key).map(str::to_owned);
    page(
        view,
        schema::quarantine::entities,
        after,
        at_most,
        id,
        |id, (_, _, value)| {
            let record: QuarantineRecord = model::decode(value, "quarantine")?;
            Ok(QuarantinedEntity {
                id: stored_entity(id)?,
                reason: record.reason,
                since: record.since.into(),
            })
        },
    )
}
