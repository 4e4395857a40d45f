//! Checkpoints of a running hub are consistent and complete, and do not open as a hub before they are restored.
//!
//! See docs/src/guarantees.md, "One process, one directory".

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use abide::ErrorKind;
use abide::prelude::*;

use crate::fixtures::Counter;

const ACCOUNTS: u64 = 50;
const START_CENTS: i64 = 1_000;

#[derive(Entity, Clone, Serialize, Deserialize)]
#[entity(init = Account::opened)]
struct Account {
    cents: i64,
}

impl Account {
    fn opened(_key: &str) -> Self {
        Self { cents: START_CENTS }
    }
}

#[operations]
impl Account {
    pub fn pay(&mut self, ctx: &mut EntityContext, to: u64, cents: i64) -> i64 {
        ctx.entity::<Account>(to).receive(cents).signal();
        self.cents -= cents;
        self.cents
    }

    pub fn receive(&mut self, cents: i64) {
        self.cents += cents;
    }
}

fn builder(directory: &Path) -> abide::HubBuilder {
    Hub::builder(directory).entity::<Account>().entity::<Counter>()
}

/// Returns the cents of all accounts. A message that is in flight is processed before a later call to its account.
async fn sum(client: &Client) -> i64 {
    let mut cents = 0;
    for account in 0..ACCOUNTS {
        // A payment of zero to itself waits for all earlier messages.
        cents += client.entity::<Account>(account).pay(account, 0).await.unwrap();
    }
    cents
}

/// Transfers money between random accounts until `stop` is set.
async fn pay_on(client: Client, first: u64, stop: Arc<AtomicBool>) {
    let mut n = first;
    while !stop.load(Ordering::Relaxed) {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (from, to) = ((n >> 33) % ACCOUNTS, (n >> 43) % ACCOUNTS);
        client
            .entity::<Account>(from)
            .pay(to, (n >> 50) as i64 % 100)
            .await
            .unwrap();
    }
}

/// A checkpoint that is made during transfers contains every cent and everything that was acknowledged. It does not
/// open until it is restored, keeps its number of partitions, and is independent of the original.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_running_hub_is_consistent() {
    let directory = tempfile::tempdir().unwrap();
    let hub = builder(&directory.path().join("hub")).partitions(7).executors(2);
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    for account in 0..ACCOUNTS {
        client.entity::<Account>(account).receive(0).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let payers: Vec<_> = (0..8)
        .map(|first| tokio::spawn(pay_on(client.clone(), first, Arc::clone(&stop))))
        .collect();
    for n in 1..=4 {
        // A checkpoint contains everything that was acknowledged before it.
        let acknowledged = client.entity::<Counter>("c").add(1).await.unwrap();
        let copy = directory.path().join(format!("copy-{n}"));
        hub.checkpoint(&copy).await.unwrap();
        client.entity::<Counter>("c").add(1).await.unwrap();

        let error = builder(&copy).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Copy);
        assert!(error.to_string().contains(".restore()"), "{error}");
        // The requested number of partitions applies only to a new hub.
        let restored = builder(&copy)
            .partitions(64)
            .executors(n)
            .restore()
            .open()
            .await
            .unwrap();
        let restored_client = restored.client();
        assert_eq!(
            restored_client.entities().name("account").count().await.unwrap(),
            ACCOUNTS
        );
        assert_eq!(sum_when_quiet(&restored).await, START_CENTS * ACCOUNTS as i64);
        let counter = restored_client.entity::<Counter>("c");
        assert_eq!(counter.state().await.unwrap().unwrap().n, acknowledged);
        counter.add(1).await.unwrap();
        restored.shutdown().await.unwrap();
        // Once restored, it opens like any other hub.
        builder(&copy).open().await.unwrap().shutdown().await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for payer in payers {
        payer.await.unwrap();
    }
    assert_eq!(sum_when_quiet(&hub).await, START_CENTS * ACCOUNTS as i64);
    hub.shutdown().await.unwrap();
}

/// Returns the cents of all accounts once no message is in flight, that is, once two consecutive sums agree.
async fn sum_when_quiet(hub: &Hub) -> i64 {
    let client = hub.client();
    let mut last = sum(&client).await;
    loop {
        let next = sum(&client).await;
        if next == last {
            return next;
        }
        last = next;
    }
}

/// A checkpoint needs an empty directory, and an in-memory hub has nothing to copy.
#[tokio::test]
async fn a_copy_needs_a_place_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub");
    let hub = builder(&path).open().await.unwrap();
    let error = hub.checkpoint(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("not empty"), "{error}");
    hub.client().entity::<Counter>("c").add(1).await.unwrap();
    hub.shutdown().await.unwrap();
    let hub = Hub::in_memory().open().await.unwrap();
    let error = hub.checkpoint(directory.path().join("copy")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(!directory.path().join("copy").exists());
}
