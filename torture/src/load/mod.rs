//! The work that is going on while something breaks: clients that use every feature of a hub, and a ledger outside of
//! it with everything that was acknowledged.
//!
//! Each client asks one request after another. The n-th request of a client is a function of the seed, so a process can
//! continue where a killed one stopped: it asks the first unacknowledged request again, under the same request id. When
//! everything that was asked is acknowledged, the content of the hub is known exactly, and [`finish`] compares it.
//!
//! A node of a cluster that listens also has visitors. Their requests have no id, and the node reports what became of each.

mod audit;
mod client;
mod entities;
mod finish;
mod ledger;
mod orchestrations;
mod plan;
mod visits;

use std::path::{Path, PathBuf};

use abide::{Hub, HubBuilder};
use entities::{Account, Journal, Relay, Ticker};
use orchestrations::{charge, order, pack, tick, transfer, wrap};

pub(crate) use client::{serve, states_read};
pub(crate) use finish::{Broken, finish_now};
pub(crate) use ledger::{Ledger, OUTSIDE, answered_since, ledger_bytes};
pub(crate) use plan::{Listening, Node, Plan};
pub(crate) use visits::Visits;

/// Returns the directory of the hub in a place.
pub(crate) fn hub(place: &Path) -> PathBuf {
    place.join("hub")
}

/// Returns a hub with all types of the load. Its log is small, so that rows move to RocksDB and segments are reused.
fn builder(place: &Path, plan: &Plan) -> HubBuilder {
    let builder = match &plan.node {
        Some(node) => {
            let builder = Hub::cluster(&node.url, "torture")
                .directory(&node.directory)
                .shards(node.shards);
            match &node.listens {
                Some(place) => builder.listen(&place.address).advertise(&place.advertised),
                None => builder,
            }
        }
        None => Hub::builder(hub(place)),
    };
    builder
        .entity::<Account>()
        .entity::<Journal>()
        .entity::<Relay>()
        .entity::<Ticker>()
        .activity::<charge>()
        .activity::<wrap>()
        .orchestration::<order>()
        .orchestration::<pack>()
        .orchestration::<tick>()
        .orchestration::<transfer>()
        .resource(ledger::World::open(place))
        .executors(plan.executors)
        .partitions(8)
        .memory_budget(8 << 20)
        .wal_limit(plan.log_bytes)
        // By chance every crash may interrupt the same activity.
        .activity_crash_limit(1 << 20)
}
