//! A hub of several nodes, of which this process is one.
//!
//! ```text
//! NodeHub ── starts and ends a node      Tenures ── a thread for each shard: it waits for the shard, runs it, and waits again
//! Gateway ── the thread that connects it with the others
//!     forward ── requests of this process, to the node that runs the shard
//!     serve ──── requests of other nodes, for the shards that this one runs
//!     mail ───── messages of the shards that this node runs, to the other shards
//!     changes ── the feed of changes
//!     peers ──── the connections to the other nodes
//!     wire ───── requests and answers
//! Ending ─── the end of all this when a part of it fails
//! ```

mod changes;
mod ending;
mod forward;
mod gateway;
mod mail;
mod open;
mod peers;
mod serve;
mod tenures;
mod wire;

pub(super) use open::NodeHub;
