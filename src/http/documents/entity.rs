//! Entities, and what may be wrong with them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::{DeadLetter, EntityLock, QuarantinedEntity};
use crate::client::EntityInfo;
use crate::http::documents::{Raw, time};
use crate::id::EntityId;

/// The id of an entity.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct EntityIdDocument {
    /// The name of its type, in small letters.
    name: String,
    /// Its key within the type, which may be empty.
    key: String,
}

/// An entity of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct EntityDocument {
    entity_id: EntityIdDocument,
    /// When its state was last written.
    #[schema(format = DateTime)]
    last_operation_time: String,
    /// Its state, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Raw>,
}

/// An entity that is locked by a critical section.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct LockDocument {
    entity_id: EntityIdDocument,
    /// The orchestration that holds the lock.
    owner: String,
    /// The execution of it that does.
    execution_id: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// The number of the step that took the lock. The locks of one critical section have it in common.
    sequence: u64,
}

/// A message that nobody could process.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct DeadLetterDocument {
    /// Names it where it is redelivered or dropped.
    id: String,
    /// The entity it was for, if it was for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_id: Option<EntityIdDocument>,
    /// The orchestration that was to be started, if it was a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    /// The operation it asked for, or the name of the orchestration.
    operation: String,
    /// The operation's arguments, or the orchestration's input.
    #[schema(required = true)]
    input: Option<Raw>,
    /// Who sent it; nothing for a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Why it could not be processed.
    reason: String,
    /// When it was given up.
    #[schema(format = DateTime)]
    dead_lettered_at: String,
}

/// An entity whose messages wait because its state cannot be used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct QuarantineDocument {
    entity_id: EntityIdDocument,
    /// Why it is quarantined.
    reason: String,
    /// Since when.
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
