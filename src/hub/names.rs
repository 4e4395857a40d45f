//! The names of entity types and orchestrations in a store.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::engine::Registry;
use crate::error::Result;
use crate::id::{InstanceId, PartitionId};
use crate::model::orchestration::OrchestrationRecord;
use crate::store::Reader;
use crate::{model, schema};

/// Returns the names of entity types with states, waiting messages, locks or timers that are not in `registry`. Needs
/// one seek for each name, table and partition, however many entities there are.
pub(super) fn unregistered(reader: &dyn Reader, partitions: u16, registry: &Registry) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for partition in (0..partitions).map(PartitionId) {
        for table in [
            schema::state::with_prefix(partition, "@"),
            schema::message::of_entities(partition),
            schema::priority::of_entities(partition),
            schema::lock::all(partition),
            schema::timer::names_of_entities(partition),
        ] {
            collect(reader, table, &mut names)?;
        }
    }
    names.retain(|name| registry.entity(name).is_none());
    Ok(names.into_iter().collect())
}

/// Returns the names and versions of orchestrations that have not ended and that nothing in `registry` can run.
pub(super) fn unregistered_orchestrations(
    reader: &dyn Reader,
    partitions: u16,
    registry: &Registry,
) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for partition in (0..partitions).map(PartitionId) {
        for key in reader.keys(schema::orchestration::names(partition), usize::MAX)? {
            let Some((name, version)) = schema::orchestration::name_parts(&key) else {
                continue;
            };
            if registry.orchestration(name, version).is_none() && is_live(reader, partition, name, version)? {
                names.insert(if version.is_empty() {
                    name.to_owned()
                } else {
                    format!("{name} {version}")
                });
            }
        }
    }
    Ok(names.into_iter().collect())
}

/// Returns `true` if a partition has an orchestration of this name and version that has not ended. It may read all
/// orchestrations of the partition, because it is called only for unregistered names, which are rare.
fn is_live(reader: &dyn Reader, partition: PartitionId, name: &str, version: &str) -> Result<bool> {
    let mut found = Ok(false);
    reader.visit(schema::orchestration::with_prefix(partition, ""), &mut |_, value| {
        found = model::decode(value, "orchestration").map(|record: OrchestrationRecord| {
            !record.status.is_terminal() && record.name == name && record.version == version
        });
        match found {
            Ok(false) => ControlFlow::Continue(()),
            Ok(true) | Err(_) => ControlFlow::Break(()),
        }
    })?;
    found
}

fn collect(reader: &dyn Reader, mut table: std::ops::Range<Vec<u8>>, names: &mut BTreeSet<String>) -> Result<()> {
    while let Some(key) = reader.first_key(table.clone())? {
        let Some(id) = schema::id_text(&key) else { return Ok(()) };
        let name = InstanceId::name_in(id).to_owned();
        table.start = schema::after_name(&key, &name);
        names.insert(name);
    }
    Ok(())
}
