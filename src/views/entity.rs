//! Everything about one entity that an operator may want to see.

use std::ops::Range;
use std::time::SystemTime;

use crate::error::Result;
use crate::id::{EntityId, InstanceId, MessageId};
use crate::model::orchestration::LockOrder;
use crate::model::{self, Action, AuditRecord, MessageRecord, QuarantineRecord, StateRecord, TimerRecord};
use crate::payload::Payload;
use crate::schema;
use crate::store::PageBounds;
use crate::views::json;
use crate::views::locks::{self, EntityLock};
use crate::views::pages::BYTES_A_PAGE;
use crate::views::view::View;

/// Maximum number of messages, and of scheduled signals, that are described.
const MOST_DESCRIBED: usize = 100;

/// Maximum number of messages that are counted.
const MOST_COUNTED: usize = 10_000;

/// Everything about one entity that an operator may want to see, as of one moment.
///
/// ```
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// # let client = hub.client();
/// client.entity::<Counter>("visits").add(5).await?;
/// let details = client.admin().entity_details(&"@counter@visits".parse()?).await?;
/// assert_eq!(details.state.as_deref(), Some(r#"{"total":5}"#));
/// assert!(details.lock.is_none() && details.messages.is_empty());
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntityDetails {
    /// The entity.
    pub id: EntityId,
    /// True if this build has registered its type. `None` for a stopped hub, whose code is unknown.
    pub is_registered: Option<bool>,
    /// Its state as JSON, if it has one.
    pub state: Option<String>,
    /// The time of the last write of its state.
    pub last_change: Option<SystemTime>,
    /// Its lock, if an orchestration holds it.
    pub lock: Option<EntityLock>,
    /// The reason why it is quarantined or held, if it is.
    pub quarantine: Option<EntityQuarantine>,
    /// The number of messages that wait for it as rows: at most 10,000, and those with priority. Messages that are
    /// processed right after they arrive are never rows.
    pub waiting: u64,
    /// The first 100 of these messages, in the order in which the entity takes them.
    pub messages: Vec<WaitingMessage>,
    /// Its first 100 scheduled signals, ordered by id. Fewer if their arguments have more than 4 MiB.
    pub scheduled: Vec<ScheduledOperation>,
    /// The last changes of its state, newest first: at most 4 MiB of them. Empty unless its type keeps them with
    /// `#[entity(audit = 20)]`.
    pub changes: Vec<StateChange>,
}

/// A change of the state of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange {
    /// The time of the change.
    pub time: SystemTime,
    /// The operation that made it.
    pub operation: String,
    /// The id of the sender of the operation. `None` for a client.
    pub source: Option<String>,
    /// The state after the change, as JSON. `None` if it was deleted.
    pub state: Option<String>,
}

/// The reason why an entity is quarantined or held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityQuarantine {
    /// The reason.
    pub reason: String,
    /// The time at which it began.
    pub since: SystemTime,
}

/// A message that waits for an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitingMessage {
    /// The kind of the message.
    pub kind: MessageKind,
    /// The operation, if the message requests one.
    pub operation: Option<String>,
    /// The arguments of the operation as JSON.
    pub arguments: Option<String>,
    /// The id of the sender. `None` for a client.
    pub source: Option<String>,
}

/// The kind of a message to an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageKind {
    /// A signal, which has no answer.
    Signal,
    /// A call, whose sender waits for the answer.
    Call,
    /// A request for the lock of the entity.
    Lock,
    /// The release of the lock.
    Unlock,
    /// A signal to schedule.
    Schedule,
    /// The cancellation of a scheduled signal.
    Cancel,
}

/// A scheduled signal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledOperation {
    /// The id of the timer.
    pub id: String,
    /// The time at which the signal is due.
    pub due: SystemTime,
    /// The operation.
    pub operation: String,
    /// The arguments of the operation as JSON.
    pub arguments: String,
    /// The id of the sender. `None` for a client.
    pub source: Option<String>,
}

/// Reads everything about an entity.
pub(crate) fn read(view: View<'_>, id: &EntityId) -> Result<EntityDetails> {
    let instance = id.instance();
    let partition = instance.partition(view.partitions);
    let mut details = EntityDetails {
        id: id.clone(),
        is_registered: view.live.map(|live| live.has_entity(id.name())),
        state: None,
        last_change: None,
        lock: locks::of(view, id)?,
        quarantine: None,
        waiting: 0,
        messages: Vec::new(),
        scheduled: Vec::new(),
        changes: changes(view, instance)?,
    };
    if let Some(row) = view.reader.get(&schema::state::key(partition, instance))? {
        let record: StateRecord<'_> = model::decode(&row, "state")?;
        details.state = Some(Payload::of(record.state).shown().into_owned());
        details.last_change = Some(record.changed.into());
    }
    if let Some(row) = view.reader.get(&schema::quarantine::key(partition, instance))? {
        let record: QuarantineRecord = model::decode(&row, "quarantine")?;
        details.quarantine = Some(EntityQuarantine {
            reason: record.reason,
            since: record.since.into(),
        });
    }
    for range in [
        schema::priority::of(partition, instance),
        schema::message::of(partition, instance, MessageId::MIN),
    ] {
        details.waiting += view.reader.keys(range.clone(), MOST_COUNTED)?.len() as u64;
        messages(view, range, &mut details.messages)?;
    }
    details.scheduled = scheduled(view, instance)?;
    Ok(details)
}

fn messages(view: View<'_>, range: Range<Vec<u8>>, described: &mut Vec<WaitingMessage>) -> Result<()> {
    let bounds = PageBounds {
        rows: MOST_DESCRIBED.saturating_sub(described.len()).max(1),
        ..PageBounds::USUAL
    };
    for (_, row) in view.reader.page(range, bounds)?.rows {
        if described.len() < MOST_DESCRIBED {
            described.push(WaitingMessage::of(model::decode(&row, "message")?));
        }
    }
    Ok(())
}

/// Reads the newest changes, as many as fit into a page.
fn changes(view: View<'_>, id: &InstanceId) -> Result<Vec<StateChange>> {
    let range = schema::audit::of(id.partition(view.partitions), id);
    let (mut changes, mut bytes) = (Vec::new(), 0);
    for key in view.reader.keys(range, usize::MAX)?.iter().rev() {
        let Some(row) = view.reader.get(key)? else { continue };
        bytes += row.len();
        if bytes > BYTES_A_PAGE && !changes.is_empty() {
            break;
        }
        let record: AuditRecord = model::decode(&row, "change of a state")?;
        changes.push(StateChange {
            time: record.time.into(),
            operation: record.operation,
            source: record.source.map(|source| source.to_string()),
            state: record.state.map(|state| json::text(state.into_vec())),
        });
    }
    Ok(changes)
}

impl WaitingMessage {
    fn of(record: MessageRecord) -> Self {
        let kind = match &record.action {
            Action::Operation { .. } if record.call => MessageKind::Call,
            Action::Operation { .. } | Action::Order(_) => MessageKind::Signal,
            Action::Schedule { .. } => MessageKind::Schedule,
            Action::Cancel { .. } => MessageKind::Cancel,
            Action::Lock(order) => match **order {
                LockOrder::Take { .. } => MessageKind::Lock,
                _ => MessageKind::Unlock,
            },
        };
        let operation = record.action.asks_for().map(str::to_owned);
        let arguments = match record.action {
            Action::Operation { arguments, .. } | Action::Schedule { arguments, .. } => Some(json::text(arguments)),
            _ => None,
        };
        Self {
            kind,
            operation,
            arguments,
            source: record.source.map(|source| source.to_string()),
        }
    }
}

fn scheduled(view: View<'_>, id: &InstanceId) -> Result<Vec<ScheduledOperation>> {
    let partition = id.partition(view.partitions);
    let (mut scheduled, mut bytes) = (Vec::new(), 0);
    for (key, due) in view
        .reader
        .scan(schema::timer::names_of(partition, id), MOST_DESCRIBED)?
    {
        let (Some(name), due) = (schema::timer::name_of(&key, id), schema::timer::due_of(&due)?) else {
            continue;
        };
        let Some(row) = view.reader.get(&schema::timer::key(partition, due, id, name))? else {
            continue;
        };
        bytes += row.len();
        if bytes > BYTES_A_PAGE {
            break;
        }
        let record: TimerRecord = model::decode(&row, "timer")?;
        if let Action::Operation { operation, arguments } = record.action {
            scheduled.push(ScheduledOperation {
                id: name.to_owned(),
                due: due.into(),
                operation: operation.into_owned(),
                arguments: json::text(arguments),
                source: record.source.map(|source| source.to_string()),
            });
        }
    }
    Ok(scheduled)
}
