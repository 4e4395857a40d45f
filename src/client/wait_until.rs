//! The wait for a condition on an orchestration.

use serde::Serialize;

use crate::client::changes::ChangeQuery;
use crate::client::orchestration::OrchestrationHandle;
use crate::engine::ChangeKind;
use crate::error::{Error, ErrorKind, Result};
use crate::views::info::OrchestrationInfo;

impl<O> OrchestrationHandle<O> {
    /// Waits until a condition on the status holds, and returns the status. The condition is checked now and after each
    /// durable change of the orchestration. It may miss a status that lasts only briefly.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn approval(ctx: OrchestrationContext, expense: String) -> Result<bool, Failure> {
    ///     ctx.set_custom_status("waiting for a decision");
    ///     Ok(ctx.wait_for_external_event::<bool>("decision").await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// run.wait_until(|info| info.custom_status.is_some()).await?;
    /// run.raise_event("decision", true).await?;
    /// # run.result().await?;
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind [`ErrorKind::Ended`]
    /// if it ends and the condition does not hold, or any [hub error](crate::Error).
    pub async fn wait_until(&self, mut condition: impl FnMut(&OrchestrationInfo) -> bool) -> Result<OrchestrationInfo> {
        let id = self.instance()?.as_str();
        let kinds = ChangeKind::ALL.into_iter().filter(|kind| *kind != ChangeKind::Entity);
        let changes = kinds.fold(self.client.changes().prefix(id), ChangeQuery::kind);
        let mut changes = changes.watch()?;
        loop {
            let info = self.status().read().await?.ok_or_else(|| Error::no_orchestration(id))?;
            if condition(&info) {
                return Ok(info);
            }
            if info.status.is_terminal() {
                let status = info.status.as_str();
                let text = format!("the orchestration `{id}` is {status}, and the condition to wait for does not hold");
                return Err(Error::new(ErrorKind::Ended, text));
            }
            loop {
                let batch = changes.next().await?;
                if batch.has_gap || batch.changes.iter().any(|change| change.id == id) {
                    break;
                }
            }
        }
    }

    /// Waits until the orchestration has set this custom status, and returns its status. See
    /// [`wait_until`](Self::wait_until).
    ///
    /// # Errors
    /// Returns the same errors as [`wait_until`](Self::wait_until), and an error of kind [`ErrorKind::Serialization`] if
    /// the value does not serialize.
    pub async fn wait_for_custom_status(&self, status: impl Serialize) -> Result<OrchestrationInfo> {
        let wanted = serde_json::to_value(status).map_err(|error| {
            let text = format!("the custom status to wait for does not serialize: {error}");
            Error::new(ErrorKind::Serialization, text).with_source(error)
        })?;
        let is_wanted = |text: &str| serde_json::from_str(text).is_ok_and(|value: serde_json::Value| value == wanted);
        let is_set = |info: &OrchestrationInfo| info.custom_status.as_deref().is_some_and(is_wanted);
        self.wait_until(is_set).await
    }
}
