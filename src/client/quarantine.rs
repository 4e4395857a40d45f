//! Quarantined and held entities.

use std::time::SystemTime;

use crate::client::admin::Admin;
use crate::client::handle::Client;
use crate::client::pages::{List, Page, page, stored_entity};
use crate::client::submit::ask;
use crate::engine::message::Input;
use crate::error::Result;
use crate::id::EntityId;
use crate::model::{self, QuarantineRecord};
use crate::schema;

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

impl Admin {
    /// Returns the list of all quarantined entities, partition by partition. An entity leaves the list when a build can
    /// read its state again. Stopped orchestrations are listed by
    /// [`OrchestrationQuery::stopped`](crate::client::OrchestrationQuery::stopped).
    pub fn quarantined(&self) -> List<QuarantinedEntity> {
        List::new(self.client.clone(), |client, after, at_most| {
            Box::pin(read_page(client, after, at_most))
        })
    }

    /// Releases a quarantined or held entity, which then processes its messages. Returns `false` if the entity is
    /// neither.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn release_quarantine(&self, id: &EntityId) -> Result<bool> {
        let instance = id.instance().clone();
        let partition = self.client.runtime()?.partition_of(&instance);
        ask(self.client.weak(), partition, move |token| Input::Resume {
            instance,
            token,
        })
        .await
    }
}

async fn read_page(client: Client, after: Option<String>, at_most: usize) -> Result<Page<QuarantinedEntity>> {
    let after: Option<EntityId> = after.map(|after| after.parse()).transpose()?;
    client
        .on_blocking_thread(move |view| {
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
        })
        .await
}
