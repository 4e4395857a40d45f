//! The changes of instances that a step makes, for those who watch the hub.

use std::time::SystemTime;

use serde::Serialize;

use crate::engine::core_step::CoreStep;
use crate::id::InstanceId;
use crate::model::orchestration::OrchestrationStatus;
use crate::views::json;

/// A change of an instance that has become durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InstanceChange {
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The id of the orchestration or the entity.
    pub id: String,
    /// The stored name of its type.
    pub name: String,
    /// The status of the orchestration after the change. `None` for an entity, and for an orchestration that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<OrchestrationStatus>,
    /// The time of the change.
    #[serde(serialize_with = "json::time")]
    pub time: SystemTime,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// An orchestration was started, or started again under its id.
    Started,
    /// The status of an orchestration changed, and it has not ended. This includes the end of a stop.
    Status,
    /// An orchestration ended.
    Ended,
    /// An orchestration stopped: it cannot continue although it has not ended.
    Stopped,
    /// An orchestration was purged.
    Purged,
    /// An orchestration ran a turn.
    Turn,
    /// The state of an entity was written or deleted.
    Entity,
}

impl ChangeKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Started,
        Self::Status,
        Self::Ended,
        Self::Stopped,
        Self::Purged,
        Self::Turn,
        Self::Entity,
    ];

    /// Returns the name of the kind, as used in interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Status => "status",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
            Self::Purged => "purged",
            Self::Turn => "turn",
            Self::Entity => "entity",
        }
    }
}

impl CoreStep {
    /// Notes a change, if anybody watches the hub.
    pub(super) fn note_change(
        &mut self,
        kind: ChangeKind,
        id: &InstanceId,
        name: &str,
        status: Option<OrchestrationStatus>,
    ) {
        let time = self.now.into();
        if let Some(changes) = &mut self.changes {
            changes.push(InstanceChange {
                kind,
                id: id.to_string(),
                name: name.to_owned(),
                status,
                time,
            });
        }
    }
}
