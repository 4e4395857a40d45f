//! The hub as a whole.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::HubStats;
use crate::client::OrchestrationCount;

/// Whether the hub works.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Health {
    /// `ok`.
    pub(in crate::http) status: &'static str,
}

/// How many there are of what.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct CountsDocument {
    pub(in crate::http) orchestrations: Vec<OrchestrationCountDocument>,
    pub(in crate::http) entities: Vec<EntityCountDocument>,
}

/// How many orchestrations of one name have one status.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OrchestrationCountDocument {
    name: String,
    runtime_status: &'static str,
    count: u64,
}

/// How many entities of one name have a state.
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
        /// What the hub has done since it was opened, and what it holds.
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
            /// The numbers in the text format of Prometheus. The names are not those of the `metrics` facade, so that a
            /// program may serve both.
            pub(in crate::http) fn prometheus(&self) -> String {
                use std::fmt::Write;
                let mut text = String::with_capacity(4_096);
                $({
                    let help = concat!($($doc),*).trim();
                    let (kind, suffix) = statistics!(@kind $kind);
                    let name = concat!("abide_hub_", stringify!($name));
                    // Writing to a text cannot fail.
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
    /// Turns: executions of one instance.
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
    /// The newest commit that is written.
    gauge written,
    /// The newest commit that is on disk.
    gauge durable,
    /// Messages that wait for an executor.
    gauge queued,
    /// Instances that have messages waiting, of the executor that committed last.
    gauge waiting_instances,
    /// Entities in memory, of the executor that committed last.
    gauge entities_in_memory,
    /// Clients that wait for an answer, of the executor that committed last. Some of them may have given up.
    gauge waiting_clients,
    /// Seconds by which the clock was behind the newest commit when the hub was opened.
    gauge clock_behind_seconds,
    /// Seconds by which the clock was ahead of the newest commit when the hub was opened.
    gauge clock_ahead_seconds,
    /// Bytes that were appended to the commit log.
    counter wal_bytes,
    /// Bytes of log that an open after a kill would have to read, about.
    gauge wal_live_bytes,
    /// Memory for cached blocks, in bytes.
    gauge block_cache_bytes,
    /// Rows of new commits that RocksDB does not have yet.
    gauge front_rows,
    /// Memory for these rows, in bytes.
    gauge front_bytes,
    /// Commits that RocksDB does not have yet.
    gauge front_lag,
    /// How often a commit had to wait because RocksDB or the disk was behind.
    counter front_stalls,
    /// Changes of the commits that RocksDB has taken in.
    counter materialized_changes,
    /// Rows that were left of these changes and were written to RocksDB.
    counter materialized_rows,
}
