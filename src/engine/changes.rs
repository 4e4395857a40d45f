//! The changes of instances that a step makes, for watchers of the hub.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use serde::Serialize;

use crate::engine::core_step::CoreStep;
use crate::id::InstanceId;
use crate::model::orchestration::OrchestrationStatus;
use crate::time::Timestamp;
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

/// A set of kinds of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChangeKinds(u8);

impl ChangeKinds {
    pub(crate) fn contains(self, kind: ChangeKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the kinds that both sets contain.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = ChangeKind> {
        ChangeKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<ChangeKind> for ChangeKinds {
    fn from_iter<I: IntoIterator<Item = ChangeKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | (1 << kind as u8)))
    }
}

/// The kinds of changes that the cores have to note, shared with the feed.
#[derive(Debug, Default)]
pub(crate) struct WatchedKinds(AtomicU8);

impl WatchedKinds {
    pub(crate) fn get(&self) -> ChangeKinds {
        ChangeKinds(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, kinds: ChangeKinds) {
        self.0.store(kinds.0, Ordering::Relaxed);
    }
}

/// A change as a step notes it, without copies of texts that it shares with the core.
#[derive(Clone, Debug)]
pub(crate) struct NotedChange {
    pub(crate) kind: ChangeKind,
    pub(crate) id: InstanceId,
    /// The name of the type of an orchestration. The id of an entity contains that of its type.
    name: Option<Box<str>>,
    status: Option<OrchestrationStatus>,
    pub(crate) time: Timestamp,
}

impl NotedChange {
    /// Creates a change of an orchestration.
    pub(crate) fn of_orchestration(
        kind: ChangeKind,
        id: InstanceId,
        name: &str,
        status: Option<OrchestrationStatus>,
        time: Timestamp,
    ) -> Self {
        Self {
            kind,
            id,
            name: Some(name.into()),
            status,
            time,
        }
    }

    /// Restores a change from what watchers receive of it. Returns `None` if its id is invalid.
    #[cfg(feature = "cluster")]
    pub(crate) fn from_shown(change: InstanceChange) -> Option<Self> {
        let (id, name) = match change.kind {
            ChangeKind::Entity => (change.id.parse::<crate::id::EntityId>().ok()?.into_instance(), None),
            _ => (InstanceId::orchestration(&change.id).ok()?, Some(change.name.into())),
        };
        Some(Self {
            kind: change.kind,
            id,
            name,
            status: change.status,
            time: change.time.into(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.id.entity_name())
    }

    /// Returns the change as watchers receive it.
    pub(crate) fn shown(&self) -> InstanceChange {
        InstanceChange {
            kind: self.kind,
            id: self.id.to_string(),
            name: self.name().to_owned(),
            status: self.status,
            time: self.time.into(),
        }
    }
}

/// The changes of a step, of the watched kinds.
#[derive(Debug, Default)]
pub(super) struct Changes {
    kinds: ChangeKinds,
    noted: Vec<NotedChange>,
    /// The other kinds of changes that the step has made.
    unnoted: ChangeKinds,
}

impl Changes {
    pub(super) fn new(watched: &WatchedKinds) -> Self {
        Self {
            kinds: watched.get(),
            noted: Vec::new(),
            unnoted: ChangeKinds::default(),
        }
    }

    /// Returns `true` if changes of this kind are noted.
    fn notes(&mut self, kind: ChangeKind) -> bool {
        let notes = self.kinds.contains(kind);
        if !notes {
            self.unnoted.0 |= 1 << kind as u8;
        }
        notes
    }

    /// Takes the changes, if there are any.
    pub(super) fn take(&mut self) -> Option<Vec<NotedChange>> {
        (!self.noted.is_empty()).then(|| std::mem::take(&mut self.noted))
    }
}

impl CoreStep {
    /// Returns the kinds of changes that the step has made and not noted, because they were not watched when it began.
    pub(crate) fn unnoted_changes(&self) -> ChangeKinds {
        self.changes.unnoted
    }

    /// Notes a change of an orchestration, if this kind is watched.
    pub(super) fn note_change(
        &mut self,
        kind: ChangeKind,
        id: &InstanceId,
        name: &str,
        status: Option<OrchestrationStatus>,
    ) {
        if self.changes.notes(kind) {
            let change = NotedChange::of_orchestration(kind, id.clone(), name, status, self.now);
            self.changes.noted.push(change);
        }
    }

    /// Notes that the state of an entity was written or deleted, if changes of entities are watched.
    pub(super) fn note_entity(&mut self, id: &InstanceId) {
        if self.changes.notes(ChangeKind::Entity) {
            self.changes.noted.push(NotedChange {
                kind: ChangeKind::Entity,
                id: id.clone(),
                name: None,
                status: None,
                time: self.now,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a kind is the same in all interfaces.
    #[test]
    fn a_kind_has_one_name() {
        for kind in ChangeKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    /// A step notes changes of watched kinds. Of every other kind it reports only that there was a change, to watchers
    /// that began during the step.
    #[test]
    fn a_step_reports_each_change_that_it_does_not_note() {
        let watched = WatchedKinds::default();
        watched.set(ChangeKinds::from_iter([ChangeKind::Status]));
        let mut step = CoreStep::default().renewed(1, Timestamp(1), 1);
        step.changes = Changes::new(&watched);
        assert!(step.unnoted_changes().is_empty());
        let id = InstanceId::trusted("o");
        for kind in [ChangeKind::Status, ChangeKind::Ended, ChangeKind::Turn] {
            step.note_change(kind, &id, "pay", None);
        }
        let missed = ChangeKinds::from_iter([ChangeKind::Ended, ChangeKind::Turn]);
        assert_eq!(step.unnoted_changes(), missed);
        assert!(!missed.is_empty());
        let noted: Vec<ChangeKind> = step.changes.take().unwrap().iter().map(|change| change.kind).collect();
        assert_eq!(noted, [ChangeKind::Status]);
    }
}
