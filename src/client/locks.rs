//! Locks of entities, as an operator sees them.

use std::time::SystemTime;

use crate::client::caller::{into_error, unexpected};
use crate::client::handle::Client;
use crate::client::pages::{MAX_PAGE, page, stored_entity};
use crate::client::submit::Submission;
use crate::client::unreadable::Unreadable;
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
    /// The execution of it that does.
    pub execution_id: String,
    /// Since when.
    pub since: SystemTime,
    /// The number of the step that took the lock. The locks of one critical section have it in common, and the step is in
    /// the history of the owner, with the ids of all entities of the section.
    pub sequence: u64,
}

/// One page of a list of locks. Made by [`Client::locks_page`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LockPage {
    /// The locks.
    pub locks: Vec<EntityLock>,
    /// Entities that are locked as well, whose rows cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// What the next page comes after; nothing if this is the last one.
    pub next: Option<String>,
}

impl Client {
    /// All entities that are locked, partition by partition.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn locks(&self) -> Result<Vec<EntityLock>> {
        let (mut locks, mut after) = (Vec::new(), None);
        loop {
            let page = self.locks_page(after, MAX_PAGE).await?;
            locks.extend(page.locks);
            after = page.next;
            if after.is_none() {
                return Ok(locks);
            }
        }
    }

    /// Up to `at_most` entities that are locked, 10 000 at most, behind the page whose `next` is `after`. In the same order
    /// as [`locks`](Self::locks).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if `after` is no id of an entity, and what the hub meets.
    pub async fn locks_page(&self, after: Option<String>, at_most: usize) -> Result<LockPage> {
        let after: Option<EntityId> = after.map(|after| after.parse()).transpose()?;
        self.on_blocking_thread(move |view| {
            let after = after.map(|id| {
                let partition = id.instance().partition(view.partitions);
                (partition, keys::lock(partition, id.instance()))
            });
            let id = |_, key: &[u8]| keys::id_of(key).map(str::to_owned);
            let found = page(view, keys::locks, after, at_most, id, |id, (_, _, value)| {
                let record: LockRecord = records::decode(value, "lock")?;
                Ok(EntityLock {
                    entity: stored_entity(id)?,
                    owner: record.owner.instance,
                    execution_id: record.owner.execution.to_string(),
                    since: record.since.into(),
                    sequence: record.owner.sequence,
                })
            })?;
            Ok(LockPage {
                locks: found.rows,
                unreadable: found.unreadable,
                next: found.next,
            })
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
