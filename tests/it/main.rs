//! The integration tests, in one binary, because each binary links RocksDB.
//!
//! A test has a binary of its own only for one of these reasons:
//!
//! * `architecture`, `guarantees`: they read files only. They do not use the library, so they do not link RocksDB.
//! * `commands`, `examples`: they run the built programs and examples, which they find beside their own executable.
//!   They do not use the library either.
//! * `azure_client`, `cli`, `http_client`, `otel`: `Cargo.toml` lists the features that they require, and the first two
//!   start other programs.
//! * `damage`, `full_disk`, `kill`, `memory`, `opening`, `poison_message`: they start their own executable again as a
//!   worker (`tests/worker/mod.rs`), which is killed, limited or measured.
//! * `http_hostile`: it measures the memory and the open files of the process.
//! * `http_security`: the process has one tracing subscriber, which records everything at the level TRACE.
//! * `observability`: the process has one metrics recorder and one tracing subscriber.
//! * `telemetry`: the process has one metrics recorder, and this one panics.
//! * `load`: it keeps all processors busy, which would slow down the tests beside it.

mod fixtures;

#[cfg(feature = "rocksdb")]
mod audit;
mod bad_input;
mod batches;
#[cfg(feature = "rocksdb")]
mod builds;
mod changes;
#[cfg(feature = "rocksdb")]
mod checkpoint;
mod children;
#[cfg(feature = "rocksdb")]
mod dead_letters;
mod entities;
#[cfg(feature = "rocksdb")]
mod executions;
#[cfg(feature = "fuzzing")]
mod fuzzing;
#[cfg(feature = "http")]
mod http_api;
#[cfg(feature = "http")]
mod http_requests;
mod idle;
mod insight;
#[cfg(feature = "rocksdb")]
mod inspection;
mod isolation;
#[cfg(feature = "rocksdb")]
mod lifecycle;
#[cfg(feature = "rocksdb")]
mod lost_signals;
mod management;
#[cfg(feature = "rocksdb")]
mod orchestrations_bad_input;
#[cfg(all(feature = "cluster", feature = "testing"))]
mod over_postgresql;
#[cfg(feature = "rocksdb")]
mod promises;
#[cfg(feature = "rocksdb")]
mod queues;
#[cfg(feature = "rocksdb")]
mod replay_check;
#[cfg(feature = "rocksdb")]
mod resources;
#[cfg(feature = "rocksdb")]
mod schedules;
#[cfg(feature = "rocksdb")]
mod sections;
mod shards;
mod shards_cast;
#[cfg(feature = "rocksdb")]
mod stopping;
#[cfg(feature = "rocksdb")]
mod stored_values;
mod timers;
mod untyped;
#[cfg(feature = "rocksdb")]
mod versions;
mod waiting;
