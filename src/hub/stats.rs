//! What a hub has done and holds.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::client::Client;
use crate::error::Result;
use crate::runtime::Runtime;

/// What a hub has done since it was opened, and what it holds. A snapshot whose numbers were read one after the other.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HubStats {
    /// Turns: executions of one instance.
    pub turns: u64,
    /// Operations that were run.
    pub operations: u64,
    /// Operations that failed and were rolled back.
    pub failures: u64,
    /// States that were read from the store.
    pub states_loaded: u64,
    /// Scheduled signals that fired.
    pub timers_fired: u64,
    /// Messages that became dead letters.
    pub dead_letters: u64,
    /// Commits of this process.
    pub commits: u64,
    /// The newest commit that is written.
    pub written: u64,
    /// The newest commit that is on disk.
    pub durable: u64,
    /// Messages that wait for an executor.
    pub queued: u64,
    /// Instances that have messages waiting.
    pub waiting_instances: u64,
    /// Entities in memory.
    pub entities_in_memory: u64,
    /// Clients that wait for an answer. Some of them may have given up.
    pub waiting_clients: u64,
    /// Seconds by which the clock was behind the newest commit when the hub was opened. More than a few mean that the clock is
    /// wrong, or was wrong in the life of the hub before.
    pub clock_behind_seconds: u64,
    /// Seconds by which the clock was ahead of the newest commit when the hub was opened: the hub was closed or idle for so long,
    /// or the clock was set forward. If it is more than a day, ages count only the time that the hub is open, until that is an
    /// hour. An open within this hour counts from the last commit before it.
    pub clock_ahead_seconds: u64,
    /// Bytes that were appended to the commit log.
    pub wal_bytes: u64,
    /// Bytes of log that an open after a kill would have to read, about.
    pub wal_live_bytes: u64,
    /// Memory for cached blocks, in bytes.
    pub block_cache_bytes: u64,
    /// Rows of new commits that RocksDB does not have yet. Reads find them in memory.
    pub front_rows: u64,
    /// Memory for these rows, in bytes.
    pub front_bytes: u64,
    /// Commits that RocksDB does not have yet.
    pub front_lag: u64,
    /// How often a commit had to wait because RocksDB or the disk was behind.
    pub front_stalls: u64,
    /// Changes of the commits that RocksDB has taken in.
    pub materialized_changes: u64,
    /// Rows that were left of these changes and were written to RocksDB: the changes of one row count once, and a row that was
    /// inserted and deleted not at all.
    pub materialized_rows: u64,
}

impl Client {
    /// What the hub has done since it was opened, and what it holds: see [`Hub::stats`](crate::Hub::stats). Of a directory
    /// that is only looked at no more is known than its newest commit.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn stats(&self) -> Result<HubStats> {
        match self.inspected() {
            Some(inspected) => Ok(HubStats {
                written: inspected.last_commit,
                durable: inspected.last_commit,
                ..HubStats::default()
            }),
            None => self.runtime().map(|runtime| HubStats::of(&runtime)),
        }
    }
}

impl HubStats {
    pub(super) fn of(runtime: &Runtime) -> Self {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let totals = &runtime.totals;
        let (written, durable) = runtime.order.watermarks();
        let store = runtime.order.store().stats();
        Self {
            turns: read(&totals.turns),
            operations: read(&totals.operations),
            failures: read(&totals.failures),
            states_loaded: read(&totals.loads),
            timers_fired: read(&totals.timers_fired),
            dead_letters: read(&totals.dead_letters),
            commits: read(&totals.commits),
            written,
            durable,
            queued: runtime.inboxes.iter().map(|inbox| inbox.len() as u64).sum(),
            waiting_instances: read(&totals.mailboxes),
            entities_in_memory: read(&totals.entities_in_memory),
            waiting_clients: read(&totals.callers),
            clock_behind_seconds: runtime.clock.behind().as_secs(),
            clock_ahead_seconds: runtime.clock.ahead().as_secs(),
            wal_bytes: store.wal_bytes,
            wal_live_bytes: store.wal_live_bytes,
            block_cache_bytes: store.block_cache_bytes,
            front_rows: store.front_rows,
            front_bytes: store.front_bytes,
            front_lag: store.front_lag,
            front_stalls: store.front_stalls,
            materialized_changes: store.materialized_changes,
            materialized_rows: store.materialized_rows,
        }
    }
}
