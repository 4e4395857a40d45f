//! The store in a directory: the commit log, and RocksDB behind it.
//!
//! All rows of all tables live in the default column family, told apart by the beginning of their keys. With several families a
//! front would become a file for each, and a lost edit of the MANIFEST could keep a commit's row and drop another row of the commit.

mod base;
mod checkpoint;
mod edits;
mod error;
mod manifest;
mod open;
mod options;
mod promise;
mod reader;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use open::{Inspected, OpenOptions, ReadOnlyStore, is_no_hub, open, open_read_only, open_unchecked};
pub(crate) use options::configure;
pub(crate) use store::RocksStore;
