//! Starting of orchestrations.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use crate::client::draw::draw_id;
use crate::client::handle::Client;
use crate::client::json;
use crate::client::orchestration::{AnyOrchestration, OrchestrationHandle};
use crate::client::reply::{into_error, unexpected};
use crate::client::submit::{SendOptions, Submission};
use crate::entity::{Argument, Key};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, set_tag};
use crate::json::write_value;
use crate::model::orchestration::{Order, ReusePolicy, StartRecord};
use crate::orchestration::Orchestration;
use crate::runtime::Response;
use crate::time::Timestamp;
#[cfg(feature = "http")]
use crate::trace::TraceContext;

/// An orchestration to start. Created by [`Client::start`] and [`Client::start_by_name`].
///
/// The orchestration is started when this is awaited. The future resolves to a handle when the start is durable.
///
/// ```
/// use std::time::Duration;
///
/// use abide::orchestration::ReusePolicy;
/// use abide::prelude::*;
///
/// #[orchestration]
/// async fn order(ctx: OrchestrationContext, article: String) -> Result<String, Failure> {
///     Ok(format!("{article} as {}", ctx.instance_id()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().orchestration::<order>().open().await?;
/// # let client = hub.client();
/// let run = client
///     .start::<order>("lamp".into())
///     .instance_id("order-17")
///     .tag("customer", "alice")
///     .reuse(ReusePolicy::RejectDuplicate)
///     .after(Duration::from_millis(10))
///     .refuse_when_full()
///     .await?;
/// assert_eq!(run.result().await?, "lamp as order-17");
/// # hub.shutdown().await
/// # }
/// ```
#[must_use = "an orchestration is started when this is awaited"]
pub struct Start<O = AnyOrchestration> {
    client: Client,
    id: Id,
    sending: SendOptions,
    after: Option<Duration>,
    /// The start, or the reason why its input could not be serialized.
    record: Result<StartRecord>,
    of: PhantomData<fn() -> O>,
}

/// The id of a new orchestration.
#[derive(Debug)]
enum Id {
    Given(String),
    Generated { placement: Option<String> },
}

impl Client {
    /// Starts an orchestration of type `O`, in the version of the type.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn greet(ctx: OrchestrationContext, name: String) -> String {
    ///     format!("Hello, {name}!")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::in_memory().orchestration::<greet>().open().await?;
    /// let run = hub.client().start::<greet>("Alice".into()).await?;
    /// assert_eq!(run.result().await?, "Hello, Alice!");
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// The function is named like a type, which `#[orchestration]` generates next to it. Without the attribute, the
    /// compiler reports "constant provided when a type was expected". In this case, add `#[orchestration]` to the
    /// function.
    pub fn start<O: Orchestration>(&self, input: O::Input) -> Start<O> {
        let mut json = Vec::new();
        let written = (<O::Input as Argument>::CODE.write)(&input, &mut json);
        let record = written.map(|()| StartRecord {
            name: O::NAME.to_owned(),
            version: Some(O::VERSION.to_owned()),
            input: json,
            ..StartRecord::default()
        });
        Start::new(self.share(), record.map_err(|reason| not_serialized(O::NAME, reason)))
    }

    /// Starts an orchestration by its stored name, by default in its newest registered version. This method is meant
    /// for tools. Programs that know the type use [`start`](Self::start).
    ///
    /// `input` is checked against the type before anything is stored.
    ///
    /// ```
    /// use abide::prelude::*;
    /// use serde_json::json;
    ///
    /// # #[orchestration]
    /// # async fn greet(ctx: OrchestrationContext, name: String) -> String {
    /// #     format!("Hello, {name}!")
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<greet>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start_by_name("greet", json!("Alice")).await?;
    /// assert_eq!(run.result().await?, json!("Hello, Alice!"));
    ///
    /// let error = client.start_by_name("greet", json!(7)).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidArguments);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn start_by_name(&self, name: impl Into<String>, input: serde_json::Value) -> Start {
        let name = name.into();
        let mut json = Vec::new();
        let record = write_value(&input, &mut json)
            .map(|()| StartRecord {
                name: name.clone(),
                input: json,
                ..StartRecord::default()
            })
            .map_err(|reason| not_serialized(&name, reason));
        Start::new(self.share(), record)
    }

    /// Like [`start_by_name`](Self::start_by_name), but takes the input as JSON. An empty input stands for `null`.
    pub fn start_by_name_with_json(&self, name: impl Into<String>, input: impl Into<Vec<u8>>) -> Start {
        let name = name.into();
        let record = json::checked(input.into(), || format!("the input of `{name}`")).map(|input| StartRecord {
            name: name.clone(),
            input,
            ..StartRecord::default()
        });
        Start::new(self.share(), record)
    }
}

impl<O> Start<O> {
    pub(super) fn new(client: Client, record: Result<StartRecord>) -> Self {
        Self {
            client,
            id: Id::Generated { placement: None },
            sending: SendOptions::default(),
            after: None,
            record,
            of: PhantomData,
        }
    }

    /// Replaces the input, which is JSON.
    #[cfg(feature = "http")]
    pub(super) fn with_json(mut self, input: String) -> Self {
        self.set(|record| record.input = input.into_bytes());
        self
    }

    /// Sets the id of the new orchestration. By default, the id is generated. With a [`request_id`](Self::request_id),
    /// it is derived from that id, so that a retry refers to the same orchestration.
    ///
    /// An id contains no `/`, `\`, `#`, `?` or control characters, does not begin with `@`, and is not a dot segment of
    /// a URL (`.`, `..`). It has at most [`MAX_ID_BYTES`](crate::MAX_ID_BYTES) bytes.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.id = Id::Given(id.into());
        self
    }

    /// Generates an id with a [placement](crate::Placed): the orchestration is in the same shard as everything else that has
    /// it. Replaces an [`instance_id`](Self::instance_id). An empty placement, or one with a `}`, is refused with
    /// [`ErrorKind::InvalidId`].
    pub fn placed_with(mut self, placement: impl Key) -> Self {
        let mut text = String::new();
        placement.write_key(&mut text);
        self.id = Id::Generated { placement: Some(text) };
        self
    }

    /// Sets the version to start, which must be registered.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration(name = "greet", version = "1")]
    /// async fn greet_v1(ctx: OrchestrationContext, name: String) -> String {
    ///     format!("Hello, {name}!")
    /// }
    ///
    /// #[orchestration(name = "greet", version = "2")]
    /// async fn greet_v2(ctx: OrchestrationContext, name: String) -> String {
    ///     format!("Good day, {name}!")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::in_memory().orchestration::<greet_v1>().orchestration::<greet_v2>().open().await?;
    /// let run = hub.client().start::<greet_v2>("Alice".into()).version("1").await?;
    /// assert_eq!(run.result().await?, "Hello, Alice!");
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.set(|record| record.version = Some(version.into()));
        self
    }

    /// Delays the start until this time. Until then, the orchestration is `Pending`.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
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
    /// let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    /// let run = client.start::<approval>("a chair".into()).at(tomorrow).await?;
    /// let info = run.status().await?;
    /// assert!(info.is_some_and(|info| info.status == OrchestrationStatus::Pending));
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn at(mut self, time: SystemTime) -> Self {
        self.after = None;
        self.set(|record| record.at = Some(Timestamp::from(time)));
        self
    }

    /// Delays the start by this duration. Until then, the orchestration is `Pending`.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = Some(delay);
        self
    }

    /// Adds a tag, which queries can filter by. A second tag with the same name replaces the first. An orchestration
    /// has at most 64 tags, with at most 16 KiB of names and values in total.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|record| {
            set_tag(&mut record.tags, name.into(), value.into());
        });
        self
    }

    /// Sets the trace that the orchestration belongs to.
    #[cfg(feature = "http")]
    pub(crate) fn trace(mut self, trace: Option<TraceContext>) -> Self {
        self.set(|record| record.trace = trace.map(Box::new));
        self
    }

    /// Sets what happens if the id is in use. Defaults to [`ReusePolicy::Error`].
    ///
    /// ```
    /// use abide::orchestration::ReusePolicy;
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
    /// let start = || client.start::<approval>("a chair".into()).instance_id("chair");
    /// start().await?;
    /// // A second start fails, has no effect, or replaces the first orchestration.
    /// assert_eq!(start().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// start().reuse(ReusePolicy::Ignore).await?;
    /// start().reuse(ReusePolicy::Terminate).await?;
    /// assert_eq!(client.orchestrations().count().await?, 1);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn reuse(mut self, policy: ReusePolicy) -> Self {
        self.set(|record| record.reuse = policy);
        self
    }

    /// Makes retries idempotent: requests with the same request id take effect once and return the same answer.
    ///
    /// A retry must repeat the same request. Arguments are compared as JSON values, so the order of a `HashMap` does
    /// not matter. Arrays are ordered, so use a `BTreeSet` or a sorted `Vec` instead of a `HashSet`.
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
    /// let first = client.start::<approval>("a chair".into()).request_id("req-1").await?;
    /// let retry = client.start::<approval>("a chair".into()).request_id("req-1").await?;
    /// assert_eq!(first.id(), retry.id());
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.sending.request_id = Some(request_id.into());
        self
    }

    /// Fails with [`ErrorKind::Overloaded`] instead of waiting for room.
    pub fn refuse_when_full(mut self) -> Self {
        self.sending.refuse_when_full = true;
        self
    }

    fn set(&mut self, set: impl FnOnce(&mut StartRecord)) {
        if let Ok(record) = &mut self.record {
            set(record);
        }
    }

    async fn run(self) -> Result<OrchestrationHandle<O>> {
        let mut record = self.record?;
        if let Some(delay) = self.after {
            record.at = Some(self.client.runtime()?.clock.now().after(delay));
        }
        let drawn = || draw_id("start", self.sending.request_id.as_deref());
        let id = match &self.id {
            Id::Given(id) => InstanceId::orchestration(id)?,
            Id::Generated { placement: None } => InstanceId::trusted(drawn()),
            Id::Generated {
                placement: Some(placement),
            } => InstanceId::placed(placement, &drawn())?,
        };
        let submission = Submission::order(id.clone(), Order::Start(Box::new(record))).with(self.sending);
        match submission.run(self.client.hub()).await.map_err(into_error)? {
            Response::Answer(_) => Ok(OrchestrationHandle::new(self.client, Ok(id))),
            other => Err(unexpected(&other)),
        }
    }
}

impl<O: 'static> IntoFuture for Start<O> {
    type Output = Result<OrchestrationHandle<O>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Starts the orchestration.
    ///
    /// # Errors
    /// Returns an error of kind:
    /// * [`ErrorKind::Unregistered`] if the name or the version is not registered,
    /// * [`ErrorKind::InvalidArguments`] if the input does not decode into the input type,
    /// * [`ErrorKind::InvalidId`] if the id, the request id or a tag is invalid,
    /// * [`ErrorKind::TooLarge`] if the input or the tags exceed the limit,
    /// * [`ErrorKind::AlreadyExists`] if an orchestration with this id has not ended,
    /// * [`ErrorKind::RequestIdReused`] if the request id was used for a different request.
    ///
    /// It also returns any [hub error](crate::Error).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<O> fmt::Debug for Start<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("id", &self.id)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

fn not_serialized(name: &str, reason: serde_json::Error) -> Error {
    let text = format!("the input of `{name}` does not serialize: {reason}");
    Error::new(ErrorKind::Serialization, text).with_source(reason)
}
