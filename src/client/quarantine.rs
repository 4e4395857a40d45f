//! Quarantined and held entities.

use std::time::SystemTime;

use crate::client::handle::Client;
use crate::client::submit::ask;
use crate::engine::message::Input;
use crate::error::Result;
use crate::id::{EntityId, InstanceId, PartitionId};
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

impl Client {
    /// All quarantined entities. An entity leaves the list when a build can read its state again.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn quarantined(&self) -> Result<Vec<Quarantined>> {
        let runtime = self.runtime()?;
        let mut quarantined = Vec::new();
        for partition in (0..runtime.partitions).map(PartitionId) {
            let rows = runtime.order.store().scan(keys::quarantines(partition), usize::MAX)?;
            for (key, value) in rows {
                let Some(id) = keys::id_of(&key) else { continue };
                let record: QuarantineRecord = records::decode(&value, "quarantine")?;
                quarantined.push(Quarantined {
                    id: EntityId::from_instance(InstanceId::trusted(id)),
                    reason: record.reason,
                    since: record.since.into(),
                });
            }
        }
        runtime.durable().await?;
        Ok(quarantined)
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
