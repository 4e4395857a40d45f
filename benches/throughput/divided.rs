//! A hub of two shards, which two nodes of this process divide between them.

use std::time::Duration;

use abide::cluster::Database as Inspected;
use abide::{Client, EntityRef, Hub};

use crate::CALLED;
use crate::arguments::Arguments;
use crate::entities::{self, Counter, LANDED};
use crate::load::{Load, closed_loop};
use crate::postgres::Database;
use crate::report::Report;

const SHARDS: u16 = 2;

/// Two nodes, each of which runs one shard.
struct Divided {
    url: String,
    name: String,
    nodes: [Hub; 2],
}

impl Divided {
    async fn open(database: &Database) -> Self {
        let name = database.fresh_name();
        let divided = Self {
            url: database.url().to_owned(),
            nodes: database.open_two(&name, SHARDS).await,
            name,
        };
        divided.wait_for_balance().await;
        divided
    }

    /// Waits until each node runs a shard.
    async fn wait_for_balance(&self) {
        let database = Inspected::at(&self.url);
        loop {
            let status = database.hub(&self.name).await.expect("the database answers");
            let has_one = status.nodes.iter().all(|node| node.shards.len() == 1);
            if status.nodes.len() == self.nodes.len() && has_one {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        while !self.nodes.iter().all(|hub| hub.client().runs_hub()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the key of a counter in the shard that a node runs.
    async fn key_on(&self, node: usize) -> u64 {
        let (client, hub) = (self.nodes[node].client(), &self.nodes[node]);
        for key in 0.. {
            let before = hub.stats().forwarded;
            client.entity::<Counter>(key).add(0).await.expect("the call succeeds");
            if hub.stats().forwarded == before {
                return key;
            }
        }
        unreachable!("a shard has a part of all keys");
    }

    async fn close(self) {
        for hub in self.nodes {
            hub.shutdown().await.expect("the hub closes");
        }
    }
}

/// Measures requests and messages between two nodes that each run a shard.
pub(crate) async fn measure(database: &Database, arguments: &Arguments, report: &mut Report) {
    const HOP: &str = "postgres.shards2.hop.callers1.p50_us";
    const CALL: &str = "postgres.shards2.call.callers1.p50_us";
    const MANY: &str = "postgres.shards2.call.callers256.per_s";
    let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
    if !arguments.wants(&[HOP, CALL, MANY]) {
        return;
    }
    let divided = Divided::open(database).await;
    let [here, there] = [divided.nodes[0].client(), divided.nodes[1].client()];
    let keys = [divided.key_on(0).await, divided.key_on(1).await];
    let load = hops([&here, &there], keys, warm_up, measured).await;
    report.add(HOP, load.quantile_us(0.5), "us", 1);
    let load = entities::counters(&here, entities::Request::Call, 1, CALLED, warm_up, measured).await;
    report.add(CALL, load.quantile_us(0.5), "us", 1);
    let load = entities::counters(&here, entities::Request::Call, 256, CALLED, warm_up, measured).await;
    report.add(MANY, load.per_s(), "1/s", 256);
    divided.close().await;
}

/// Calls a counter of the first node that sends a message to one of the second node, until that message has a durable effect.
/// The read that waits for it begins before its commit, so it needs no round trip of its own.
async fn hops(nodes: [&Client; 2], keys: [u64; 2], warm_up: Duration, measured: Duration) -> Load {
    let there = nodes[1].entity::<Counter>(keys[1]);
    let mut total = there.total().await.expect("the hub reads");
    closed_loop(1, warm_up, measured, |_| {
        let (from, there) = (nodes[0].entity::<Counter>(keys[0]), there.clone());
        move || {
            total += 1;
            let (from, there) = (from.clone(), there.clone());
            async move {
                let landing = async {
                    let mut landed = LANDED.subscribe();
                    landed.wait_for(|landed| *landed == total).await.expect("it is static");
                    there.state().await.expect("the node reads");
                };
                let (called, ()) = tokio::join!(from.launch(keys[1]).into_future(), landing);
                called.expect("the call succeeds");
            }
        }
    })
    .await
}
