//! Locks of entities, as an operator sees them.

use std::time::SystemTime;

use crate::error::Result;
use crate::id::EntityId;
use crate::model;
use crate::model::orchestration::LockRecord;
use crate::schema;
use crate::views::pages::{Page, page, stored_entity};
use crate::views::view::View;

/// An entity that is locked by a critical section.
///
/// ```
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
/// # #[orchestration]
/// # async fn hold(ctx: OrchestrationContext, key: String) -> Result<(), Failure> {
/// #     let counter = ctx.entity::<Counter>(&key);
/// #     let lock = ctx.lock_entities(&counter).await?;
/// #     ctx.wait_for_external_event::<()>("release").await?;
/// #     drop(lock);
/// #     Ok(())
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().orchestration::<hold>().open().await?;
/// # let client = hub.client();
/// # let run = client.start::<hold>("visits".into()).await?;
/// # while client.admin().locks().await?.is_empty() {
/// #     tokio::task::yield_now().await;
/// # }
/// for lock in client.admin().locks().await? {
///     println!("{} has locked {} since {:?}", lock.owner, lock.entity, lock.since);
///     // Only if the owner will never continue:
///     assert!(client.admin().release_lock(&lock.entity).await?);
/// }
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntityLock {
    /// The entity.
    pub entity: EntityId,
    /// The id of the orchestration that holds the lock.
    pub owner: String,
    /// The id of the execution that holds the lock.
    pub execution_id: String,
    /// The time at which the lock was taken.
    pub since: SystemTime,
    /// The number of the step that took the lock. The locks of one critical section share it. The history of the owner
    /// contains the step, with the ids of all entities of the section.
    pub sequence: u64,
}

/// Reads one page, after the item with the id `after`.
pub(crate) fn read_page(view: View<'_>, after: Option<EntityId>, at_most: usize) -> Result<Page<EntityLock>> {
    let after = after.map(|id| {
        let partition = id.instance().partition(view.partitions);
        (partition, schema::lock::key(partition, id.instance()))
    });
    let id = |_, key: &[u8]| schema::id_text(key).map(str::to_owned);
    page(view, schema::lock::all, after, at_most, id, |id, (_, _, value)| {
        EntityLock::of(stored_entity(id)?, value)
    })
}

/// Reads the lock of an entity, if it is locked.
pub(crate) fn of(view: View<'_>, entity: &EntityId) -> Result<Option<EntityLock>> {
    let instance = entity.instance();
    let row = view
        .reader
        .get(&schema::lock::key(instance.partition(view.partitions), instance))?;
    row.map(|row| EntityLock::of(entity.clone(), &row)).transpose()
}

impl EntityLock {
    fn of(entity: EntityId, row: &[u8]) -> Result<Self> {
        let record: LockRecord = model::decode(row, "lock")?;
        Ok(Self {
            entity,
            owner: record.owner.instance.to_string(),
            execution_id: record.owner.execution.to_string(),
            since: record.since.into(),
            sequence: record.owner.sequence,
        })
    }
}
