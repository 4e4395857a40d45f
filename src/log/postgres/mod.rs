//! The shared log in PostgreSQL.
//!
//! ```text
//! Session ── one connection, made again when it breaks      Settings ── what the server must not do
//! Schema ─── the tables                                     Members ─── nodes, their beats, and the claim of a shard
//! PostgresLog ── append, confirm, read, snapshots           Status ── hubs and nodes, for people
//! Moves ──── the way of a hub into the database and out     Holds ─── entities that every open holds
//! Loss ───── going on after the database has lost data      Drain ── nodes that leave the hub to others
//! ```
//!
//! All statements can be repeated: what was done before a connection broke is recognized, and has no effect again.

pub(crate) mod drain;
pub(crate) mod holds;
pub(crate) mod loss;
mod members;
pub(crate) mod moves;
mod schema;
mod session;
mod settings;
mod statements;
pub(crate) mod status;

pub(crate) use members::{Claimed, Endpoint, Identity, Members, Node, NodeView, Seat, ShardView, View, Wish};
pub(crate) use session::{Address, Session};
pub(crate) use statements::PostgresLog;
