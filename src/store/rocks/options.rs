//! How RocksDB is set up, and why.

use rocksdb::{BlockBasedOptions, Cache, DBCompactionStyle, DBCompressionType, LogLevel, LruCacheOptions, Options};

/// Table files that are open at once. Each costs its index and filter unless the cache holds them, and a descriptor.
const OPEN_FILES: i32 = 512;

/// The cache is divided into four. A block that is larger than its part of the cache is read from the file at every use, and
/// the filter of a file with millions of rows has several MiB: with RocksDB's own 64 parts of a small budget, a hub of a
/// million orchestrations spent its time reading filters.
const CACHE_SHARD_BITS: i32 = 2;

/// A table with so many deletions in so many rows in a row is compacted soon: messages and timers are written once
/// and deleted once, and a scan that begins where they were has to step over every tombstone. RocksDB looks at the tables that it
/// makes, not at the fronts that it takes in, of which there are never many.
const TOMBSTONE_WINDOW: usize = 4096;
const TOMBSTONES: usize = 2048;

/// The part of the memory that one front may take. For a moment fronts may take three times as much: one is brought to RocksDB, and
/// the one that takes in commits may grow to twice its size meanwhile. The cache has the rest.
///
/// A larger front coalesces more, and RocksDB compacts less behind it. Measured by turns, 8 MiB, 16 and 30: 482, 524 and 616
/// thousand signals a second over 100 000 entities, and 24.9, 25.8 and 26.1 thousand orchestrations of five activities.
const FRONTS: usize = 10;

const LARGEST_FRONT: usize = 32 << 20;

/// However small the budget is, a commit has to find room.
const SMALLEST_FRONT: usize = 64 << 10;

/// The bytes at which a front is handed to RocksDB.
pub(super) fn front_bytes(memory_budget: usize) -> usize {
    (memory_budget / FRONTS).clamp(SMALLEST_FRONT, LARGEST_FRONT)
}

/// All options for a database whose memory stays within `memory_budget`.
pub(super) fn options(memory_budget: usize) -> Options {
    let mut options = Options::default();
    configure(&mut options, memory_budget);
    options
}

/// Sets all options that are not RocksDB's own defaults.
pub(crate) fn configure(options: &mut Options, memory_budget: usize) {
    // With this off RocksDB passes over some errors of its files.
    options.set_paranoid_checks(true);
    memory(options, memory_budget);
    compaction(options);
    housekeeping(options);
}

/// The block cache is charged for index and filter blocks. There is no memtable: RocksDB takes whole tables.
fn memory(options: &mut Options, memory_budget: usize) {
    let mut shards = LruCacheOptions::default();
    shards.set_capacity(memory_budget.saturating_sub(3 * front_bytes(memory_budget)));
    shards.set_num_shard_bits(CACHE_SHARD_BITS);
    let cache = Cache::new_lru_cache_opts(&shards);
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
