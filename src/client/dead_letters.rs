//! Dead letters, for operators.

use crate::client::admin::Admin;
use crate::client::list::List;
use crate::client::submit::ask;
use crate::engine::message::{LetterFate, OperatorRequest};
use crate::error::Result;
use crate::views::dead_letters::{DeadLetter, LetterId, read_page};

impl Admin {
    /// Returns the list of all dead letters, partition by partition, oldest first. An unreadable one can be dropped by
    /// its id. See [`DeadLetter`] for an example.
    pub fn dead_letters(&self) -> List<DeadLetter> {
        List::new(self.client.clone(), |client, after, at_most| {
            Box::pin(async move {
                let after = after.map(|after| after.parse()).transpose()?;
                client
                    .on_blocking_thread(move |view| read_page(view, after, at_most))
                    .await
            })
        })
    }

    /// Redelivers a dead letter as a new message at the end of the queue of its entity. Returns `false` if there is no
    /// such dead letter.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if `id` is not a
    /// [`DeadLetter::id`], of kind [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) if its row cannot be read, or
    /// any [hub error](crate::Error).
    pub async fn redeliver(&self, id: &str) -> Result<bool> {
        self.settle_dead_letter(id, LetterFate::Redeliver).await
    }

    /// Deletes a dead letter, even one whose row cannot be read. Returns `false` if there is no such dead letter.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if `id` is not a
    /// [`DeadLetter::id`], or any [hub error](crate::Error).
    pub async fn drop_dead_letter(&self, id: &str) -> Result<bool> {
        self.settle_dead_letter(id, LetterFate::Drop).await
    }

    async fn settle_dead_letter(&self, id: &str, fate: LetterFate) -> Result<bool> {
        let LetterId { partition, message } = id.parse()?;
        if partition.0 >= self.client.runtime()?.partitions {
            return Ok(false);
        }
        let request = OperatorRequest::DeadLetter {
            partition,
            id: message,
            fate,
        };
        ask(self.client.hub(), request).await
    }
}
