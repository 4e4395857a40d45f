//! What the benches measure the library against. Not part of the public interface: it changes with any version.

use rocksdb::{DBRecoveryMode, Options};

use crate::hub::{WAL_LIMIT, memory_of_store};
use crate::store;

/// Options of RocksDB with a log of its own, as a hub without one would use it: the memory of a hub with this budget, and the log
/// limit that a hub has if nothing is said.
pub fn rocksdb_options(memory_budget: usize) -> Options {
    // The place of a row is looked for near that of the last one with the same partition and table. Only this text reaches the
    // option.
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
