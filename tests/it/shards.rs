//! Hubs of several shards: everything works as in a hub of one.

use std::collections::BTreeSet;

use abide::client::ChangeKind;
use abide::prelude::*;
use futures::future::join_all;

use crate::shards_cast::{Purse, Relay, transfer, with_cast};

async fn open(shards: u16) -> Hub {
    let hub = Hub::in_memory().shards(shards).partitions(8);
    with_cast(hub).open().await.unwrap()
}

/// Signals cross the shards in order, each once, and an idle hub has processed all of them.
#[tokio::test]
async fn messages_cross_the_shards_in_order() {
    for shards in [2, 3, 8] {
        let hub = open(shards).await;
        let client = hub.client();
        for n in 0..50 {
            client.entity::<Relay>(0).pass(n, 20).signal().await.unwrap();
        }
        hub.idle().await.unwrap();
        for key in 0..=20 {
            let seen = client.entity::<Relay>(key).state().await.unwrap().unwrap().seen;
            assert_eq!(seen, (0..50).collect::<Vec<_>>(), "{shards} shards, relay {key}");
        }
        hub.shutdown().await.unwrap();
    }
}

/// Orchestrations call, lock, start and wait across the shards, and lists, counts, changes and statistics show all of them.
#[tokio::test]
async fn everything_works_across_the_shards() {
    let hub = open(4).await;
    let client = hub.client();
    let mut changes = client.changes().kind(ChangeKind::Ended).watch().unwrap();
    let runs = (0..30_u32).map(|n| {
        let client = &client;
        async move {
            let run = client
                .start::<transfer>((n, (n + 7) % 30))
                .instance_id(format!("run-{n}"))
                .await
                .unwrap();
            run.raise_event("go", true).await.unwrap();
            assert_eq!(run.result().await.unwrap(), 100);
        }
    });
    join_all(runs).await;
    let purses = client.entities().name("purse");
    assert_eq!(purses.clone().count().await.unwrap(), 30);
    for n in 0..30 {
        assert_eq!(client.entity::<Purse>(n).state().await.unwrap().unwrap().cents, 0);
    }
    assert_eq!(client.orchestrations().count().await.unwrap(), 60);
    let mut listed = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = client
            .orchestrations()
            .prefix("run-")
            .page_size(7)
            .cursor(cursor)
            .page()
            .await
            .unwrap();
        listed.extend(page.items.into_iter().map(|info| info.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed.len(), 30);
    let mut ended = BTreeSet::new();
    while ended.len() < 60 {
        let batch = changes.next().await.unwrap();
        assert!(!batch.has_gap);
        ended.extend(batch.changes.into_iter().map(|change| change.id));
    }
    assert!(hub.stats().turns >= 30 * 5 && client.health().is_ok());
    // A purge finds the children in the other shards.
    let run = client.orchestration::<transfer>("run-3");
    run.purge().with_children().await.unwrap();
    hub.idle().await.unwrap();
    assert_eq!(client.orchestrations().count().await.unwrap(), 58);
    hub.shutdown().await.unwrap();
}

/// A hub has at least one shard, and a partition for each. A hub in a directory has one.
#[tokio::test]
async fn an_impossible_number_of_shards_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (builder, text) in [
        (Hub::in_memory().shards(0), "`shards` must be between 1 and"),
        (
            Hub::in_memory().partitions(2).shards(3),
            "`shards` must be between 1 and",
        ),
        (
            Hub::builder(directory.path()).shards(2),
            "a hub in a directory has one shard",
        ),
    ] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// With the feature `testing`, the environment divides a hub in memory that does not say how many shards it has.
#[cfg(feature = "testing")]
#[test]
fn the_environment_divides_hubs_in_memory() {
    let open = |shards: &str| {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "shards::shows_a_hub", "--ignored", "--nocapture"]);
        let output = test.env("ABIDE_SHARDS", shards).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for (shards, count) in [("1", 1), ("3", 3), ("100", 64)] {
        let shown = open(shards);
        assert_eq!(shown.matches("Running {").count(), count, "{shown}");
    }
    for shards in ["0", "many", "-1"] {
        let shown = open(shards);
        assert!(shown.contains("`ABIDE_SHARDS` must be the number of shards"), "{shown}");
    }
}

#[tokio::test]
#[ignore = "another test runs it with other environments"]
async fn shows_a_hub() {
    let hub = Hub::in_memory().open().await.unwrap();
    println!("{hub:?}");
    hub.shutdown().await.unwrap();
}
