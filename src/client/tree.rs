//! Reads of the tree of an orchestration.

use crate::client::orchestration::OrchestrationHandle;
use crate::error::Result;
use crate::views::tree::{OrchestrationTree, read};

impl<O> OrchestrationHandle<O> {
    /// Reads the tree of the orchestration: the orchestrations that its newest execution has started, and theirs, as of
    /// one moment. Resolves to `None` if there is no orchestration with this id. A tree is limited to 1,000
    /// orchestrations and a depth of 50.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn parcel(ctx: OrchestrationContext, article: String) -> Result<String, Failure> {
    ///     Ok(article)
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext, article: String) -> Result<String, Failure> {
    ///     Ok(ctx.call_sub_orchestration::<parcel>(article).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<parcel>().orchestration::<order>().open().await?;
    /// let run = hub.client().start::<order>("lamp".into()).await?;
    /// run.result().await?;
    /// let tree = run.tree().await?.expect("it was started");
    /// assert_eq!(tree.children[0].name, "parcel");
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if the id of the handle is
    /// invalid, of kind [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) if a row cannot be read, or any
    /// [hub error](crate::Error).
    pub async fn tree(&self) -> Result<Option<OrchestrationTree>> {
        let instance = self.instance()?.clone();
        self.client.on_blocking_thread(move |view| read(view, &instance)).await
    }
}
