//! Dead letters: messages that could not be processed.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{MessageId, PartitionId};
use crate::model::orchestration::Order;
use crate::model::{self, Action, DeadLetterRecord};
use crate::schema;
use crate::views::json;
use crate::views::pages::{Page, page, stored_entity};
use crate::views::view::View;

/// A message that could not be processed: a signal to an entity, or a start whose id was in use. Dead letters are kept
/// for the [retention time](crate::HubBuilder::dead_letter_retention) (default: 30 days), unless there are too many.
///
/// ```
/// use abide::prelude::*;
///
/// #[orchestration]
/// async fn ship(ctx: OrchestrationContext, pieces: u32) -> Result<u32, Failure> {
///     ctx.wait_for_external_event::<()>("shipped").await?;
///     Ok(pieces)
/// }
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Shelf {
///     reserved: u32,
/// }
///
/// #[operations]
/// impl Shelf {
///     pub fn reserve(&mut self, ctx: &mut EntityContext, pieces: u32) {
///         self.reserved += pieces;
///         ctx.start_orchestration::<ship>(pieces).instance_id("shipping");
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Shelf>().orchestration::<ship>().open().await?;
/// # let client = hub.client();
/// # let admin = client.admin();
/// // The id of the second start is in use, so that start becomes a dead letter.
/// let lamps = client.entity::<Shelf>("lamp");
/// lamps.reserve(3).await?;
/// lamps.reserve(4).await?;
/// # while admin.dead_letters().await?.is_empty() {
/// #     tokio::task::yield_now().await;
/// # }
/// for letter in admin.dead_letters().await? {
///     println!("{} for {}: {}", letter.operation, letter.target, letter.reason);
///     assert_eq!(letter.arguments, "4");
///     // Or `admin.redeliver(&letter.id)`, once the id is free.
///     assert!(admin.drop_dead_letter(&letter.id).await?);
/// }
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its id, for [`Admin::redeliver`](crate::admin::Admin::redeliver) and
    /// [`Admin::drop_dead_letter`](crate::admin::Admin::drop_dead_letter).
    pub id: String,
    /// The id of the entity that it was sent to, or of the orchestration to start.
    pub target: String,
    /// The name of the requested operation, or of the orchestration.
    pub operation: String,
    /// The operation's arguments, or the orchestration's input, as JSON.
    pub arguments: String,
    /// The id of the sender. `None` for a client.
    pub source: Option<String>,
    /// The reason why it could not be processed.
    pub reason: String,
    /// The time at which it became a dead letter.
    pub dead_lettered_at: SystemTime,
}

/// Reads one page, after the item with the id `after`.
pub(crate) fn read_page(view: View<'_>, after: Option<LetterId>, at_most: usize) -> Result<Page<DeadLetter>> {
    let after = after.map(|LetterId { partition, message }| (partition, schema::dead_letter::key(partition, message)));
    let id = |partition: PartitionId, key: &[u8]| {
        let message = schema::message::id_of(key)?;
        Some(LetterId { partition, message }.to_string())
    };
    page(
        view,
        schema::dead_letter::all,
        after,
        at_most,
        id,
        |id, (_, _, value)| DeadLetter::new(id, model::decode(value, "dead letter")?),
    )
}

impl DeadLetter {
    fn new(id: &str, record: DeadLetterRecord) -> Result<Self> {
        let (operation, arguments) = match record.action {
            Action::Operation { operation, arguments } => {
                stored_entity(record.target.as_str())?;
                (operation.into_owned(), arguments)
            }
            Action::Order(order) => match *order {
                Order::Start(start) => (start.name, start.input),
                order => return Err(no_letter(&order)),
            },
            action => return Err(no_letter(&action)),
        };
        Ok(Self {
            id: id.to_owned(),
            target: record.target.to_string(),
            operation,
            arguments: json::text(arguments),
            source: record.source.map(|source| source.to_string()),
            reason: record.reason,
            dead_lettered_at: record.died.into(),
        })
    }
}

fn no_letter(action: &impl fmt::Debug) -> Error {
    let text = format!("a stored dead letter contains {action:?}, which cannot become a dead letter");
    Error::new(ErrorKind::Corrupted, text)
}

/// The id of a dead letter in the form that operators see.
pub(crate) struct LetterId {
    pub(crate) partition: PartitionId,
    pub(crate) message: MessageId,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition.0, self.message)
    }
}

impl FromStr for LetterId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (partition, message) = text.split_once('-')?;
            let (batch, index) = message.split_once('-')?;
            Some(Self {
                partition: PartitionId(partition.parse().ok()?),
                message: MessageId {
                    batch: batch.parse().ok()?,
                    index: index.parse().ok()?,
                },
            })
        };
        parse().ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            Error::new(
                ErrorKind::InvalidId,
                format!(
                    "`{}` is not the id of a dead letter; list the ids with `client.admin().dead_letters()`",
                    shown.escape_debug()
                ),
            )
        })
    }
}
