//! The store on RocksDB.
//!
//! All rows of all tables live in the default column family, told apart by the beginning of their keys. Each column
//! family has a memtable of its own, and with several of them each is flushed by an edit of its own in the MANIFEST;
//! with one, a flush moves whole commits. So no lost edit can keep a commit's row and drop another row of the commit.

mod checkpoint;
mod error;
mod gap;
mod log;
mod manifest;
mod open;
mod options;
mod promise;
mod reader;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use open::{Inspected, OpenOptions, ReadOnlyStore, is_no_hub, open, open_read_only, open_unchecked};
pub(crate) use options::options;
pub(crate) use store::RocksStore;
