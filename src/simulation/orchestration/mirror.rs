//! What a watcher of the hub knows of the orchestrations, from the changes alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inventory::Inventory;
use crate::engine::{ChangeKind, InstanceChange, NotedChange, WatchedKinds};
use crate::id::PartitionId;
use crate::model;
use crate::model::orchestration::{OrchestrationRecord, OrchestrationStatus};
use crate::schema;
use crate::store::Reader;

/// The status of each orchestration, and whether it is stopped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::simulation) struct Mirror(BTreeMap<String, (OrchestrationStatus, bool)>);

impl Mirror {
    /// Returns the kinds that it watches, which are all.
    pub(in crate::simulation) fn watched() -> Arc<WatchedKinds> {
        let watched = WatchedKinds::default();
        watched.set(ChangeKind::ALL.into_iter().collect());
        Arc::new(watched)
    }

    /// Reads what the watcher knows when it begins, which is before the first step of a process.
    pub(in crate::simulation) fn of(store: &dyn Reader, partitions: u16) -> Self {
        let rows = (0..partitions).flat_map(|partition| {
            let range = schema::orchestration::with_prefix(PartitionId(partition), "");
            store.scan(range, usize::MAX).expect("the reads do not fail")
        });
        let known = rows.filter_map(|(key, row)| {
            let record: OrchestrationRecord = model::decode(&row, "orchestration").expect("valid orchestration");
            Some((schema::id_text(&key)?.to_owned(), known(&record)))
        });
        Self(known.collect())
    }

    /// Returns what several watchers know together.
    pub(super) fn all_of<'a>(mirrors: impl Iterator<Item = &'a Self>) -> Self {
        let known = mirrors.flat_map(|mirror| mirror.0.clone());
        Self(known.collect())
    }

    /// Follows changes that became durable.
    pub(in crate::simulation) fn follow(&mut self, changes: Vec<NotedChange>) {
        for change in changes {
            let InstanceChange { kind, id, status, .. } = change.shown();
            let is_known = self.0.contains_key(&id);
            match (kind, status) {
                (ChangeKind::Started, Some(status)) => drop(self.0.insert(id, (status, false))),
                (ChangeKind::Ended | ChangeKind::Status, Some(status)) if is_known => {
                    self.0.insert(id, (status, false));
                }
                (ChangeKind::Stopped, Some(status)) if is_known => drop(self.0.insert(id, (status, true))),
                (ChangeKind::Purged, None) if is_known => drop(self.0.remove(&id)),
                // A first turn is noted before the start.
                (ChangeKind::Turn, Some(_)) => {}
                (ChangeKind::Entity, None) => {}
                (kind, status) => panic!("a watcher cannot follow {kind:?} of {id} with {status:?}"),
            }
        }
    }

    /// Checks that the watcher of a hub at rest knows what its rows say.
    pub(super) fn agrees_with(&self, inventory: &Inventory) {
        let rows = inventory.orchestrations.iter();
        let told = Self(rows.map(|(id, record)| (id.clone(), known(record))).collect());
        assert_eq!(*self, told, "what watchers know");
    }
}

fn known(record: &OrchestrationRecord) -> (OrchestrationStatus, bool) {
    (record.status, record.stopped.is_some())
}
