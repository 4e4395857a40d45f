//! Reads of the information about one orchestration.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::client::orchestration::OrchestrationHandle;
use crate::error::{ErrorKind, Result};
use crate::views::info::{OrchestrationInfo, Payloads, read};

/// A read of the information about one orchestration. Created by [`OrchestrationHandle::status`].
#[must_use = "nothing is read until this is awaited"]
pub struct Status<O> {
    handle: OrchestrationHandle<O>,
    payloads: Payloads,
}

impl<O> OrchestrationHandle<O> {
    /// Reads the information about the orchestration as of one moment. Resolves to `None` if there is no orchestration
    /// with this id.
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
    /// let info = run.status().await?;
    /// assert!(info.is_some_and(|info| info.status == OrchestrationStatus::Running));
    /// assert!(client.orchestration::<approval>("unknown").status().await?.is_none());
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn status(&self) -> Status<O> {
        Status {
            handle: self.clone(),
            payloads: Payloads {
                input: true,
                others: true,
            },
        }
    }
}

impl<O> Status<O> {
    /// Leaves out the input, which may be large.
    pub fn without_input(mut self) -> Self {
        self.payloads.input = false;
        self
    }

    pub(super) async fn read(self) -> Result<Option<OrchestrationInfo>> {
        let instance = self.handle.instance()?.clone();
        let client = self.handle.client.of(&instance)?;
        loop {
            let source = client.source().await?;
            let info = source.snapshot(|view| read(view, &instance, self.payloads))?;
            match client.durable(source).await {
                Ok(()) => return Ok(info),
                // The hub has moved to another node meanwhile.
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<O: 'static> IntoFuture for Status<O> {
    type Output = Result<Option<OrchestrationInfo>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Reads the information.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if the id of the handle is
    /// invalid, of kind [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) if a row cannot be read, or any [hub
    /// error](crate::Error).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.read())
    }
}

impl<O> fmt::Debug for Status<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Status").field(&self.handle.id()).finish()
    }
}
