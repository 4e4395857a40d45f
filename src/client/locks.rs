//! Locks of entities, as an operator sees them.

use std::time::SystemTime;

use crate::client::caller::{into_error, unexpected};
use crate::client::handle::Client;
use crate::client::submit::Submission;
use crate::error::Result;
use crate::id::{EntityId, InstanceId, PartitionId};
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
    /// The execution of it that does.
    pub execution_id: String,
    /// Since when.
    pub since: SystemTime,
    /// All entities of the critical section, in the order in which they are locked.
    pub section: Vec<EntityId>,
}

impl Client {
    /// All entities that are locked, partition by partition.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn locks(&self) -> Result<Vec<EntityLock>> {
        self.on_blocking_thread(|runtime| {
            let (_, reader, ()) = runtime.order.snapshot(|| ());
            let mut locks = Vec::new();
            for partition in (0..runtime.partitions).map(PartitionId) {
                for (key, value) in reader.scan(keys::locks(partition), usize::MAX)? {
                    let Some(id) = keys::id_of(&key) else { continue };
                    let record: LockRecord = records::decode(&value, "lock")?;
                    locks.push(EntityLock {
                        entity: entity(id),
                        owner: record.owner.instance,
                        execution_id: record.owner.execution.to_string(),
                        since: record.since.into(),
                        section: record.entities.iter().map(|id| entity(id)).collect(),
                    });
                }
            }
            Ok(locks)
        })
        .await
    }

    /// Takes the lock of an entity away from its owner, which hears [`LockLost`](crate::ErrorKind::LockLost) at its next
    /// call. Says whether the entity was locked. A way out where the owner will never go on; what the owner took for granted
    /// does not hold any more.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn release_lock(&self, entity: &EntityId) -> Result<bool> {
        let submission = Submission {
            target: entity.instance().clone(),
            action: Action::Lock(Box::new(LockOrder::Force)),
            call: true,
            request_id: None,
            refuse_when_full: false,
        };
        match submission.run(self.weak()).await.map_err(into_error)? {
            Told::Answer(answer) => Ok(answer == b"true"),
            other => Err(unexpected(&other)),
        }
    }
}

fn entity(id: &str) -> EntityId {
    EntityId::from_instance(InstanceId::trusted(id))
}
