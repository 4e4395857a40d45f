//! Inspects the hubs of a PostgreSQL database and their nodes, and moves hubs into the database or out of it.
//!
//! [`Hub::cluster`](crate::Hub::cluster) runs a hub in a database.

pub use crate::hub::database::{ClusterStatus, Database, Import, Moved, NodeStatus, ShardStatus};
