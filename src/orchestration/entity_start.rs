//! Starting an orchestration from an operation of an entity.

use std::fmt;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::engine::outbox::{Action, Outgoing};
use crate::entity::{Argument, EntityContext};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, check_tags, check_version, set_tag};
use crate::model::orchestration::{Order, ReusePolicy, StartRecord};
use crate::orchestration::kind::Orchestration;

/// An orchestration that an operation starts, one-way. It begins when the operation has succeeded. Created by
/// [`EntityContext::start_orchestration`].
///
/// The orchestration is started whether or not this value is used; the methods set options. An invalid option fails the
/// operation.
pub struct EntityStart<'a> {
    context: &'a EntityContext,
    /// The index in the outbox. `None` if the start could not be created.
    place: Option<usize>,
}

impl EntityContext {
    /// Starts an orchestration of type `O` when this operation succeeds.
    ///
    /// There is no answer. If the [reuse policy](EntityStart::reuse) forbids the id, nothing is started, and the start
    /// becomes a [dead letter](crate::admin::Admin::dead_letters), from which it can be repeated.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn ship(ctx: OrchestrationContext, pieces: u32) -> u32 {
    ///     pieces
    /// }
    ///
    /// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    /// struct Shelf {
    ///     reserved: u32,
    /// }
    ///
    /// #[operations]
    /// impl Shelf {
    ///     pub fn reserve(&mut self, ctx: &mut EntityContext, pieces: u32) -> String {
    ///         self.reserved += pieces;
    ///         let start = ctx.start_orchestration::<ship>(pieces);
    ///         start.instance_id(format!("{}-{}", ctx.key(), self.reserved)).id()
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().entity::<Shelf>().orchestration::<ship>().open().await?;
    /// # let client = hub.client();
    /// let id = client.entity::<Shelf>("lamp").reserve(3).await?;
    /// let shipping = client.orchestration::<ship>(&id);
    /// # while shipping.status().await?.is_none() {
    /// #     tokio::task::yield_now().await;
    /// # }
    /// assert_eq!((shipping.id(), shipping.result().await?), ("lamp-3", 3));
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn start_orchestration<O: Orchestration>(&self, input: O::Input) -> EntityStart<'_> {
        let mut json = Vec::new();
        let record = match (<O::Input as Argument>::CODE.write)(&input, &mut json) {
            Ok(()) => Ok(StartRecord {
                name: O::NAME.to_owned(),
                version: Some(O::VERSION.to_owned()),
                input: json,
                ..StartRecord::default()
            }),
            Err(reason) => Err(Error::new(
                ErrorKind::Serialization,
                format!("the input of `{}` does not serialize: {reason}", O::NAME),
            )
            .with_source(reason)),
        };
        self.start_record(record)
    }

    /// Starts the orchestration that a record describes.
    pub(crate) fn start_record(&self, record: Result<StartRecord>) -> EntityStart<'_> {
        let mut outbox = self.outbox();
        let place = match record {
            Ok(record) => {
                // Two starts of one operation have different indexes, so their ids differ.
                let target = self.draw_instance_id(outbox.messages.len());
                let action = Action::Order(Box::new(Order::Start(Box::new(record))));
                outbox.messages.push(Outgoing { target, action });
                Some(outbox.messages.len() - 1)
            }
            Err(error) => {
                outbox.error.get_or_insert(error);
                None
            }
        };
        EntityStart { context: self, place }
    }

    /// Returns an id that is the same in every attempt of this operation, and differs from that of any other start of
    /// any hub.
    fn draw_instance_id(&self, place: usize) -> InstanceId {
        let hash = xxh3_128(format!("{}/{place}", self.idempotency_key()).as_bytes());
        let id: Uuid = uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid();
        InstanceId::trusted(self.id().instance().place(id.to_string()))
    }
}

impl EntityStart<'_> {
    /// Sets the id of the new orchestration (default: derived from the message that requested the operation, and
    /// [placed](crate::Placed) with this entity).
    ///
    /// An id contains no `/`, `\`, `#`, `?` or control characters, does not begin with `@`, is not a dot segment of a
    /// URL (`.`, `..`), and has at most [`MAX_ID_BYTES`](crate::MAX_ID_BYTES) bytes.
    pub fn instance_id(self, id: impl AsRef<str>) -> Self {
        let id = InstanceId::orchestration(id.as_ref());
        self.change(|message| {
            message.target = id?;
            Ok(())
        })
    }

    /// Selects the version to start, among those that are registered.
    pub fn version(self, version: impl Into<String>) -> Self {
        self.change_record(|record| {
            let version = version.into();
            check_version(&version)?;
            record.version = Some(version);
            Ok(())
        })
    }

    /// Adds a tag, by which the orchestration can be found. It replaces a tag with the same name.
    pub fn tag(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.change_record(|record| {
            set_tag(&mut record.tags, name.into(), value.into());
            check_tags(&record.tags)
        })
    }

    /// Sets the policy for an id that is in use (default: [`ReusePolicy::Error`]).
    pub fn reuse(self, policy: ReusePolicy) -> Self {
        self.change_record(|record| {
            record.reuse = policy;
            Ok(())
        })
    }

    /// Returns the id of the new orchestration. It is empty if the start could not be created, which fails the
    /// operation.
    pub fn id(&self) -> String {
        let outbox = self.context.outbox();
        let message = self.place.and_then(|place| outbox.messages.get(place));
        message.map_or_else(String::new, |message| message.target.as_str().to_owned())
    }

    fn change_record(self, change: impl FnOnce(&mut StartRecord) -> Result<()>) -> Self {
        self.change(|message| match &mut message.action {
            Action::Order(order) => match &mut **order {
                Order::Start(record) => change(record),
                _ => Ok(()),
            },
            _ => Ok(()),
        })
    }

    fn change(self, change: impl FnOnce(&mut Outgoing) -> Result<()>) -> Self {
        let mut outbox = self.context.outbox();
        if let Some(message) = self.place.and_then(|place| outbox.messages.get_mut(place))
            && let Err(error) = change(message)
        {
            outbox.error.get_or_insert(error);
        }
        drop(outbox);
        self
    }
}

impl fmt::Debug for EntityStart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EntityStart").field(&self.id()).finish()
    }
}
