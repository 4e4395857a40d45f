//! The work that is going on while something breaks: clients that use every feature of a hub, and a ledger outside of
//! it with everything that was acknowledged.
//!
//! Each client asks one request after another. The n-th request of a client is a function of the seed, so a process can
//! continue where a killed one stopped: it asks the first unacknowledged request again, under the same request id. When
//! everything that was asked is acknowledged, the content of the hub is known exactly, and [`finish`] compares it.

mod audit;
mod client;
mod entities;
mod finish;
mod ledger;
mod orchestrations;
mod plan;

use std::path::{Path, PathBuf};

use abide::{Hub, HubBuilder};
use entities::{Account, Journal, Relay, Ticker};
use orchestrations::{charge, order, pack, tick, transfer, wrap};

pub(crate) use client::serve;
pub(crate) use finish::{Broken, finish_now};
pub(crate) use ledger::{Ledger, OUTSIDE, ledger_bytes};
pub(crate) use plan::{Node, Plan};

/// Returns the directory of the hub in a place.
pub(crate) fn hub(place: &Path) -> PathBuf {
    place.join("hub")
}

/// Returns a hub with all types of the load. Its log is small, so that rows move to RocksDB and segments are reused.
fn builder(place: &Path, plan: &Plan) -> HubBuilder {
    let builder = match &plan.node {
        Some(node) => {
            let builder = Hub::cluster(&node.url, "torture").directory(&node.directory);
            match node.listens {
                Some(_) => builder.listen("127.0.0.1:0"),
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
