//! The names of entity types that a store mentions.

use std::collections::BTreeSet;

use crate::engine::Registry;
use crate::error::Result;
use crate::id::{EntityId, InstanceId, PartitionId};
use crate::store::{Reader, keys};

/// The names of entity types with states, waiting messages, locks or timers that are not in `registry`. One seek for each name, table
/// and partition, however many entities there are.
pub(super) fn unregistered(reader: &dyn Reader, partitions: u16, registry: &Registry) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for partition in (0..partitions).map(PartitionId) {
        for table in [
            keys::states(partition, "@"),
            keys::messages_of_entities(partition),
            keys::urgents_of_entities(partition),
            keys::locks(partition),
            keys::timer_names_of_entities(partition),
        ] {
            collect(reader, table, &mut names)?;
        }
    }
    names.retain(|name| registry.entity(name).is_none());
    Ok(names.into_iter().collect())
}

fn collect(reader: &dyn Reader, mut table: std::ops::Range<Vec<u8>>, names: &mut BTreeSet<String>) -> Result<()> {
    while let Some((key, _)) = reader.scan(table.clone(), 1)?.pop() {
        let Some(id) = keys::id_of(&key) else { return Ok(()) };
        let name = EntityId::from_instance(InstanceId::trusted(id)).name().to_owned();
        table.start = keys::after_name(&key, &name);
        names.insert(name);
    }
    Ok(())
}
