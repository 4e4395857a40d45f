//! The move of a hub between a directory and the database.
//!
//! Both directions compare all rows at the end, and let the hub run in one place only:
//!
//! ```text
//! import: the database has the hub, which no node may run ─► MOVED ─► nodes may run it
//! export: a directory beside the target has it ─► no node may run it ─► the directory gets the name of the target
//! ```
//!
//! Each move has an id, by which its repetition after an interruption is recognized.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use uuid::Uuid;

use crate::log::postgres::Address;

/// A hub that has moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) id: Uuid,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) commit: u64,
}

/// Options of a move.
#[derive(Clone, Debug)]
pub(crate) struct MoveOptions {
    pub(crate) address: Address,
    /// The name of the hub in the database.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) memory_budget: usize,
    /// Time for which the move waits for a database that cannot be reached.
    pub(crate) patience: Duration,
    /// Ends the wait for another node.
    pub(crate) canceled: Arc<AtomicBool>,
}
