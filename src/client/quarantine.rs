//! Quarantined and held entities, for operators.

use crate::client::admin::Admin;
use crate::client::list::List;
use crate::client::submit::ask;
use crate::engine::message::OperatorRequest;
use crate::error::Result;
use crate::id::EntityId;
use crate::views::quarantine::{QuarantinedEntity, read_page};

impl Admin {
    /// Returns the list of all quarantined entities, partition by partition. An entity leaves the list when a build can
    /// read its state again. Stopped orchestrations are listed by
    /// [`OrchestrationQuery::stopped`](crate::client::OrchestrationQuery::stopped).
    pub fn quarantined(&self) -> List<QuarantinedEntity> {
        List::new(self.client.clone(), |client, after, at_most| {
            Box::pin(async move {
                let after = after.map(|after| after.parse()).transpose()?;
                client
                    .on_blocking_thread(move |view| read_page(view, after, at_most))
                    .await
            })
        })
    }

    /// Releases a quarantined or held entity, which then processes its messages. Returns `false` if the entity is
    /// neither.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn release_quarantine(&self, id: &EntityId) -> Result<bool> {
        ask(self.client.hub(), OperatorRequest::Resume(id.instance().clone())).await
    }
}
