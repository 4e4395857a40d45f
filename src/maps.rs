//! Maps by keys that contain a hash. Nothing depends on their order.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::id::{ActivityKey, InstanceId};

pub(crate) type InstanceMap<V> = HashMap<InstanceId, V, BuildHasherDefault<OwnHash>>;

pub(crate) type ActivityMap<V> = HashMap<ActivityKey, V, BuildHasherDefault<OwnHash>>;

/// Replaces the older of two generations with the younger one, which is empty afterwards.
///
/// The younger generation gets the memory of the older one, shrunk to what the last generation needed. A map that grew anew
/// would move its entries to fresh memory each time it doubles. That took a tenth of the time of signals to entities that
/// the cache barely holds.
pub(crate) fn age<V>(young: &mut InstanceMap<V>, old: &mut InstanceMap<V>) {
    std::mem::swap(young, old);
    young.clear();
    young.shrink_to(old.len());
}

/// Returns the hash that a key contains.
#[derive(Debug, Default)]
pub(crate) struct OwnHash(u64);

impl Hasher for OwnHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("such a key hashes as one number");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> InstanceId {
        InstanceId::trusted(format!("@a@{number}"))
    }

    /// The younger generation becomes the older one. An empty map takes its place, with room for as many entries, and
    /// not for many more.
    #[test]
    fn a_generation_reuses_the_memory_of_the_one_before() {
        let (mut young, mut old) = (InstanceMap::default(), InstanceMap::default());
        old.reserve(100_000);
        young.extend((0..1_000).map(|number| (id(number), number)));
        age(&mut young, &mut old);
        assert_eq!(old.len(), 1_000);
        assert!(young.is_empty());
        assert!((1_000..4_000).contains(&young.capacity()), "{}", young.capacity());
        age(&mut young, &mut old);
        assert!(young.is_empty() && old.is_empty());
    }
}
