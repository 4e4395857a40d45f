//! The hubs that are measured, and the options that they share with the floors.

use std::path::{Path, PathBuf};

use abide::HubBuilder;
use abide::prelude::*;
use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LruCacheOptions, Options};

use crate::chains::{chain, nothing};
use crate::entities::{Counter, Relay};
use crate::http::at_once;
use crate::orchestrations::{Account, fan, long, nested, note_time, transfer};
use crate::sleepers::sleeper;

/// The memory budget of every measured hub and of the store behind the floors.
pub(crate) const MEMORY_BUDGET_BYTES: usize = 256 << 20;

/// RocksDB options for the floors: a store with a log and memtables of its own, tuned for the rows of a hub, with the
/// memory that a hub's store has. They do not follow the options of the library, so that the floors stay comparable.
pub(crate) fn store_options() -> Options {
    let memory = MEMORY_BUDGET_BYTES / 2;
    // An insert searches near the last row of the same partition and table. Only this text reaches the option.
    let hints = "memtable_insert_with_hint_prefix_extractor=rocksdb.CappedPrefix.3";
    let mut options = Options::default().get_options_from_string(hints).unwrap_or_default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);

    let mut shards = LruCacheOptions::default();
    shards.set_capacity(memory - 3 * (memory / 10));
    shards.set_num_shard_bits(2);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache_opts(&shards));
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_bloom_filter(10.0, false);
    table.set_format_version(5);
    options.set_block_based_table_factory(&table);

    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.add_compact_on_deletion_collector_factory(4096, 2048, 0.5);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);

    options.set_manual_wal_flush(true);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_recycle_log_file_num(4);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_db_write_buffer_size(memory / 2);
    options.set_max_write_buffer_number(4);
    options.set_write_buffer_size(16 << 20);
    options
}

/// The place of a hub's data.
pub(crate) enum Place {
    Directory(PathBuf),
    /// A database, with a copy in a directory.
    #[cfg(feature = "cluster")]
    Database {
        url: String,
        name: String,
        copy: PathBuf,
        /// The node listens for others.
        listens: bool,
        shards: u16,
    },
}

impl From<&Path> for Place {
    fn from(directory: &Path) -> Self {
        Self::Directory(directory.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(directory: &PathBuf) -> Self {
        Self::Directory(directory.clone())
    }
}

/// Opens the hub in a place, creating it if it does not exist.
pub(crate) async fn open(place: impl Into<Place>) -> Hub {
    finish(builder(place.into())).await
}

/// Opens the hub in a directory, with this number of executors.
pub(crate) async fn open_with_executors(directory: &Path, executors: usize) -> Hub {
    finish(Hub::builder(directory).executors(executors)).await
}

fn builder(place: Place) -> HubBuilder {
    match place {
        Place::Directory(directory) => Hub::builder(directory),
        #[cfg(feature = "cluster")]
        Place::Database {
            url,
            name,
            copy,
            listens,
            shards,
        } => {
            let builder = Hub::cluster(url, name).directory(copy).shards(shards);
            if listens {
                builder.listen("127.0.0.1:0")
            } else {
                builder
            }
        }
    }
}

/// Registers all types, and opens the hub.
async fn finish(builder: HubBuilder) -> Hub {
    // With the feature `otel`, every hub has an exporter.
    #[cfg(feature = "otel")]
    let builder = builder.tracer_provider(&spans::discarding());
    builder
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
        .orchestration::<nested>()
        .orchestration::<sleeper>()
        .orchestration::<at_once>()
        .open()
        .await
        .expect("the hub opens")
}

/// The exporter of the spans.
#[cfg(feature = "otel")]
pub(crate) mod spans {
    use abide::otel::TracerProvider;
    use opentelemetry::Context;
    use opentelemetry::trace::{FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

    /// Takes the batches of spans and does nothing with them.
    #[derive(Debug)]
    struct Discards;

    impl SpanExporter for Discards {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            Ok(())
        }
    }

    /// Runs a future in a span that is recorded.
    pub(crate) fn traced<F: Future>(future: F) -> impl Future<Output = F::Output> {
        let (trace, span) = (TraceId::from_bytes([7; 16]), SpanId::from_bytes([7; 8]));
        let caller = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
        future.with_context(Context::new().with_remote_span_context(caller))
    }

    pub(super) fn discarding() -> TracerProvider {
        TracerProvider::new(SdkTracerProvider::builder().with_batch_exporter(Discards))
    }
}
