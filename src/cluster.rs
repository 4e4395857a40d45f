//! Hubs in a PostgreSQL database, from outside: what their nodes do, and the move of a hub into the database or out of it.
//!
//! [`Hub::cluster`](crate::Hub::cluster) runs a hub in a database.

pub use crate::hub::database::{ClusterStatus, Database, Moved, NodeStatus};
