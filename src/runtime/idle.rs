//! The wait until a hub is idle.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::{ErrorKind, Result};
use crate::runtime::backpressure::Response;
use crate::runtime::hub_ref::HubRef;
use crate::runtime::inbox::{Envelope, Reply};
use crate::runtime::mail::newest;
use crate::runtime::shared::Runtime;

/// Interval between two looks whether a shard has failed.
const LOOK: Duration = Duration::from_millis(100);

impl Runtime {
    /// Waits until nothing can happen without input from outside or the passing of time. Returns a number that is another one
    /// after each step.
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
    pub(crate) async fn idle(self: &Arc<Self>) -> Result<u64> {
        loop {
            let before = self.order.drawn();
            self.executors_idle().await?;
            Arc::clone(self).durable().await?;
            self.executors_idle().await?;
            if self.order.drawn() == before {
                return Ok(before);
            }
        }
    }

    /// Waits until each executor has had nothing to do once. Returns their answers.
    async fn executors_idle(&self) -> Result<Vec<Response>> {
        // All are asked before the first answer, so that they wait concurrently.
        let mut asked = Vec::with_capacity(self.inboxes.len());
        for inbox in &self.inboxes {
            let (sender, answer) = oneshot::channel();
            let reply = Reply { sender, permit: None };
            if !inbox.send(Envelope::Idle { reply }) {
                return Err(self.end_reason());
            }
            asked.push(answer);
        }
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            answers.push(answer.await.map_err(|_| self.end_reason())??);
        }
        Ok(answers)
    }

    /// Waits until this shard is idle and the others have all its messages. Returns the same number as [`idle`](Self::idle).
    ///
    /// # Errors
    /// Returns the same errors as [`idle`](Self::idle).
    pub(crate) async fn shard_idle(self: &Arc<Self>) -> Result<u64> {
        loop {
            let before = self.idle().await?;
            for to in self.shard.others() {
                let number = newest(to, self.order.store().as_ref())?;
                // The messages of a shard that has failed are not delivered.
                while timeout(LOOK, self.mail.delivered(to, number)).await.is_err() {
                    self.health()?;
                }
            }
            if self.order.drawn() == before {
                return Ok(before);
            }
        }
    }

    /// Asks the node that runs the shard of this runtime, which is another one, as [`shard_idle`](Self::shard_idle) does.
    ///
    /// # Errors
    /// Returns the same errors as [`idle`](Self::idle).
    async fn shard_idle_elsewhere(&self) -> Result<u64> {
        // It has one inbox, which is forwarded.
        let answers = self.executors_idle().await?;
        let number = answers.first().and_then(Response::number);
        number.ok_or_else(|| self.end_reason())
    }
}

/// Waits until all shards of a hub are idle, and no message between them is on its way.
///
/// Each shard is asked twice. If none has worked between its two answers, then all of them were idle after the last answer of
/// the first round, as in [`Runtime::idle`]. A message that was on its way would have been work for its receiver.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Closed`](crate::ErrorKind::Closed), or the error that poisoned the hub.
pub(crate) async fn all_idle(hub: &HubRef) -> Result<()> {
    let mut before = None;
    loop {
        let mut numbers = Vec::new();
        for shard in hub.shards() {
            numbers.push(idle_of(shard).await?);
        }
        if numbers.len() == 1 || before.as_ref() == Some(&numbers) {
            return Ok(());
        }
        before = Some(numbers);
    }
}

async fn idle_of(shard: &HubRef) -> Result<u64> {
    loop {
        let runtime = shard.open()?;
        let answer = if runtime.is_standby {
            runtime.shard_idle_elsewhere().await
        } else {
            runtime.shard_idle().await
        };
        match answer.map_err(|error| shard.not_read(error)) {
            // The shard has moved to another node.
            Err(error) if error.kind() == ErrorKind::Unavailable && shard.moved_from(&runtime).is_some() => {
                tokio::time::sleep(LOOK).await;
            }
            answer => return answer,
        }
    }
}
