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

/// An entity whose operation lasts until the test ends it.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Slow {
    n: u32,
}

/// Received by the operation: it has begun, and it may end.
static BARRIER: std::sync::Barrier = std::sync::Barrier::new(2);

#[operations]
impl Slow {
    pub fn add(&mut self) -> u32 {
        BARRIER.wait();
        BARRIER.wait();
        self.n += 1;
        self.n
    }
}

/// A watcher that begins in the middle of a step may have read the state from before it, and so receives a gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_had_begun_becomes_a_gap() {
    let hub = Hub::in_memory().entity::<Slow>().open().await.unwrap();
    let client = hub.client();
    let call = tokio::spawn(client.entity::<Slow>("s").add().into_future());
    tokio::task::spawn_blocking(|| BARRIER.wait()).await.unwrap();
    let mut changes = client.changes().kind(ChangeKind::Entity).watch().unwrap();
    assert!(client.entity::<Slow>("s").state().await.unwrap().is_none());
    tokio::task::spawn_blocking(|| BARRIER.wait()).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 1);
    let batch = changes.next().await.unwrap();
    assert!(batch.has_gap && batch.changes.is_empty(), "{batch:?}");
    hub.shutdown().await.unwrap();
}

/// A waker of a watcher that panics costs the hub nothing.
#[tokio::test]
async fn a_waker_that_panics_ends_no_thread_of_the_hub() {
    use std::future::Future;
    use std::task::{Context, Poll, Wake, Waker};

    struct Panics;

    impl Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a waker of the program panics");
        }
    }

    let hub = open(Hub::in_memory()).await;
    let client = hub.client();
    let mut changes = client.changes().watch().unwrap();
    let waker = Waker::from(std::sync::Arc::new(Panics));
    let mut next = Box::pin(changes.next());
    assert!(matches!(
        next.as_mut().poll(&mut Context::from_waker(&waker)),
        Poll::Pending
    ));
    for n in 1..=3 {
        assert_eq!(client.entity::<Counter>("a").add(1).await.unwrap(), n);
    }
    let mut others = client.changes().watch().unwrap();
    client.entity::<Counter>("a").add(1).await.unwrap();
    assert_eq!(
        told(&receive(&mut others, 1).await),
        [(ChangeKind::Entity, "@counter@a")]
    );
    drop(next);
    hub.shutdown().await.unwrap();
}
