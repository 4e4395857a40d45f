//! Documents about the hub.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::HubStats;
use crate::client::OrchestrationCount;

/// Health of the hub.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Health {
    /// Always `ok`.
    pub(in crate::http) status: &'static str,
}

/// Counts of orchestrations and entities.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct CountsDocument {
    pub(in crate::http) orchestrations: Vec<OrchestrationCountDocument>,
    pub(in crate::http) entities: Vec<EntityCountDocument>,
}

/// Number of orchestrations with one name and one status.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OrchestrationCountDocument {
    name: String,
    runtime_status: &'static str,
    count: u64,
}

/// Number of entities of one name that have a state.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct EntityCountDocument {
    pub(in crate::http) name: String,
    pub(in crate::http) count: u64,
}

impl From<OrchestrationCount> for OrchestrationCountDocument {
    fn from(count: OrchestrationCount) -> Self {
        Self {
            name: count.name,
            runtime_status: count.status.as_str(),
            count: count.count,
        }
    }
}

macro_rules! statistics {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident,)*) => {
        /// Statistics of the hub since it was opened.
        #[derive(Debug, Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(in crate::http) struct StatsDocument {
            $($(#[doc = $doc])* $name: u64,)*
        }

        impl From<HubStats> for StatsDocument {
            fn from(stats: HubStats) -> Self {
                Self { $($name: stats.$name,)* }
            }
        }

        impl StatsDocument {
            /// Renders the numbers in the Prometheus text format. The names differ from those of the `metrics` facade,
            /// so that a program can serve both.
            pub(in crate::http) fn prometheus(&self) -> String {
                use std::fmt::Write;
                let mut text = String::with_capacity(4_096);
                $({
                    let help = concat!($($doc),*).trim();
                    let (kind, suffix) = statistics!(@kind $kind);
                    let name = concat!("abide_hub_", stringify!($name));
                    // Writing to a `String` cannot fail.
                    let _ = write!(
                        text,
                        "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n{name}{suffix} {}\n",
                        self.$name
                    );
                })*
                text
            }
        }
    };
    (@kind counter) => { ("counter", "_total") };
    (@kind gauge) => { ("gauge", "") };
}

statistics! {
    /// Turns. A turn is one execution of an instance.
    counter turns,
    /// Operations that were run.
    counter operations,
    /// Operations that failed and were rolled back.
    counter failures,
    /// States that were read from the store.
    counter states_loaded,
    /// Scheduled signals that fired.
    counter timers_fired,
    /// Messages that became dead letters.
    counter dead_letters,
    /// Commits of this process.
    counter commits,
    /// Number of the newest written commit.
    gauge written,
    /// Number of the newest commit on disk.
    gauge durable,
    /// Messages that wait for an executor.
    gauge queued,
    /// Instances with waiting messages.
    gauge waiting_instances,
    /// Entities in memory.
    gauge entities_in_memory,
    /// Clients that wait for a response. Some of them may have given up.
    gauge waiting_clients,
    /// Seconds by which the clock was behind the newest commit when the hub was opened.
    gauge clock_behind_seconds,
    /// Seconds by which the clock was ahead of the newest commit when the hub was opened.
    gauge clock_ahead_seconds,
    /// Bytes that were appended to the commit log.
    counter wal_bytes,
    /// Approximate bytes of log that an open after a crash would have to read.
    gauge wal_live_bytes,
    /// Memory for cached blocks, in bytes.
    gauge block_cache_bytes,
    /// Rows of new commits that are not in RocksDB yet.
    gauge front_rows,
    /// Memory for rows that are not in RocksDB yet, in bytes.
    gauge front_bytes,
    /// Commits that are not in RocksDB yet.
    gauge front_lag,
    /// Number of times that a commit had to wait because RocksDB or the disk was behind.
    counter front_stalls,
    /// Changes of the commits that are in RocksDB.
    counter materialized_changes,
    /// Rows that remained of the changes and were written to RocksDB.
    counter materialized_rows,
    /// Requests that this node has forwarded to the node that runs the hub.
    counter forwarded,
}
