//! How RocksDB is set up, and why.

use rocksdb::{
    BlockBasedOptions, Cache, DBCompactionStyle, DBCompressionType, DBRecoveryMode, LogLevel, LruCacheOptions, Options,
    WriteBufferManager,
};

/// RocksDB may recycle so many logs: writing over blocks that exist spares fdatasync the update of the inode.
const RECYCLED_LOGS: usize = 4;

/// Memtables that exist at once: one that is written to, and the ones whose flush has not ended.
const MEMTABLES: u64 = 4;

/// Table files that are open at once. Each costs its index and filter unless the cache holds them, and a descriptor.
const OPEN_FILES: i32 = 512;

/// The cache is divided into four. A block that is larger than its part of the cache is read from the file at every use, and
/// the filter of a file with millions of rows has several MiB: with RocksDB's own 64 parts of a small budget, a hub of a
/// million orchestrations spent its time reading filters.
const CACHE_SHARD_BITS: i32 = 2;

/// A table with so many deletions in so many rows in a row is compacted soon: messages and timers are written once
/// and deleted once, and a scan that begins where they were has to step over every tombstone.
const TOMBSTONE_WINDOW: usize = 4096;
const TOMBSTONES: usize = 2048;

/// Each memtable remembers where the last row went of each table in each partition, and looks from there for the place of
/// the next one. The rows of one table of one partition lie together, so it is near: with it the executor spent a tenth
/// less on an orchestration of five activities. A hint takes about 250 bytes. Only this text reaches the option.
const INSERT_HINTS: &str = "memtable_insert_with_hint_prefix_extractor=rocksdb.CappedPrefix.3";

/// All options for a database whose memory stays within `memory_budget` and whose logs stay near `wal_limit`.
pub(crate) fn options(memory_budget: usize, wal_limit: u64) -> Options {
    let mut options = hinting();
    durability(&mut options);
    memory(&mut options, memory_budget, wal_limit);
    compaction(&mut options);
    housekeeping(&mut options);
    options
}

/// Options that say nothing but where to look for the places of rows.
fn hinting() -> Options {
    // A RocksDB that does not know the option only takes longer.
    Options::default()
        .get_options_from_string(INSERT_HINTS)
        .unwrap_or_default()
}

/// The same for one open that has to do without some logs: the MANIFEST forgets which ones there were.
pub(super) fn forgetting_logs(options: &Options) -> Options {
    let mut options = options.clone();
    options.set_track_and_verify_wals_in_manifest(false);
    options
}

/// What must never be changed: the output gate and the order of commits stand on it.
fn durability(options: &mut Options) {
    // Writes go to a buffer in the process; the syncer alone hands it to the kernel and the disk. `WriteOptions::sync`
    // would hold RocksDB's write lock during the sync.
    options.set_manual_wal_flush(true);
    // With this off a failed sync of the log is forgotten.
    options.set_paranoid_checks(true);
    // A crash takes a suffix and nothing else. The default, which tolerates a corrupt tail, would turn recycling off.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_recycle_log_file_num(RECYCLED_LOGS);
    // What was recovered after a kill may have been in the page cache only. The flush at recovery makes it durable.
    // `avoid_flush_during_recovery` is false by default and has no setter; it stays so.
    // The MANIFEST knows each log that is closed and synced, and its length; a missing or cut one is an error.
    // `track_and_verify_wals` would know more, but it compares the sizes of files, and a recycled log is longer.
    options.set_track_and_verify_wals_in_manifest(true);
    // Both reorder writes against each other or against syncs, which would tear the total order of commits.
    options.set_unordered_write(false);
    options.set_wal_bytes_per_sync(0);
}

/// One budget: the block cache is charged for index and filter blocks and for the memtables too.
fn memory(options: &mut Options, memory_budget: usize, wal_limit: u64) {
    let mut shards = LruCacheOptions::default();
    shards.set_capacity(memory_budget);
    shards.set_num_shard_bits(CACHE_SHARD_BITS);
    let cache = Cache::new_lru_cache_opts(&shards);
    let memtables = memory_budget / 2;
    let manager = WriteBufferManager::new_write_buffer_manager_with_cache(memtables, false, cache.clone());
    options.set_write_buffer_manager(&manager);
    // With one column family RocksDB ignores `max_total_wal_size`: a log lives as long as its memtable, so the
    // memtables' sizes are the limit. A row takes more room in a memtable than in the log.
    let memtable = usize::try_from(wal_limit / MEMTABLES).unwrap_or(usize::MAX);
    options.set_write_buffer_size(memtable.min(memtables));
    options.set_max_write_buffer_number(MEMTABLES as i32);
    options.set_max_open_files(OPEN_FILES);

    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Most first touches ask for an instance that does not exist; the filter answers without a read.
    table.set_bloom_filter(10.0, false);
    table.set_format_version(5);
    options.set_block_based_table_factory(&table);
}

fn compaction(options: &mut Options) {
    options.set_compaction_style(DBCompactionStyle::Level);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.add_compact_on_deletion_collector_factory(TOMBSTONE_WINDOW, TOMBSTONES, 0.5);
    options.set_max_background_jobs(2);
    // Background writes reach the disk a little at a time, so that a sync of the log does not wait behind a heap of them.
    options.set_bytes_per_sync(1 << 20);
}

/// A hub's directory is for people to look at: little, and only what is worth a look.
fn housekeeping(options: &mut Options) {
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This RocksDB knows the option that has no setter, and takes the length of a key's partition and table for it.
    #[test]
    fn rocksdb_knows_the_hints() {
        assert!(Options::default().get_options_from_string(INSERT_HINTS).is_ok());
        assert!(Options::default().get_options_from_string("no_such_option=1").is_err());
    }
}
