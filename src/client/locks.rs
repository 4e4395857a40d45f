//! Locks of entities, as an operator sees them.

use std::time::SystemTime;

use crate::client::admin::Admin;
use crate::client::caller::{into_error, unexpected};
use crate::client::handle::Client;
use crate::client::pages::{List, Page, page, stored_entity};
use crate::client::submit::Submission;
use crate::error::Result;
use crate::id::EntityId;
use crate::model::instance::{LockOrder, LockRecord};
use crate::model::{self, Action};
use crate::runtime::Response;
use crate::schema;

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

impl Admin {
    /// Returns the list of all locked entities, partition by partition. See [`EntityLock`] for an example.
    pub fn locks(&self) -> List<EntityLock> {
        List::new(self.client.clone(), |client, after, at_most| {
            Box::pin(read_page(client, after, at_most))
        })
    }

    /// Releases the lock of an entity by force. Returns `false` if the entity was not locked. The next call of the
    /// owner fails with [`LockLost`](crate::ErrorKind::LockLost).
    ///
    /// Use it only if the owner will never continue. The assumptions that the owner made under the lock no longer hold.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn release_lock(&self, entity: &EntityId) -> Result<bool> {
        let submission = Submission {
            target: entity.instance().clone(),
            action: Action::Lock(Box::new(LockOrder::Force)),
            call: true,
            request_id: None,
            refuse_when_full: false,
        };
        match submission.run(self.client.weak()).await.map_err(into_error)? {
            Response::Answer(answer) => Ok(answer == b"true"),
            other => Err(unexpected(&other)),
        }
    }
}

async fn read_page(client: Client, after: Option<String>, at_most: usize) -> Result<Page<EntityLock>> {
    let after: Option<EntityId> = after.map(|after| after.parse()).transpose()?;
    client
        .on_blocking_thread(move |view| {
            let after = after.map(|id| {
                let partition = id.instance().partition(view.partitions);
                (partition, schema::lock::key(partition, id.instance()))
            });
            let id = |_, key: &[u8]| schema::id_text(key).map(str::to_owned);
            page(view, schema::lock::all, after, at_most, id, |id, (_, _, value)| {
                let record: LockRecord = model::decode(value, "lock")?;
                Ok(EntityLock {
                    entity: stored_entity(id)?,
                    owner: record.owner.instance.to_string(),
                    execution_id: record.owner.execution.to_string(),
                    since: record.since.into(),
                    sequence: record.owner.sequence,
                })
            })
        })
        .await
}
