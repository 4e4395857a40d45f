//! Quarantined and held entities.

use std::time::SystemTime;

use crate::client::handle::Client;
use crate::client::pages::{MAX_PAGE, page};
use crate::client::submit::ask;
use crate::engine::message::Input;
use crate::error::Result;
use crate::id::{EntityId, InstanceId};
use crate::store::keys;
use crate::store::records::{self, QuarantineRecord};

/// An entity whose messages wait because its state cannot be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Quarantined {
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
    pub quarantined: Vec<Quarantined>,
    /// What the next page comes after; nothing if this is the last one.
    pub next: Option<String>,
}

impl Client {
    /// All quarantined entities. An entity leaves the list when a build can read its state again.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn quarantined(&self) -> Result<Vec<Quarantined>> {
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
            let (quarantined, more) = page(view, keys::quarantines, after, at_most, |_, key, value| {
                let Some(id) = keys::id_of(key) else { return Ok(None) };
                let record: QuarantineRecord = records::decode(value, "quarantine")?;
                Ok(Some(Quarantined {
                    id: EntityId::from_instance(InstanceId::trusted(id)),
                    reason: record.reason,
                    since: record.since.into(),
                }))
            })?;
            let next = quarantined.last().filter(|_| more).map(|entity| entity.id.to_string());
            Ok(QuarantinePage { quarantined, next })
        })
        .await
    }

    /// Lets a quarantined or held entity go on with its messages. Says whether it was one.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn resume(&self, id: &EntityId) -> Result<bool> {
        let instance = id.instance().clone();
        let target = instance.clone();
        ask(self.weak(), target, move |token| Input::Resume { instance, token }).await
    }
}
