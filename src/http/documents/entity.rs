//! Documents about entities, locks, dead letters and quarantined entities.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::{DeadLetter, EntityDetails, EntityLock, MessageKind, QuarantinedEntity};
use crate::client::EntityInfo;
use crate::http::documents::{Raw, time};
use crate::id::EntityId;

/// The id of an entity.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct EntityIdDocument {
    /// Name of the type, in lower case.
    name: String,
    /// Key within the type, which may be empty.
    key: String,
}

/// An entity in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct EntityDocument {
    entity_id: EntityIdDocument,
    /// Time of the last write of the state.
    #[schema(format = DateTime)]
    last_operation_time: String,
    /// State, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Raw>,
}

/// Everything about one entity.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct EntityDetailsDocument {
    entity_id: EntityIdDocument,
    /// Whether the type is registered; `null` for a stopped hub.
    #[schema(required = true)]
    registered: Option<bool>,
    /// `true` if the entity has a state.
    exists: bool,
    #[schema(required = true)]
    state: Option<Raw>,
    /// Time of the last write of the state.
    #[schema(required = true, format = DateTime)]
    last_operation_time: Option<String>,
    #[schema(required = true)]
    lock: Option<LockDocument>,
    #[schema(required = true)]
    quarantine: Option<QuarantineDocument>,
    waiting: WaitingMessagesDocument,
    /// The first 100 scheduled signals.
    scheduled_signals: Vec<ScheduledSignalDocument>,
    /// The last changes of the state, newest first, if the type of the entity keeps them.
    changes: Vec<StateChangeDocument>,
}

/// A change of the state of an entity.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StateChangeDocument {
    #[schema(format = DateTime)]
    time: String,
    operation: String,
    /// Sender; `null` for a client.
    #[schema(required = true)]
    source: Option<String>,
    /// State after the change; `null` if it was deleted.
    #[schema(required = true)]
    state: Option<Raw>,
}

/// The messages that wait for an entity as rows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WaitingMessagesDocument {
    /// Number of these messages.
    count: u64,
    /// `true` if there may be more than `count`.
    at_least: bool,
    /// The first 100 of them, in the order in which the entity takes them.
    messages: Vec<WaitingMessageDocument>,
}

/// A message that waits for an entity.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WaitingMessageDocument {
    /// `signal`, `call`, `lock`, `unlock`, `schedule` or `cancel`.
    kind: &'static str,
    #[schema(required = true)]
    operation: Option<String>,
    /// Sender; `null` for a client.
    #[schema(required = true)]
    source: Option<String>,
    #[schema(required = true)]
    input: Option<Raw>,
}

/// A scheduled signal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ScheduledSignalDocument {
    id: String,
    operation: String,
    #[schema(format = DateTime)]
    due: String,
    /// Sender; `null` for a client.
    #[schema(required = true)]
    source: Option<String>,
    input: Raw,
}

/// An entity that is locked by a critical section.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct LockDocument {
    entity_id: EntityIdDocument,
    /// Orchestration that holds the lock.
    owner: String,
    /// Execution of the orchestration that holds the lock.
    execution_id: String,
    /// Time at which the lock was acquired.
    #[schema(format = DateTime)]
    since: String,
    /// Number of the step that acquired the lock. The locks of one critical section share it.
    sequence: u64,
}

/// A message that could not be processed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct DeadLetterDocument {
    /// Id with which the dead letter is redelivered or dropped.
    id: String,
    /// Target entity, if the message was for an entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_id: Option<EntityIdDocument>,
    /// Orchestration to start, if the message was a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    /// Operation of the message, or the name of the orchestration to start.
    operation: String,
    /// Arguments of the operation, or input of the orchestration.
    #[schema(required = true)]
    input: Option<Raw>,
    /// Sender of the message; absent for a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Reason why the message could not be processed.
    reason: String,
    /// Time at which the message became a dead letter.
    #[schema(format = DateTime)]
    dead_lettered_at: String,
}

/// An entity whose messages wait because its state cannot be used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct QuarantineDocument {
    entity_id: EntityIdDocument,
    /// Reason for the quarantine.
    reason: String,
    /// Time at which the quarantine began.
    #[schema(format = DateTime)]
    since: String,
}

impl From<&EntityId> for EntityIdDocument {
    fn from(id: &EntityId) -> Self {
        Self {
            name: id.name().to_owned(),
            key: id.key().to_owned(),
        }
    }
}

impl From<EntityInfo> for EntityDocument {
    fn from(info: EntityInfo) -> Self {
        Self {
            entity_id: (&info.id).into(),
            last_operation_time: time(info.last_change),
            state: info.state.map(Raw::new),
        }
    }
}

impl From<EntityDetails> for EntityDetailsDocument {
    fn from(details: EntityDetails) -> Self {
        let id = &details.id;
        let messages = details.messages.into_iter().map(|message| WaitingMessageDocument {
            kind: match message.kind {
                MessageKind::Signal => "signal",
                MessageKind::Call => "call",
                MessageKind::Lock => "lock",
                MessageKind::Unlock => "unlock",
                MessageKind::Schedule => "schedule",
                MessageKind::Cancel => "cancel",
            },
            operation: message.operation,
            source: message.source,
            input: message.arguments.map(Raw::new),
        });
        let signals = details.scheduled.into_iter().map(|signal| ScheduledSignalDocument {
            id: signal.id,
            operation: signal.operation,
            due: time(signal.due),
            source: signal.source,
            input: Raw::new(signal.arguments),
        });
        let changes = details.changes.into_iter().map(|change| StateChangeDocument {
            time: time(change.time),
            operation: change.operation,
            source: change.source,
            state: change.state.map(Raw::new),
        });
        Self {
            entity_id: id.into(),
            registered: details.is_registered,
            exists: details.state.is_some(),
            state: details.state.map(Raw::new),
            last_operation_time: details.last_change.map(time),
            lock: details.lock.map(LockDocument::from),
            quarantine: details.quarantine.map(|quarantine| QuarantineDocument {
                entity_id: id.into(),
                reason: quarantine.reason,
                since: time(quarantine.since),
            }),
            waiting: WaitingMessagesDocument {
                count: details.waiting,
                at_least: details.waiting >= 10_000,
                messages: messages.collect(),
            },
            scheduled_signals: signals.collect(),
            changes: changes.collect(),
        }
    }
}

impl From<EntityLock> for LockDocument {
    fn from(lock: EntityLock) -> Self {
        Self {
            entity_id: (&lock.entity).into(),
            owner: lock.owner,
            execution_id: lock.execution_id,
            since: time(lock.since),
            sequence: lock.sequence,
        }
    }
}

impl From<DeadLetter> for DeadLetterDocument {
    fn from(letter: DeadLetter) -> Self {
        let entity = letter.target.parse::<EntityId>().ok();
        Self {
            id: letter.id,
            entity_id: entity.as_ref().map(EntityIdDocument::from),
            instance_id: entity.is_none().then_some(letter.target),
            operation: letter.operation,
            input: (!letter.arguments.is_empty()).then(|| Raw::new(letter.arguments)),
            source: letter.source,
            reason: letter.reason,
            dead_lettered_at: time(letter.dead_lettered_at),
        }
    }
}

impl From<QuarantinedEntity> for QuarantineDocument {
    fn from(quarantined: QuarantinedEntity) -> Self {
        Self {
            entity_id: (&quarantined.id).into(),
            reason: quarantined.reason,
            since: time(quarantined.since),
        }
    }
}
