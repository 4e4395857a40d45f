//! QuarantinedEntity and held entities.

use std::time::SystemTime;

use crate::client::handle::Client;
use crate::client::pages::{MAX_PAGE, page, stored_entity};
use crate::client::submit::ask;
use crate::client::unreadable::Unreadable;
use crate::engine::message::Input;
use crate::error::Result;
use crate::id::EntityId;
use crate::store::keys;
use crate::store::records::{self, QuarantineRecord};

/// An entity whose messages wait because its state cannot be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QuarantinedEntity {
    /// Its id.
    pub id: EntityId,
    /// Why it is quarantined.
    pub reason: String,
    /// Since when.
    pub since: SystemTime,
}

/// One page of a list of quarantined entities. Made by [`Client::quarantined_page`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct QuarantinePage {
    /// The entities.
    pub quarantined: Vec<QuarantinedEntity>,
    /// Entities that are quarantined as well, whose rows cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// What the next page comes after; nothing if this is the last one.
    pub next: Option<String>,
}

impl Client {
    /// All quarantined entities. An entity leaves the list when a build can read its state again. Orchestrations that are
    /// stopped are listed by [`OrchestrationQuery::stopped`](crate::client::OrchestrationQuery::stopped).
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn quarantined(&self) -> Result<Vec<QuarantinedEntity>> {
        let (mut quarantined, mut after) = (Vec::new(), None);
        loop {
            let page = self.quarantined_page(after, MAX_PAGE).await?;
            quarantined.extend(page.quarantined);
            after = page.next;
            if after.is_none() {
                return Ok(quarantined);
            }
        }
    }

    /// Up to `at_most` quarantined entities, 10 000 at most, behind the page whose `next` is `after`. They are listed
    /// partition by partition.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if `after` is no id of an entity, and what the hub meets.
    pub async fn quarantined_page(&self, after: Option<String>, at_most: usize) -> Result<QuarantinePage> {
        let after: Option<EntityId> = after.map(|after| after.parse()).transpose()?;
        self.on_blocking_thread(move |view| {
            let after = after.map(|id| {
                let partition = id.instance().partition(view.partitions);
                (partition, keys::quarantine(partition, id.instance()))
            });
            let id = |_, key: &[u8]| keys::id_of(key).map(str::to_owned);
            let found = page(
                view,
                keys::quarantined_entities,
                after,
                at_most,
                id,
                |id, (_, _, value)| {
                    let record: QuarantineRecord = records::decode(value, "quarantine")?;
                    Ok(QuarantinedEntity {
                        id: stored_entity(id)?,
                        reason: record.reason,
                        since: record.since.into(),
                    })
                },
            )?;
            Ok(QuarantinePage {
                quarantined: found.rows,
                unreadable: found.unreadable,
                next: found.next,
            })
        })
        .await
    }

    /// Lets a quarantined or held entity go on with its messages. Says whether it was one.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn resume(&self, id: &EntityId) -> Result<bool> {
        let instance = id.instance().clone();
        let partition = self.runtime()?.partition_of(&instance);
        ask(self.weak(), partition, move |token| Input::Resume { instance, token }).await
    }
}
