//! Hubs of several shards, which several nodes run together.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use abide::Placed;
use abide::cluster::Database;
use abide::prelude::*;
use futures::future::join_all;
use tempfile::TempDir;

use crate::moves::{in_directory, use_hub};
use crate::nodes::{approval, listening, places};
use crate::server::Server;
use crate::shards_cast::{Purse, Relay, transfer, with_cast};
use crate::{Counter, greet, runtime, until};

const SHARDS: u16 = 4;

fn divided(server: &Server, place: &TempDir) -> abide::HubBuilder {
    with_cast(listening(server, place.path()).shards(SHARDS).partitions(16))
}

async fn open(server: &Server, place: &TempDir) -> Hub {
    divided(server, place).open().await.unwrap()
}

/// Waits until each node runs as many shards as `loads` says, and returns them.
async fn balanced(database: &Database, loads: &[usize]) -> Vec<Vec<u16>> {
    let began = Instant::now();
    loop {
        let status = database.hub("orders").await.unwrap();
        let mut shards: Vec<Vec<u16>> = status.nodes.into_iter().map(|node| node.shards).collect();
        shards.sort_by_key(Vec::len);
        shards.reverse();
        if shards.iter().map(Vec::len).eq(loads.iter().copied()) {
            return shards;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{shards:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Nodes that are there for a while have equal shares, and give them to the others when they end. Requests go on meanwhile.
#[test]
fn the_nodes_share_the_shards() {
    let Some(server) = Server::start() else { return };
    let places = places::<3>();
    runtime().block_on(async {
        let database = Database::at(server.url());
        let first = open(&server, &places[0]).await;
        balanced(&database, &[4]).await;
        let client = first.client();
        let calls = tokio::spawn(async move {
            let mut number = 0;
            loop {
                number += 1;
                let counter = client.entity::<Counter>(format!("key-{}", number % 16));
                counter.add().await.unwrap();
                if client.entity::<Counter>("end").state().await.unwrap().is_some() {
                    return number;
                }
            }
        });
        let second = open(&server, &places[1]).await;
        let shared = balanced(&database, &[2, 2]).await;
        let all: BTreeSet<u16> = shared.concat().into_iter().collect();
        assert_eq!(all.len(), 4);
        let third = open(&server, &places[2]).await;
        balanced(&database, &[2, 1, 1]).await;
        let hubs = [&first, &second, &third];
        until("a node runs nothing", async || {
            hubs.iter().all(|hub| hub.client().runs_hub())
        })
        .await;
        second.shutdown().await.unwrap();
        balanced(&database, &[2, 2, 0]).await;
        third.client().entity::<Counter>("end").add().await.unwrap();
        let number = calls.await.unwrap();
        let mut counted = 0;
        for key in 0..16 {
            let counter = third.client().entity::<Counter>(format!("key-{key}"));
            counted += counter.state().await.unwrap().map_or(0, |state| state.count);
        }
        assert_eq!(counted, number, "calls were lost or repeated");
        third.shutdown().await.unwrap();
        balanced(&database, &[4, 0, 0]).await;
        first.shutdown().await.unwrap();
    });
}

/// Instances with the same placement are in one shard, so a node that has one of them has all, and nothing is forwarded.
#[test]
fn what_is_placed_together_is_on_one_node() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let database = Database::at(server.url());
        let hubs = [open(&server, &places[0]).await, open(&server, &places[1]).await];
        balanced(&database, &[2, 2]).await;
        until("a node runs nothing", async || {
            hubs.iter().all(|hub| hub.client().runs_hub())
        })
        .await;
        let mut owners = BTreeSet::new();
        for tenant in 0..8_u32 {
            let mut forwarded = Vec::new();
            for hub in &hubs {
                let before = hub.stats().forwarded;
                for key in 0..10_u32 {
                    let counter = hub.client().entity::<Counter>(Placed::with(tenant, key));
                    counter.add().await.unwrap();
                }
                let start = hub.client().start::<approval>("a chair".to_owned()).placed_with(tenant);
                let run = start.await.unwrap();
                assert!(run.id().starts_with(&format!("{{{tenant}}}")), "{}", run.id());
                run.raise_event("decision", true).await.unwrap();
                forwarded.push(hub.stats().forwarded - before);
            }
            assert_eq!(
                forwarded.iter().filter(|forwarded| **forwarded == 0).count(),
                1,
                "{forwarded:?}"
            );
            owners.insert(forwarded[0] == 0);
        }
        assert_eq!(owners.len(), 2, "all placements are on one node");
        join_all(hubs.into_iter().map(Hub::shutdown)).await;
    });
}

/// Messages between the shards of several nodes arrive once and in order, and transfers keep the sum, while shards move.
#[test]
fn messages_cross_the_nodes_once_and_in_order() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let database = Database::at(server.url());
        let hubs = [open(&server, &places[0]).await, open(&server, &places[1]).await];
        let clients = hubs.iter().map(Hub::client).collect::<Vec<_>>();
        for n in 0..100 {
            let client = &clients[n as usize % 2];
            client.entity::<Relay>(0).pass(n, 12).signal().await.unwrap();
            if n == 50 {
                balanced(&database, &[2, 2]).await;
            }
        }
        let transfers = (0..24_u32).map(|n| {
            let client = &clients[n as usize % 2];
            async move {
                let run = client.start::<transfer>((n % 5, (n + 1) % 5)).await.unwrap();
                run.raise_event("go", true).await.unwrap();
                assert_eq!(run.result().await.unwrap(), 100);
            }
        });
        join_all(transfers).await;
        for hub in &hubs {
            hub.idle().await.unwrap();
        }
        let first = clients[0].entity::<Relay>(0).state().await.unwrap().unwrap().seen;
        assert_eq!(first.iter().copied().collect::<BTreeSet<_>>().len(), 100);
        for key in 0..=12 {
            for client in &clients {
                let seen = client.entity::<Relay>(key).state().await.unwrap().unwrap().seen;
                assert_eq!(seen, first, "relay {key}");
            }
        }
        let mut sum = 0;
        for key in 0..5 {
            let purse = clients[1].entity::<Purse>(key).state().await.unwrap();
            sum += purse.map_or(0, |purse| purse.cents);
        }
        assert_eq!(sum, 0);
        for client in &clients {
            assert_eq!(client.orchestrations().count().await.unwrap(), 48);
            assert_eq!(client.entities().name("relay").count().await.unwrap(), 13);
        }
        // Shards that have moved since they sent a message are idle, too.
        let [first, second] = hubs;
        first.shutdown().await.unwrap();
        let idle = tokio::time::timeout(Duration::from_secs(120), second.idle()).await;
        idle.expect("a hub without work is idle").unwrap();
        second.shutdown().await.unwrap();
    });
}

/// The shards of a node that is gone continue on the others, with everything that was acknowledged.
#[test]
fn the_others_continue_with_the_shards_of_a_node_that_is_gone() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let database = Database::at(server.url());
        let (gone, other) = (open(&server, &places[0]).await, open(&server, &places[1]).await);
        balanced(&database, &[2, 2]).await;
        let client = gone.client();
        let runs = join_all((0..8).map(|n| {
            client
                .start::<approval>(format!("a chair {n}"))
                .instance_id(format!("chair-{n}"))
                .into_future()
        }))
        .await;
        assert!(runs.iter().all(Result::is_ok));
        for n in 0..32 {
            client.entity::<Counter>(n).add().await.unwrap();
        }
        // As if its process had been killed.
        drop(gone);
        let client = other.client();
        for n in 0..32 {
            assert_eq!(client.entity::<Counter>(n).add().await.unwrap(), 2);
        }
        for n in 0..8 {
            let run = client.orchestration::<approval>(format!("chair-{n}"));
            run.raise_event("decision", true).await.unwrap();
            assert_eq!(run.result().await.unwrap(), format!("a chair {n}: true"));
        }
        balanced(&database, &[4, 0]).await;
        other.shutdown().await.unwrap();
    });
}

/// A hub that was in a directory can have several shards in the database. Everything that was on its way goes on there: counts,
/// orchestrations that wait for events, hold locks or sleep, and signals that are due later.
#[test]
fn a_hub_is_divided_when_it_is_imported() {
    let Some(server) = Server::start() else { return };
    let places = places::<3>();
    let data = places[2].path().join("data");
    runtime().block_on(async {
        let database = Database::at(server.url());
        let hub = with_cast(in_directory(&data).orchestration::<approval>().partitions(16));
        let hub = hub.open().await.unwrap();
        use_hub(&hub, "sleeps").await;
        let client = hub.client();
        for n in 0..8_u32 {
            let start = client
                .start::<transfer>((n, n + 1))
                .instance_id(format!("transfer-{n}"));
            start.await.unwrap();
            let start = client.start::<approval>(format!("a chair {n}"));
            start.instance_id(format!("chair-{n}")).await.unwrap();
            let late = client.entity::<Counter>(n).add();
            late.timer_id("late")
                .signal_after(Duration::from_secs(3))
                .await
                .unwrap();
        }
        hub.shutdown().await.unwrap();

        let impossible = database.import(&data, "orders").shards(17).await.unwrap_err();
        assert_eq!(impossible.kind(), ErrorKind::Configuration);
        assert!(
            impossible.to_string().contains("1 to 16 shards, and not 17"),
            "{impossible}"
        );
        database.import(&data, "orders").shards(SHARDS).await.unwrap();
        let status = database.hub("orders").await.unwrap();
        assert_eq!(
            (status.shards.len(), status.stage.as_str()),
            (usize::from(SHARDS), "open")
        );
        // The hub runs, and this does not change it.
        let again = database.import(&data, "orders").shards(8).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Moved, "{again}");

        let hubs = [open(&server, &places[0]).await, open(&server, &places[1]).await];
        let client = hubs[1].client();
        for n in 0..8 {
            let run = client.orchestration::<transfer>(format!("transfer-{n}"));
            run.raise_event("go", true).await.unwrap();
            assert_eq!(run.result().await.unwrap(), 100);
            let run = client.orchestration::<approval>(format!("chair-{n}"));
            run.raise_event("decision", true).await.unwrap();
            assert_eq!(run.result().await.unwrap(), format!("a chair {n}: true"));
        }
        let sleeps = client.orchestration::<greet>("sleeps");
        assert_eq!(sleeps.result().await.unwrap(), "ADA");
        let mut cents = 0;
        for n in 0..9 {
            cents += client
                .entity::<Purse>(n)
                .state()
                .await
                .unwrap()
                .map_or(0, |purse| purse.cents);
        }
        assert_eq!(cents, 0);
        until("a signal that was due later did not come", async || {
            let mut counted = Vec::new();
            for n in 0..50 {
                counted.push(client.entity::<Counter>(n).count().await.unwrap());
            }
            counted[..8] == [2; 8] && counted[8..] == [1; 42]
        })
        .await;
        assert_eq!(client.orchestrations().count().await.unwrap(), 8 * 2 + 8 + 1);
        join_all(hubs.into_iter().map(Hub::shutdown)).await;
    });
}

/// A hub of several shards moves into a directory, with the messages that were on their way between its shards, and from there
/// into another number of shards.
#[test]
fn a_divided_hub_moves_into_a_directory_and_back() {
    const RELAYS: u32 = 60;
    let Some(server) = Server::start() else { return };
    let places = places::<3>();
    let data = places[2].path().join("data");
    runtime().block_on(async {
        let database = Database::at(server.url());
        let hubs = [open(&server, &places[0]).await, open(&server, &places[1]).await];
        balanced(&database, &[2, 2]).await;
        let client = hubs[0].client();
        for n in 0..8_u32 {
            let start = client
                .start::<transfer>((n, n + 1))
                .instance_id(format!("transfer-{n}"));
            start.await.unwrap();
        }
        for n in 0..RELAYS {
            client.entity::<Relay>(0).pass(n, 12).signal().await.unwrap();
        }
        let busy = database.export("orders", &data).await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Locked, "{busy}");
        join_all(hubs.into_iter().map(Hub::shutdown)).await;
        let id = database.hub("orders").await.unwrap().hub;

        let moved = database.export("orders", &data).await.unwrap();
        assert_eq!(moved.hub, id);
        let refused = divided(&server, &places[0]).open().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Moved);
        let report = Hub::inspect(&data).check().await.unwrap();
        assert!(report.is_good() && !report.copy, "{report:?}");
        let hub = with_cast(in_directory(&data)).open().await.unwrap();
        hub.idle().await.unwrap();
        for key in 0..=12_u32 {
            let seen = hub.client().entity::<Relay>(key).state().await.unwrap().unwrap().seen;
            assert_eq!(seen, (0..RELAYS).collect::<Vec<_>>(), "relay {key}");
        }
        for n in 0..4 {
            let run = hub.client().orchestration::<transfer>(format!("transfer-{n}"));
            run.raise_event("go", true).await.unwrap();
            assert_eq!(run.result().await.unwrap(), 100);
        }
        hub.shutdown().await.unwrap();

        // And in again, with fewer shards, out, and in with more. The node still has the copies of before.
        let again = places[2].path().join("again");
        for (from, to, shards, n) in [(&data, Some(&again), 2, 4), (&again, None, SHARDS, 6)] {
            database.import(from, "orders").shards(shards).await.unwrap();
            let other = divided(&server, &places[1]).shards(3).open().await.unwrap_err();
            assert!(other.to_string().contains("import it with another one"), "{other}");
            let hub = divided(&server, &places[1]).shards(shards).open().await.unwrap();
            for n in n..n + 2 {
                let run = hub.client().orchestration::<transfer>(format!("transfer-{n}"));
                run.raise_event("go", true).await.unwrap();
                assert_eq!(run.result().await.unwrap(), 100);
            }
            let status = database.hub("orders").await.unwrap();
            assert_eq!(
                (status.hub.as_str(), status.shards.len()),
                (id.as_str(), usize::from(shards))
            );
            let seen = hub.client().entity::<Relay>(12).state().await.unwrap().unwrap().seen;
            assert_eq!(seen.len(), RELAYS as usize);
            hub.shutdown().await.unwrap();
            if let Some(to) = to {
                database.export("orders", to).await.unwrap();
            }
        }
    });
}

/// A hub of several shards needs nodes that reach each other, and keeps its number of shards.
#[test]
fn what_a_divided_hub_cannot_do_is_refused() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let builder = Hub::cluster(server.url(), "orders").directory(places[0].path());
        let deaf = builder.shards(2).open().await.unwrap_err();
        assert_eq!(deaf.kind(), ErrorKind::Configuration);
        assert!(deaf.to_string().contains("needs `.listen`"), "{deaf}");

        open(&server, &places[0]).await.shutdown().await.unwrap();
        let other = divided(&server, &places[0]).shards(3).open().await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Configuration);
        assert!(
            other
                .to_string()
                .contains("has 4 shards, and this program opens it with 3"),
            "{other}"
        );

        let target = places[1].path().join("hub");
        let hub = open(&server, &places[0]).await;
        let copied = hub.checkpoint(&target).await.unwrap_err();
        assert!(copied.to_string().contains("back up its database"), "{copied}");
        hub.shutdown().await.unwrap();
    });
}
