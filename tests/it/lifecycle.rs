//! Every way in which a hub ends, except a kill: nothing hangs, and nothing that was acknowledged is lost.
//!
//! See docs/src/guarantees.md, "One process, one directory".

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use abide::ErrorKind;
use abide::prelude::*;
use tokio::runtime::Runtime;

use crate::fixtures::{poll_once, refusal};

/// Number of times that `slow` has begun. One test uses it.
static SLOW: AtomicU32 = AtomicU32::new(0);

#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Journal {
    notes: Vec<u32>,
}

#[operations]
impl Journal {
    pub fn note(&mut self, n: u32) -> usize {
        self.notes.push(n);
        self.notes.len()
    }

    /// Takes a minute the first time, and returns at once when it runs again.
    pub async fn slow(&mut self, n: u32) -> usize {
        if SLOW.fetch_add(1, Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        self.note(n)
    }

    pub async fn short(&mut self, n: u32) -> usize {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.note(n)
    }

    pub async fn endless(&mut self) {
        std::future::pending::<()>().await;
    }

    /// Sends itself a signal forever.
    pub fn ping(&mut self, ctx: &mut EntityContext) {
        ctx.entity::<Journal>(ctx.key()).ping().signal();
        self.notes = vec![self.notes.first().unwrap_or(&0) + 1];
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

async fn open(directory: &Path) -> Hub {
    Hub::builder(directory).entity::<Journal>().open().await.unwrap()
}

async fn notes(client: &Client, key: &str) -> Vec<u32> {
    let state = client.entity::<Journal>(key).state().await.unwrap();
    state.unwrap_or_default().notes
}

/// Dropping the tokio runtime while the hub is busy blocks neither the runtime nor the hub. Everything that was
/// acknowledged is present at the next open.
#[test]
fn dropping_the_runtime_without_shutdown_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..3 {
        let begun = Instant::now();
        let runtime = runtime();
        let hub = runtime.block_on(async {
            let hub = open(directory.path()).await;
            let client = hub.client();
            tokio::spawn(client.entity::<Journal>("stuck").endless());
            for n in 0..200 {
                client.entity::<Journal>("j").note(n).signal().await.unwrap();
                acknowledged += 1;
            }
            for n in 0..100 {
                tokio::spawn(client.entity::<Journal>("more").note(n));
            }
            hub
        });
        match round {
            // The hub is dropped after the runtime, before it, and within it.
            0 => drop(runtime),
            1 => drop(hub),
            _ => runtime.block_on(async move { drop(hub) }),
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    runtime().block_on(async {
        let hub = open(directory.path()).await;
        assert_eq!(notes(&hub.client(), "j").await.len(), acknowledged);
        hub.shutdown_within(Duration::ZERO).await.unwrap();
    });
}

/// A hub whose runtime was dropped serves clients of another runtime until it needs the old one. From then on every
/// request fails with the reason. Its shutdown releases the directory.
#[test]
fn a_hub_outlives_its_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let first = runtime();
    let hub = first.block_on(open(directory.path()));
    let client = hub.client();
    drop(first);
    runtime().block_on(async {
        let journal = client.entity::<Journal>("j");
        assert_eq!(journal.note(1).await.unwrap(), 1);
        let error = refusal(journal.short(2).await);
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(
            error
                .to_string()
                .contains("the tokio runtime in which the hub was opened has shut down"),
            "{error}"
        );
        assert_eq!(refusal(journal.note(3).await).kind(), ErrorKind::Closed);
        assert_eq!(hub.shutdown().await.unwrap_err().kind(), ErrorKind::Closed);

        let hub = open(directory.path()).await;
        // The operation was accepted, so it runs now.
        assert_eq!(hub.client().entity::<Journal>("j").note(4).await.unwrap(), 3);
        assert_eq!(notes(&hub.client(), "j").await, [1, 2, 4]);
        hub.shutdown().await.unwrap();
    });
    let hub = runtime().block_on(open(directory.path()));
    runtime().block_on(hub.shutdown()).unwrap();
    runtime().block_on(async { open(directory.path()).await.shutdown().await.unwrap() });
}

/// A hub can be reopened repeatedly in the same process right after it was shut down or dropped.
#[test]
fn a_directory_is_free_when_its_hub_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        for round in 0..20 {
            let hub = open(directory.path()).await;
            let journal = hub.client().entity::<Journal>("j");
            assert_eq!(journal.note(round).await.unwrap(), round as usize + 1);
            // A read that was begun and never finished keeps nothing open.
            journal.note(round).signal_after(Duration::from_secs(60)).await.unwrap();
            let mut forgotten = Box::pin(journal.state());
            let mut signal = Box::pin(journal.note(99).signal_after(Duration::from_secs(60)));
            let _ = poll_once(signal.as_mut()).await;
            let _ = poll_once(forgotten.as_mut()).await;
            if round % 2 == 0 {
                hub.shutdown().await.unwrap();
            } else {
                drop(hub);
            }
        }
    });
}

/// A shutdown waits for a running `async` operation and processes the messages that wait for it.
#[test]
fn a_shutdown_finishes_running_operations() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let hub = open(directory.path()).await;
        let journal = hub.client().entity::<Journal>("j");
        let running = tokio::spawn(journal.short(1));
        while hub.stats().operations == 0 {
            tokio::task::yield_now().await;
        }
        journal.note(2).signal().await.unwrap();
        hub.shutdown().await.unwrap();
        assert_eq!(running.await.unwrap().unwrap(), 1);
        let hub = open(directory.path()).await;
        assert_eq!(notes(&hub.client(), "j").await, [1, 2]);
        hub.shutdown().await.unwrap();
    });
}

/// A shutdown that times out abandons a running operation and fails its caller. The next open runs the operation again,
/// before the messages that waited for it.
#[test]
fn an_abandoned_operation_runs_again() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let hub = open(directory.path()).await;
        let journal = hub.client().entity::<Journal>("j");
        let running = tokio::spawn(journal.slow(1));
        while SLOW.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        journal.note(2).signal().await.unwrap();
        let begun = Instant::now();
        hub.shutdown_within(Duration::from_millis(50)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(refusal(running.await.unwrap()).kind(), ErrorKind::Closed);
        assert_eq!(refusal(journal.note(3).await).kind(), ErrorKind::Closed);
        assert_eq!(journal.note(3).signal().await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(journal.state().await.unwrap_err().kind(), ErrorKind::Closed);

        let hub = open(directory.path()).await;
        let client = hub.client();
        // No new message arrives. Opening the hub alone starts the waiting ones.
        while notes(&client, "j").await.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(notes(&client, "j").await, [1, 2]);
        hub.shutdown().await.unwrap();
    });
}

/// Entities that endlessly send messages do not prevent a hub from closing, and continue at the next open.
#[test]
fn endless_messages_do_not_keep_a_hub_open() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut last = 0;
        for _ in 0..2 {
            let hub = open(directory.path()).await;
            let client = hub.client();
            if last == 0 {
                client.entity::<Journal>("p").ping().signal().await.unwrap();
            }
            while notes(&client, "p")
                .await
                .first()
                .is_none_or(|pings| *pings < last + 5_000)
            {
                tokio::task::yield_now().await;
            }
            // Other entities answer meanwhile.
            client.entity::<Journal>("j").note(1).await.unwrap();
            last = notes(&client, "p").await[0];
            let begun = Instant::now();
            hub.shutdown_within(Duration::from_millis(100)).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
    });
}

/// A request whose future is dropped takes effect at most once, and the hub keeps working.
#[test]
fn a_dropped_future_takes_effect_at_most_once() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let hub = Hub::builder(directory.path())
            .entity::<Journal>()
            .in_flight_limit(8)
            .open()
            .await
            .unwrap();
        let client = hub.client();
        let journal = client.entity::<Journal>("j");
        for n in 0..500 {
            // A quarter is never polled. The others are dropped between sending the request and its result.
            let mut call = Box::pin(journal.note(n));
            for _ in 0..n % 4 {
                if poll_once(call.as_mut()).await.is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            if n % 4 == 0 {
                client.entity::<Journal>("other").note(n).await.unwrap();
            }
        }
        journal.note(500).await.unwrap();
        let notes = notes(&client, "j").await;
        assert!(notes.is_sorted_by(|a, b| a < b), "{notes:?}");
        assert!(
            notes.len() > 100 && notes.iter().all(|n| n % 4 != 0 || *n == 500),
            "{notes:?}"
        );
        // The dropped requests have released their capacity.
        for n in 501..520 {
            journal.note(n).refuse_when_full().await.unwrap();
        }
        hub.shutdown().await.unwrap();
    });
}
