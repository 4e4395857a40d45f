//! The hubs that are measured, and the options that they share with the floors.

use std::path::Path;

use abide::prelude::*;

use crate::entities::{Counter, Relay};
use crate::http::at_once;
use crate::orchestrations::{Account, chain, fan, long, note_time, nothing, transfer};
use crate::sleepers::sleeper;

/// The memory budget of every measured hub and of the store behind the floors.
pub(crate) const MEMORY_BUDGET_BYTES: usize = 256 << 20;

/// The RocksDB options of these hubs, for a store that does not exist yet.
pub(crate) fn store_options() -> rocksdb::Options {
    let mut options = abide::__bench::rocksdb_options(MEMORY_BUDGET_BYTES);
    options.create_if_missing(true);
    options
}

/// Opens the hub in `directory`, creating it if it does not exist.
pub(crate) async fn open(directory: &Path) -> Hub {
    Hub::builder(directory)
        .memory_budget(MEMORY_BUDGET_BYTES)
        .entity::<Counter>()
        .entity::<Relay>()
        .entity::<Account>()
        .activity::<nothing>()
        .activity::<note_time>()
        .orchestration::<chain>()
        .orchestration::<fan>()
        .orchestration::<transfer>()
        .orchestration::<long>()
        .orchestration::<sleeper>()
        .orchestration::<at_once>()
        .open()
        .await
        .expect("the hub opens")
}
