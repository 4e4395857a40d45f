//! Locks of entities, as an operator sees them.

use std::time::SystemTime;

use crate::client::admin::Admin;
use crate::client::caller::{into_error, unexpected};
use crate::client::handle::Client;
use crate::client::pages::{List, Page, page, stored_entity};
use crate::client::submit::Submission;
use crate::error::Result;
use crate::id::EntityId;
use crate::runtime::Told;
use crate::store::keys;
use crate::store::records::instance::{LockOrder, LockRecord};
use crate::store::records::{self, Action};

/// An entity that is locked by a critical section.
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
    /// Returns the list of all locked entities, partition by partition.
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
    /// Returns any error that closes or poisons the hub.
    pub async fn release_lock(&self, entity: &EntityId) -> Result<bool> {
        let submission = Submission {
            target: entity.instance().clone(),
            action: Action::Lock(Box::new(LockOrder::Force)),
            call: true,
            request_id: None,
            refuse_when_full: false,
        };
        match submission.run(self.client.weak()).await.map_err(into_error)? {
            Told::Answer(answer) => Ok(answer == b"true"),
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
                (partition, keys::lock(partition, id.instance()))
            });
            let id = |_, key: &[u8]| keys::id_of(key).map(str::to_owned);
            page(view, keys::locks, after, at_most, id, |id, (_, _, value)| {
                let record: LockRecord = records::decode(value, "lock")?;
                Ok(EntityLock {
                    entity: stored_entity(id)?,
                    owner: record.owner.instance,
                    execution_id: record.owner.execution.to_string(),
                    since: record.since.into(),
                    sequence: record.owner.sequence,
                })
            })
        })
        .await
}
