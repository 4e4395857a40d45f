//! Baselines for the benches. Not part of the public API: it can change with any version.

use rocksdb::{DBRecoveryMode, Options};

use crate::hub::{WAL_LIMIT, memory_of_store};
use crate::store;

/// Returns RocksDB options for a database with its own log, as a hub without a separate log would use it.
///
/// The database has the memory of a hub with this budget, and a hub's default log limit.
pub fn rocksdb_options(memory_budget: usize) -> Options {
    // An insert searches near the last row of the same partition and table. The option can only be set through this
    // string.
    let hints = "memtable_insert_with_hint_prefix_extractor=rocksdb.CappedPrefix.3";
    let mut options = Options::default().get_options_from_string(hints).unwrap_or_default();
    store::configure(&mut options, memory_of_store(memory_budget));
    options.set_manual_wal_flush(true);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_recycle_log_file_num(4);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_db_write_buffer_size(memory_of_store(memory_budget) / 2);
    options.set_max_write_buffer_number(4);
    options.set_write_buffer_size((WAL_LIMIT / 4) as usize);
    options
}
