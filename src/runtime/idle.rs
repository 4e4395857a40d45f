//! The wait until a hub is idle.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::Result;
use crate::runtime::inbox::{Envelope, Reply};
use crate::runtime::mail::newest;
use crate::runtime::shared::Runtime;

/// Interval between two looks whether a shard has failed.
const LOOK: Duration = Duration::from_millis(100);

impl Runtime {
    /// Waits until nothing can happen without input from outside or the passing of time.
    ///
    /// An executor that answers may receive a message of another one right afterwards, so all of them are asked twice.
    /// If no step began since before the first round, then between the two rounds
    /// * no step was running: the executor of an earlier step has answered in the first round, after the step,
    /// * all inboxes were empty: what was sent before the second question is received before it, and leads to a step,
    /// * no user code was running: its end leads to a step as well.
    ///
    /// So the messages of all steps were processed, and the commits of all steps are those that the wait between the
    /// rounds covers. Each repetition follows a step, and no executor is asked while it has work.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`](crate::ErrorKind::Closed), or the error that poisoned the hub.
    pub(crate) async fn idle(self: &Arc<Self>) -> Result<()> {
        loop {
            let before = self.order.drawn();
            self.executors_idle().await?;
            Arc::clone(self).durable().await?;
            self.executors_idle().await?;
            if self.order.drawn() == before {
                return Ok(());
            }
        }
    }

    /// Waits until each executor has had nothing to do once.
    async fn executors_idle(&self) -> Result<()> {
        // All are asked before the first answer, so that they wait concurrently.
        let mut answers = Vec::with_capacity(self.inboxes.len());
        for inbox in &self.inboxes {
            let (sender, answer) = oneshot::channel();
            let reply = Reply { sender, permit: None };
            if !inbox.send(Envelope::Idle { reply }) {
                return Err(self.end_reason());
            }
            answers.push(answer);
        }
        for answer in answers {
            answer.await.map_err(|_| self.end_reason())??;
        }
        Ok(())
    }
}

/// Waits until all shards of a hub are idle, and no message between them is on its way.
///
/// Each repetition follows a step of a shard, as in [`Runtime::idle`].
///
/// # Errors
/// Returns the same errors as [`Runtime::idle`].
pub(crate) async fn all_idle(shards: &[Arc<Runtime>]) -> Result<()> {
    let drawn = || shards.iter().map(|shard| shard.order.drawn()).collect::<Vec<_>>();
    loop {
        let before = drawn();
        for shard in shards {
            shard.idle().await?;
        }
        if shards.len() == 1 {
            return Ok(());
        }
        for shard in shards {
            for to in shard.shard.others() {
                let number = newest(to, shard.order.store().as_ref())?;
                // The messages of a shard that has failed are not delivered.
                while timeout(LOOK, shard.mail.delivered(to, number)).await.is_err() {
                    shards.iter().try_for_each(|shard| shard.health())?;
                }
            }
        }
        if drawn() == before {
            return Ok(());
        }
    }
}
