//! A hub of several nodes, of which this process is one.
//!
//! ```text
//! NodeHub ── starts and ends a node      Tenures ── the thread that waits for the hub, runs it, and waits again
//! Gateway ── the thread that connects it with the others
//!     forward ── requests of this process, to the node that runs the hub
//!     serve ──── requests of other nodes, while this one runs the hub
//!     changes ── the feed of changes
//!     wire ───── requests and answers
//! ```

mod changes;
mod forward;
mod gateway;
mod open;
mod panics;
mod serve;
mod tenures;
mod wire;

pub(super) use open::NodeHub;
