//! The `COPY` file: a place in the log whose record, and everything before it, the log had when the copy took it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{read_if_present, replace};
use crate::log::replicated::Place;
use crate::log::shared::Chain;

const COPY: &str = "COPY";

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    pub(super) hub: Uuid,
    pub(super) incarnation: u64,
    /// The position of a record that the copy does not exceed.
    pub(super) position: u64,
    /// The chain after this record.
    chain: [u8; 16],
    /// The rows do not count: RocksDB has found damage, or the copy is new and does not have this record yet. The next open
    /// replaces the copy, and the new one has the same mark.
    #[serde(default)]
    pub(super) is_void: bool,
}

impl Mark {
    pub(super) fn new(hub: Uuid, incarnation: u64, position: u64, chain: Chain) -> Self {
        Self {
            hub,
            incarnation,
            position,
            chain: chain.0,
            is_void: false,
        }
    }

    /// Returns the mark of the same copy at another place.
    pub(super) fn at(&self, place: Place) -> Self {
        Self::new(self.hub, self.incarnation, place.position, place.chain)
    }

    /// Returns the same mark for a copy whose rows do not count.
    pub(super) fn void(self) -> Self {
        Self { is_void: true, ..self }
    }

    pub(super) fn chain(&self) -> Chain {
        Chain(self.chain)
    }

    /// Reads the mark. Returns `None` if it is missing or damaged: the copy is of no use then.
    pub(super) fn read(copy: &Path) -> Result<Option<Self>> {
        let bytes = read_if_present(&copy.join(COPY))?;
        Ok(bytes.and_then(|bytes| Self::decode(&bytes)))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (crc, document) = bytes.split_at_checked(9)?;
        let crc = u32::from_str_radix(std::str::from_utf8(&crc[..8]).ok()?, 16).ok()?;
        (crc == crc32fast::hash(document))
            .then(|| serde_json::from_slice(document).ok())
            .flatten()
    }

    /// Replaces the mark durably.
    pub(super) fn write(&self, copy: &Path) -> Result<()> {
        let document = serde_json::to_string(self).map_err(|error| {
            Error::new(ErrorKind::Serialization, format!("cannot write {COPY}: {error}")).with_source(error)
        })?;
        let crc = crc32fast::hash(document.as_bytes());
        replace(&copy.join(COPY), format!("{crc:08x} {document}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_mark_is_no_mark() {
        let directory = tempfile::tempdir().unwrap();
        let mark = Mark::new(Uuid::from_u128(7), 1, 42, Chain([3; 16]));
        mark.write(directory.path()).unwrap();
        assert_eq!(Mark::read(directory.path()).unwrap(), Some(mark));
        let path = directory.path().join(COPY);
        let whole = std::fs::read(&path).unwrap();
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] ^= 4;
            std::fs::write(&path, &damaged).unwrap();
            let read = Mark::read(directory.path()).unwrap();
            // The separator has no meaning.
            assert!(read.is_none() || index == 8, "byte {index}");
            std::fs::write(&path, &whole[..index]).unwrap();
            assert_eq!(Mark::read(directory.path()).unwrap(), None, "{index} bytes");
        }
    }
}
