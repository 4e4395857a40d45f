//! Reads of the history of an orchestration.

use std::ops::Range;

use crate::client::orchestration::OrchestrationHandle;
use crate::error::{Error, Result};
use crate::views::history::{HistoryEvent, HistoryPart, read, read_part};
use crate::views::recorded::RecordedHistory;
use crate::views::view::View;

impl<O> OrchestrationHandle<O> {
    /// Reads the history of the newest execution of the orchestration as of one moment, oldest event first.
    ///
    /// ```
    /// use abide::history::HistoryEventKind;
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// run.raise_event("decision", true).await?;
    /// run.result().await?;
    ///
    /// let history = run.history().await?;
    /// for event in &history {
    ///     println!("{:?} in turn {}: {:?}", event.time, event.turn, event.kind);
    /// }
    /// let last = history.last().map(|event| &event.kind);
    /// assert!(matches!(last, Some(HistoryEventKind::ExecutionCompleted { .. })));
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such orchestration,
    /// of kind [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) if a row cannot be read, or any [hub
    /// error](crate::Error).
    pub async fn history(&self) -> Result<Vec<HistoryEvent>> {
        let instance = self.instance()?.clone();
        let client = self.client.of(&instance)?;
        client.on_blocking_thread(move |view| read(view, &instance)).await
    }

    /// Reads some turns of the history of the newest execution, for histories that are too long to be read at once.
    /// Turns that do not exist are left out.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// run.raise_event("decision", true).await?;
    /// run.result().await?;
    ///
    /// let part = run.history_turns(1..2).await?;
    /// assert_eq!(part.turns, 2);
    /// assert!(part.events.iter().all(|event| event.turn == 1));
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the same errors as [`history`](Self::history).
    pub async fn history_turns(&self, turns: Range<u32>) -> Result<HistoryPart> {
        let instance = self.instance()?.clone();
        let client = self.client.of(&instance)?.into_owned();
        let read = move |view: View<'_>| read_part(view, &instance, turns);
        client.on_blocking_thread(read).await
    }

    /// Reads the history of the newest execution in a form that can be kept outside of the hub, so that later builds can
    /// be checked against it. The module `testing` replays it.
    ///
    /// # Errors
    /// Returns the same errors as [`history`](Self::history).
    pub async fn recorded_history(&self) -> Result<RecordedHistory> {
        let instance = self.instance()?.clone();
        let client = self.client.of(&instance)?.into_owned();
        let read = move |view: View<'_>| {
            RecordedHistory::read(view, &instance)?.ok_or_else(|| Error::no_orchestration(instance.as_str()))
        };
        client.on_blocking_thread(read).await
    }
}
