//! The wait until a hub is idle.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::Result;
use crate::runtime::inbox::{Envelope, Reply};
use crate::runtime::shared::Runtime;

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
