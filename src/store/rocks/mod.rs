//! The store in a directory: the commit log, and RocksDB as its base.
//!
//! The rows of all tables are stored in the default column family and distinguished by their key prefixes. With several
//! families, a front would become one file per family, and a lost edit of the MANIFEST could keep one row of a commit
//! and drop another.

mod base;
mod checkpoint;
mod durability;
mod edits;
mod error;
mod exit;
mod leftover;
mod manifest;
mod open;
mod options;
mod reader;
#[cfg(feature = "cluster")]
pub(crate) mod replicated;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use open::{Inspected, OpenOptions, ReadOnlyStore, is_no_hub, open, open_read_only, open_unchecked};
pub(crate) use store::RocksStore;
