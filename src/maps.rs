//! Maps by keys that contain a hash. Nothing depends on their order.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::id::{ActivityKey, InstanceId};

pub(crate) type InstanceMap<V> = HashMap<InstanceId, V, BuildHasherDefault<OwnHash>>;

pub(crate) type ActivityMap<V> = HashMap<ActivityKey, V, BuildHasherDefault<OwnHash>>;

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
