//! A complete hub with several executors under load: calls, signals, signals between entities, scheduled signals, and
//! orchestrations with activities and critical sections, all at the same time.
//!
//! Every counter is exact at the end. The hub is not reopened in between, which would recover forgotten messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use abide::prelude::*;
use tokio::task::JoinSet;

/// Number of concurrent clients, and number of rounds of each client.
const CLIENTS: u64 = 16;
const ROUNDS: u64 = 250;

/// Number of counters of each kind. It is small, so that many clients use the same counter.
const COUNTERS: u64 = 12;

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: u64) -> u64 {
        self.count += n;
        self.count
    }

    /// Signals another counter, now and a little later.
    pub fn pass_on(&mut self, ctx: &mut EntityContext, to: u64, after_ms: u64) {
        let to = ctx.entity::<Counter>(&format!("passed-{to}"));
        to.add(1).signal();
        to.add(1).signal_after(Duration::from_millis(after_ms));
    }

    /// Yields, like an operation with I/O.
    pub async fn add_slowly(&mut self, n: u64) -> u64 {
        tokio::task::yield_now().await;
        self.count += n;
        self.count
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

#[activity]
async fn attempt(n: u64) -> u64 {
    ATTEMPTS.fetch_add(1, Ordering::Relaxed);
    n
}

/// Adds to two counters under a lock on both, with an activity and a timer.
#[orchestration]
async fn transfer(ctx: OrchestrationContext, between: (u64, u64)) -> Result<u64, Failure> {
    let (from, to) = between;
    let one = ctx.call_activity::<attempt>(1).await?;
    let (from, to) = (
        ctx.entity::<Counter>(format!("moved-{from}")),
        ctx.entity::<Counter>(format!("moved-{to}")),
    );
    let lock = ctx.lock_entities((&from, &to)).await?;
    from.add(one).await?;
    to.add(one).await?;
    drop(lock);
    ctx.create_timer(Duration::from_millis(1)).await;
    Ok(one)
}

async fn sum(client: &Client, kind: &str) -> u64 {
    let mut sum = 0;
    for n in 0..COUNTERS {
        sum += client.entity::<Counter>(format!("{kind}-{n}")).count().await.unwrap();
    }
    sum
}

/// Runs one client, whose requests all have to be acknowledged.
async fn ask(client: Client, number: u64) {
    for round in 0..ROUNDS {
        let n = (number * 7 + round) % COUNTERS;
        let counter = |kind: &str| client.entity::<Counter>(format!("{kind}-{n}"));
        match round % 5 {
            0 => {
                counter("called").add(1).await.unwrap();
            }
            1 => counter("signaled").add(1).signal().await.unwrap(),
            2 => counter("passing")
                .pass_on((n + round) % COUNTERS, round % 7)
                .await
                .unwrap(),
            3 => {
                let soon = Duration::from_millis(round % 7);
                counter("scheduled").add(1).signal_after(soon).await.unwrap();
                counter("slow").add_slowly(1).await.unwrap();
            }
            _ => {
                let to = (n + 1 + round % (COUNTERS - 1)) % COUNTERS;
                let run = client.start::<transfer>((n, to)).await.unwrap();
                assert_eq!(run.result().await.unwrap(), 1);
            }
        }
    }
}

/// No acknowledged request is lost, duplicated, or left waiting for the next open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_exact_under_load() {
    let hub = Hub::in_memory()
        .executors(4)
        .entity::<Counter>()
        .activity::<attempt>()
        .orchestration::<transfer>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(ask(client.clone(), number));
    }
    while let Some(asked) = clients.join_next().await {
        asked.unwrap();
    }
    let each = CLIENTS * ROUNDS / 5;
    for (kind, expected) in [
        ("called", each),
        ("signaled", each),
        ("slow", each),
        ("moved", 2 * each),
        ("passed", 2 * each),
        ("scheduled", each),
    ] {
        let mut counted = sum(&client, kind).await;
        // Scheduled signals may arrive later. If one is lost, this test does not end.
        while counted < expected {
            tokio::task::yield_now().await;
            counted = sum(&client, kind).await;
        }
        assert_eq!(counted, expected, "{kind}");
    }
    assert_eq!(
        ATTEMPTS.load(Ordering::Relaxed),
        each,
        "without a crash, an activity runs once"
    );
    assert_eq!(hub.stats().failures, 0);
    hub.shutdown().await.unwrap();
}
