//! Statistics of a hub.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::client::admin::Admin;
use crate::error::Result;
use crate::runtime::HubRef;

/// Statistics of a hub since it was opened. The values of a snapshot are read one after the other, not atomically.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HubStats {
    /// Number of turns. A turn processes the waiting messages of one instance.
    pub turns: u64,
    /// Number of operations that were run.
    pub operations: u64,
    /// Number of operations that failed and were rolled back.
    pub failures: u64,
    /// Number of states that were read from the store.
    pub states_loaded: u64,
    /// Number of scheduled signals that fired.
    pub timers_fired: u64,
    /// Number of messages that became dead letters.
    pub dead_letters: u64,
    /// Number of commits of this process.
    pub commits: u64,
    /// The newest written commit.
    pub written: u64,
    /// The newest commit on disk.
    pub durable: u64,
    /// Number of messages that wait for an executor.
    pub queued: u64,
    /// Number of instances with waiting messages.
    pub waiting_instances: u64,
    /// Number of entities in memory.
    pub entities_in_memory: u64,
    /// Number of clients that wait for an answer. Some of them may have given up.
    pub waiting_clients: u64,
    /// Seconds by which the clock was behind the newest commit when the hub was opened. A value of more than a few
    /// seconds means that the clock is wrong, or was wrong when the hub was last open.
    pub clock_behind_seconds: u64,
    /// Seconds by which the clock was ahead of the newest commit when the hub was opened. The hub was closed or idle
    /// for this time, or the clock was set forward.
    ///
    /// If the value exceeds one day, only the time during which the hub is open counts for ages, until the hub has been
    /// open for an hour. An open within this hour counts from the last commit before it.
    pub clock_ahead_seconds: u64,
    /// Number of bytes appended to the commit log.
    pub wal_bytes: u64,
    /// Approximate number of bytes of log that an open after a kill would have to read.
    pub wal_live_bytes: u64,
    /// Memory for cached blocks, in bytes.
    pub block_cache_bytes: u64,
    /// Number of rows of new commits that RocksDB does not have yet. Reads find them in memory.
    pub front_rows: u64,
    /// Memory for these rows, in bytes.
    pub front_bytes: u64,
    /// Number of commits that RocksDB does not have yet.
    pub front_lag: u64,
    /// Number of times that a commit had to wait because RocksDB or the disk was behind.
    pub front_stalls: u64,
    /// Number of changes in the commits that RocksDB has received.
    pub materialized_changes: u64,
    /// Number of rows written to RocksDB for these changes. All changes of one row count once, and a row that was
    /// inserted and deleted does not count.
    pub materialized_rows: u64,
    /// Number of requests that this node has forwarded to the node that runs the hub, since it was opened.
    pub forwarded: u64,
}

impl Admin {
    /// Returns the statistics of the hub, as [`Hub::stats`](crate::Hub::stats) does. For an inspected directory, they
    /// contain only its newest commit.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the hub is closed.
    pub fn stats(&self) -> Result<HubStats> {
        match self.client().inspected() {
            Some(inspected) => Ok(HubStats {
                written: inspected.last_commit,
                durable: inspected.last_commit,
                ..HubStats::default()
            }),
            None => HubStats::of(&self.client().hub()),
        }
    }
}

impl HubStats {
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the hub is closed.
    pub(super) fn of(hub: &HubRef) -> Result<Self> {
        let mut shards = hub.shards().iter().map(Self::of_shard);
        shards.try_fold(Self::default(), |all, shard| Ok(all.and(&shard?)))
    }

    /// Returns the statistics of two shards together.
    fn and(self, other: &Self) -> Self {
        Self {
            turns: self.turns + other.turns,
            operations: self.operations + other.operations,
            failures: self.failures + other.failures,
            states_loaded: self.states_loaded + other.states_loaded,
            timers_fired: self.timers_fired + other.timers_fired,
            dead_letters: self.dead_letters + other.dead_letters,
            commits: self.commits + other.commits,
            written: self.written + other.written,
            durable: self.durable + other.durable,
            queued: self.queued + other.queued,
            waiting_instances: self.waiting_instances + other.waiting_instances,
            entities_in_memory: self.entities_in_memory + other.entities_in_memory,
            waiting_clients: self.waiting_clients + other.waiting_clients,
            clock_behind_seconds: self.clock_behind_seconds.max(other.clock_behind_seconds),
            clock_ahead_seconds: self.clock_ahead_seconds.max(other.clock_ahead_seconds),
            wal_bytes: self.wal_bytes + other.wal_bytes,
            wal_live_bytes: self.wal_live_bytes + other.wal_live_bytes,
            block_cache_bytes: self.block_cache_bytes + other.block_cache_bytes,
            front_rows: self.front_rows + other.front_rows,
            front_bytes: self.front_bytes + other.front_bytes,
            front_lag: self.front_lag + other.front_lag,
            front_stalls: self.front_stalls + other.front_stalls,
            materialized_changes: self.materialized_changes + other.materialized_changes,
            materialized_rows: self.materialized_rows + other.materialized_rows,
            forwarded: self.forwarded + other.forwarded,
        }
    }

    fn of_shard(hub: &HubRef) -> Result<Self> {
        let runtime = hub.open()?;
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let totals = &runtime.totals;
        let (written, durable) = runtime.order.watermarks();
        let store = runtime.order.store().stats();
        Ok(Self {
            turns: read(&totals.turns),
            operations: read(&totals.operations),
            failures: read(&totals.failures),
            states_loaded: read(&totals.loads),
            timers_fired: read(&totals.timers_fired),
            dead_letters: read(&totals.dead_letters),
            commits: read(&totals.commits),
            written,
            durable,
            queued: runtime.inboxes.iter().map(|inbox| inbox.len() as u64).sum::<u64>() + read(&totals.inputs),
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
            forwarded: hub.forwarded(),
        })
    }
}
