//! Locks of entities, for operators.

use crate::client::admin::Admin;
use crate::client::list::List;
use crate::client::reply::{into_error, unexpected};
use crate::client::submit::Submission;
use crate::error::Result;
use crate::id::EntityId;
use crate::model::Action;
use crate::model::orchestration::LockOrder;
use crate::runtime::Response;
use crate::views::locks::{EntityLock, read_page};

impl Admin {
    /// Returns the list of all locked entities, partition by partition. See [`EntityLock`] for an example.
    pub fn locks(&self) -> List<EntityLock> {
        List::new(self.client.clone(), |client, after, at_most| {
            Box::pin(async move {
                let after = after.map(|after| after.parse()).transpose()?;
                client
                    .on_blocking_thread(move |view| read_page(view, after, at_most))
                    .await
            })
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
            trace: None,
        };
        match submission.run(self.client.hub()).await.map_err(into_error)? {
            Response::Answer(answer) => Ok(answer == b"true"),
            other => Err(unexpected(&other)),
        }
    }
}
