//! The configuration of RocksDB, with reasons.

use rocksdb::{BlockBasedOptions, Cache, DBCompactionStyle, DBCompressionType, LogLevel, LruCacheOptions, Options};

/// Maximum number of open table files. Each costs a descriptor, and its index and filter unless the cache holds them.
const OPEN_FILES: i32 = 512;

/// The block cache has four shards. A block that is larger than its shard is read from the file at every use, and the
/// filter of a file with millions of rows has several MiB. With RocksDB's default of 64 shards and a small budget, a
/// hub with a million orchestrations spent its time reading filters.
const CACHE_SHARD_BITS: i32 = 2;

/// A table with this many deletions within a window of this many consecutive rows is compacted soon. Messages and
/// timers are written once and deleted once, and a scan over their range has to skip every tombstone. RocksDB checks
/// the tables that it writes, but not the fronts that it ingests, which are always few.
const TOMBSTONE_WINDOW: usize = 4096;
const TOMBSTONES: usize = 2048;

/// The share of the memory budget for one front, as a divisor. Fronts may briefly take three times as much: while one
/// front is moved to RocksDB, the active front may grow to twice its size. The cache has the rest.
///
/// A larger front merges more changes, so RocksDB compacts less. Alternating measurements with 8, 16 and 30 MiB yielded
/// 482, 524 and 616 thousand signals per second over 100 000 entities, and 24.9, 25.8 and 26.1 thousand orchestrations
/// with five activities.
const FRONTS: usize = 10;

const LARGEST_FRONT: usize = 32 << 20;

/// Minimum size of a front, so a commit fits even with a small budget.
const SMALLEST_FRONT: usize = 64 << 10;

/// Bytes that a compaction reads at once from each of its tables. With RocksDB's default of 2 MiB, the 20 tables of one
/// compaction take 40 MiB that no budget counts.
const READAHEAD: usize = 256 << 10;

/// Returns the size in bytes at which a front is moved to RocksDB.
pub(super) fn front_bytes(memory_budget: usize) -> usize {
    (memory_budget / FRONTS).clamp(SMALLEST_FRONT, LARGEST_FRONT)
}

/// Returns the size in bytes of the block cache, which has the memory that the fronts leave.
fn cache_bytes(memory_budget: usize) -> usize {
    memory_budget.saturating_sub(3 * front_bytes(memory_budget))
}

/// Returns the options for a database whose memory stays within `memory_budget`.
pub(super) fn options(memory_budget: usize) -> Options {
    let mut options = Options::default();
    configure(&mut options, memory_budget);
    options
}

/// Sets all options that differ from RocksDB's defaults.
fn configure(options: &mut Options, memory_budget: usize) {
    // Without paranoid checks, RocksDB ignores some errors of its files.
    options.set_paranoid_checks(true);
    memory(options, memory_budget);
    compaction(options);
    housekeeping(options);
}

/// Configures the memory. The block cache is charged for index and filter blocks. There is no memtable because RocksDB
/// ingests whole tables.
fn memory(options: &mut Options, memory_budget: usize) {
    let mut shards = LruCacheOptions::default();
    shards.set_capacity(cache_bytes(memory_budget));
    shards.set_num_shard_bits(CACHE_SHARD_BITS);
    let cache = Cache::new_lru_cache_opts(&shards);
    options.set_max_open_files(OPEN_FILES);

    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Most first accesses look up an instance that does not exist. The filter answers them without a read.
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
    options.set_compaction_readahead_size(READAHEAD);
    // Background writes reach the disk in small portions, so a sync of the log does not wait behind a large amount of
    // them.
    options.set_bytes_per_sync(1 << 20);
}

/// Configures RocksDB's own log files. They are few and contain only warnings and errors.
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

    /// The fronts, even while they take three times their size, and the cache use the whole budget.
    #[test]
    fn the_budget_is_divided_between_fronts_and_cache() {
        for budget in [1 << 20, 8 << 20, 100 << 20, 4 << 30] {
            assert_eq!(3 * front_bytes(budget) + cache_bytes(budget), budget);
        }
        assert_eq!((front_bytes(0), cache_bytes(0)), (SMALLEST_FRONT, 0));
    }
}
