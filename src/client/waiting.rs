//! Reads of the reasons why an orchestration does not continue.

use crate::client::orchestration::OrchestrationHandle;
use crate::error::Result;
use crate::views::waiting::{Waiting, read};

impl<O> OrchestrationHandle<O> {
    /// Reads why the orchestration does not continue: its open steps and what each of them waits for, as of one moment.
    /// Resolves to `None` if there is no orchestration with this id.
    ///
    /// A step may wait for a sub-orchestration, or for the orchestration that holds a lock. The report then contains the
    /// report of that one, too. The client of an inspected, stopped hub reports only what is stored.
    ///
    /// ```
    /// use abide::client::WaitReason;
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    ///     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    ///     Ok(format!("{expense}: {approved}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// let run = hub.client().start::<approval>("a chair".into()).await?;
    ///
    /// let waiting = run.waiting().await?.expect("it was started");
    /// let [step] = &waiting.steps[..] else { panic!("it waits for one step") };
    /// assert!(matches!(&step.reason, WaitReason::Event { name } if name == "decision"));
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if the id of the handle is
    /// invalid, of kind [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) if a row cannot be read, or any
    /// [hub error](crate::Error).
    pub async fn waiting(&self) -> Result<Option<Waiting>> {
        let instance = self.instance()?.clone();
        self.client.on_blocking_thread(move |view| read(view, &instance)).await
    }
}
