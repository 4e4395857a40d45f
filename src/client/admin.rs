//! The administration of a hub.

use crate::client::handle::Client;
use crate::client::submit::ask;
use crate::engine::message::OperatorRequest;
use crate::error::Result;
use crate::id::EntityId;
use crate::views::entity::{self, EntityDetails};

/// Administration of a hub: dead letters, locks, quarantine, registered types and statistics. Created by
/// [`Client::admin`].
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
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// let admin = hub.client().admin();
/// let registered = admin.registered()?;
/// assert!(registered.entities.iter().any(|entity| entity.name == "counter"));
/// println!("{} commits", admin.stats()?.commits);
///
/// for entity in admin.quarantined().await? {
///     println!("{} is quarantined: {}", entity.id, entity.reason);
///     // After the cause is fixed:
///     admin.release_quarantine(&entity.id).await?;
/// }
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    pub(super) client: Client,
}

impl Client {
    /// Returns the administrative view of the hub. See [`Admin`] for an example.
    pub fn admin(&self) -> Admin {
        Admin { client: self.clone() }
    }
}

impl Admin {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Deletes the kept changes of an entity's state, for example because they contain personal data. The state itself
    /// stays as it is. Returns `false` if there were none. Changes are kept by types with `#[entity(audit = 20)]`. If a
    /// type loses this attribute, the next open deletes its changes.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn delete_entity_changes(&self, id: &EntityId) -> Result<bool> {
        ask(self.client.hub(), OperatorRequest::DeleteChanges(id.instance().clone())).await
    }

    /// Reads everything about one entity: its state, its lock, the messages that wait for it, and its scheduled
    /// signals. See [`EntityDetails`] for an example.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn entity_details(&self, id: &EntityId) -> Result<EntityDetails> {
        let id = id.clone();
        self.client
            .on_blocking_thread(move |view| entity::read(view, &id))
            .await
    }
}
