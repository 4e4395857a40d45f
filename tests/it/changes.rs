//! The feed of durable changes.

use abide::client::{ChangeKind, Changes, InstanceChange};
use abide::prelude::*;
use abide::{ErrorKind, activity, orchestration};

use crate::fixtures::{Counter, until_it_stops};

/// Waits for the event `go`.
#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.wait_for_external_event::<()>("go").await?)
}

#[activity]
async fn nothing() {}

/// Adds to a counter.
#[orchestration]
async fn counts(ctx: OrchestrationContext, n: u64) -> Result<u64, Failure> {
    ctx.call_activity::<nothing>(()).await?;
    Ok(ctx.entity::<Counter>("seen").add(n).await?)
}

#[orchestration]
async fn panics(_ctx: OrchestrationContext) {
    panic!("out of order");
}

async fn open(builder: abide::HubBuilder) -> Hub {
    builder
        .entity::<Counter>()
        .activity::<nothing>()
        .orchestration::<waits>()
        .orchestration::<counts>()
        .orchestration::<panics>()
        .open()
        .await
        .unwrap()
}

/// Receives changes until there are `count`.
async fn receive(changes: &mut Changes, count: usize) -> Vec<InstanceChange> {
    let mut received = Vec::new();
    while received.len() < count {
        let batch = changes.next().await.unwrap();
        assert!(!batch.has_gap);
        received.extend(batch.changes);
    }
    received
}

fn told(changes: &[InstanceChange]) -> Vec<(ChangeKind, &str)> {
    changes.iter().map(|change| (change.kind, change.id.as_str())).collect()
}

/// Every kind of change arrives once, in order, with the status after it. What was acknowledged has become durable, so
/// its change arrives without further commits.
#[tokio::test]
async fn every_change_arrives_once_and_in_order() {
    let hub = open(Hub::in_memory()).await;
    let client = hub.client();
    let mut all = client.changes().prefix("w").watch().unwrap();
    let run = client.start::<waits>(()).instance_id("w").await.unwrap();
    run.suspend("later").await.unwrap();
    run.resume("now").await.unwrap();
    run.raise_event("go", ()).await.unwrap();
    run.result().await.unwrap();
    run.purge().await.unwrap();
    let received = receive(&mut all, 7).await;
    let kinds: Vec<_> = received.iter().map(|change| (change.kind, change.status)).collect();
    let running = Some(OrchestrationStatus::Running);
    assert_eq!(
        kinds[..2],
        [(ChangeKind::Turn, running), (ChangeKind::Started, running)]
    );
    assert!(kinds.contains(&(ChangeKind::Status, Some(OrchestrationStatus::Suspended))));
    assert!(kinds.contains(&(ChangeKind::Status, running)));
    assert!(kinds.contains(&(ChangeKind::Ended, Some(OrchestrationStatus::Completed))));
    assert_eq!(received.last().unwrap().kind, ChangeKind::Purged);
    assert!(received.iter().all(|change| change.name == "waits"));
    hub.shutdown().await.unwrap();
}

/// A filter by name, prefix or kind leaves out everything else.
#[tokio::test]
async fn filters_leave_out_everything_else() {
    let hub = open(Hub::in_memory()).await;
    let client = hub.client();
    let mut ends = client.changes().name("counts").kind(ChangeKind::Ended).watch().unwrap();
    let mut entities = client.changes().kind(ChangeKind::Entity).watch().unwrap();
    let mut stops = client
        .changes()
        .kind(ChangeKind::Stopped)
        .kind(ChangeKind::Purged)
        .watch()
        .unwrap();
    for n in 0..3 {
        let run = client.start::<counts>(n).instance_id(format!("c{n}")).await.unwrap();
        run.result().await.unwrap();
    }
    let stopped = client.start::<panics>(()).instance_id("p").await.unwrap();
    until_it_stops(&stopped.untyped()).await;
    let received = receive(&mut ends, 3).await;
    let expected = ["c0", "c1", "c2"].map(|id| (ChangeKind::Ended, id));
    assert_eq!(told(&received), expected);
    let received = receive(&mut entities, 3).await;
    assert_eq!(told(&received), [(ChangeKind::Entity, "@counter@seen"); 3]);
    assert!(
        received
            .iter()
            .all(|change| change.status.is_none() && change.name == "counter")
    );
    assert_eq!(told(&receive(&mut stops, 1).await), [(ChangeKind::Stopped, "p")]);
    hub.shutdown().await.unwrap();
}

/// A reader who comes back continues where it stopped.
#[tokio::test]
async fn a_reader_who_comes_back_misses_nothing() {
    let hub = open(Hub::in_memory()).await;
    let client = hub.client();
    let mut changes = client.changes().kind(ChangeKind::Ended).watch().unwrap();
    client
        .start::<counts>(1)
        .instance_id("a")
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    assert_eq!(told(&receive(&mut changes, 1).await), [(ChangeKind::Ended, "a")]);
    let position = changes.position();
    drop(changes);
    client
        .start::<counts>(1)
        .instance_id("b")
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    let mut again = client
        .changes()
        .kind(ChangeKind::Ended)
        .after(position)
        .watch()
        .unwrap();
    assert_eq!(told(&receive(&mut again, 1).await), [(ChangeKind::Ended, "b")]);

    for broken in ["", "x", "1", "1-", "-1", "zz-1"] {
        let error = client.changes().after(broken).watch().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidId);
        assert!(error.to_string().contains(&format!("`{broken}`")), "{error}");
    }
    hub.shutdown().await.unwrap();
}

/// A reader from another life of the hub learns that changes are missing. When the hub closes, the feed ends.
#[cfg(feature = "rocksdb")]
#[tokio::test]
async fn a_reader_from_another_life_learns_of_the_gap() {
    let place = tempfile::tempdir().unwrap();
    let hub = open(Hub::builder(place.path())).await;
    let mut changes = hub.client().changes().watch().unwrap();
    let position = changes.position();
    hub.shutdown().await.unwrap();
    assert_eq!(changes.next().await.unwrap_err().kind(), ErrorKind::Closed);

    let hub = open(Hub::builder(place.path())).await;
    let mut changes = hub.client().changes().after(position).watch().unwrap();
    let batch = changes.next().await.unwrap();
    assert!(batch.has_gap && batch.changes.is_empty());
    assert_eq!(batch.position, changes.position());
    hub.shutdown().await.unwrap();

    let stopped = Hub::inspect(place.path()).client().await.unwrap();
    assert_eq!(stopped.changes().watch().unwrap_err().kind(), ErrorKind::ReadOnly);
}
