//! The store of a hub whose log is shared: RocksDB has a copy that may be lost at any time.
//!
//! ```text
//! NODE        the id of this node
//! LOCK        held by the process
//! copy/COPY   the place in the log up to which the copy certainly agrees with it
//! copy/db/    RocksDB
//! copy.old    a copy that is being replaced, and that counts until its replacement is there
//! copy.gone   what is left of such a copy
//! ```
//!
//! A hub of several shards has a copy of each: `copy-0`, `copy-1` and so on.
//!
//! A node waits until it owns a shard. Meanwhile, its copy follows the log. Then it reads the rest of the log, and works as a
//! hub in a directory does, only with another log. A copy that does not agree with the log is replaced.

mod balance;
mod beats;
mod claim;
mod copy;
mod export;
mod follow;
mod import;
mod mark;
mod merge;
mod moves;
mod node;
mod open;
mod replay;
#[cfg(test)]
mod simulation;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use export::export;
pub(crate) use follow::FreshRows;
pub(crate) use import::import;
pub(crate) use moves::{MoveOptions, Moved};
pub(crate) use open::{Member, OpenOptions, Opened, Tenant, open};
pub(crate) use replay::CopiedRows;
#[cfg(test)]
pub(crate) use simulation::shard::{LogBug, Nodes, Owner, ShardMark};
