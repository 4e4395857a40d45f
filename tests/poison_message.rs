//! A message whose operation kills the process. Every open runs it and dies again until the entity is held.
//!
//! See docs/src/guarantees.md, "An operation that kills the process".
#![cfg(feature = "rocksdb")]

mod worker;

use std::path::Path;
use std::time::Duration;

use abide::ErrorKind;
use abide::prelude::*;
use tokio::sync::Semaphore;
use worker::Worker;

/// Whether this process is the fixed build. The worker is the faulty one.
fn is_fixed() -> bool {
    worker::role().is_none()
}

#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bomb {
    notes: Vec<u32>,
}

#[operations]
impl Bomb {
    pub fn note(&mut self, n: u32) {
        self.notes.push(n);
    }

    /// Keeps the entity busy until the following messages are stored.
    pub async fn wait(&mut self) {
        if !is_fixed() {
            let _permit = STORED.acquire().await.unwrap();
        }
    }

    pub fn explode(&mut self, how: &str) {
        match how {
            _ if is_fixed() => self.notes.push(0),
            "abort" => std::process::abort(),
            _ => self.notes.push(deeper(1)),
        }
    }
}

/// Contains a permit once the messages after `wait` are stored.
static STORED: Semaphore = Semaphore::const_new(0);

/// Overflows the stack.
#[allow(unconditional_recursion)]
fn deeper(n: u32) -> u32 {
    let frame = std::hint::black_box([n; 1_000]);
    frame[n as usize % 1_000] + deeper(n + 1)
}

async fn open(builder: abide::HubBuilder) -> Hub {
    builder.entity::<Bomb>().open().await.unwrap()
}

#[test]
fn worker() {
    let Some((role, directory)) = worker::role() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let hub = Hub::builder(&directory);
        if role == "hold" {
            let hub = open(hub.hold("@bomb@b")).await;
            hold(&hub.client()).await;
            return hub.shutdown().await.unwrap();
        }
        let hub = open(hub).await;
        let client = hub.client();
        worker::report("open");
        if role != "open" {
            let bomb = client.entity::<Bomb>("b");
            tokio::spawn(bomb.wait());
            tokio::task::yield_now().await;
            bomb.note(1).signal().await.unwrap();
            bomb.explode(&role).signal().await.unwrap();
            bomb.note(2).signal().await.unwrap();
            worker::report("acknowledged");
        }
        STORED.add_permits(1);
        // The bomb kills the process first.
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
}

/// Acts as an operator of the faulty build. Everything except the held entity works.
async fn hold(client: &Client) {
    let bomb = client.entity::<Bomb>("b");
    let error = bomb.note(9).await.unwrap_err().into_returned().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quarantined);
    assert!(
        error.to_string().contains("has been held since the hub was opened"),
        "{error}"
    );
    assert_eq!(bomb.state().await.unwrap(), None);
    bomb.note(3).signal().await.unwrap();
    client.entity::<Bomb>("other").note(1).await.unwrap();
    worker::report("held");
}

/// Stores the bomb, which kills the process at every open. Then holds the entity, and lets the fixed build process all
/// messages.
fn survives(how: &str, directory: &Path) {
    let mut worker = Worker::start(how, directory);
    worker.expect("open");
    worker.expect("acknowledged");
    assert!(!worker.wait().success(), "the bomb explodes when the entity is free");
    for _ in 0..2 {
        assert!(
            !Worker::start("open", directory).wait().success(),
            "the bomb explodes at every open"
        );
    }
    for _ in 0..2 {
        let mut worker = Worker::start("hold", directory);
        worker.expect("held");
        assert!(worker.wait().success(), "the hub works while the entity is held");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let hub = open(Hub::builder(directory)).await;
        let bomb = hub.client().entity::<Bomb>("b");
        bomb.note(4).await.unwrap();
        let state = bomb.state().await.unwrap().unwrap();
        // The messages before the bomb, the bomb, and the messages after it, each once and in order.
        assert_eq!(state.notes, [1, 0, 2, 3, 3, 4]);
        assert_eq!(
            hub.client()
                .entity::<Bomb>("other")
                .state()
                .await
                .unwrap()
                .unwrap()
                .notes,
            [1, 1]
        );
        hub.shutdown().await.unwrap();
    });
}

/// An operation aborts the process.
#[test]
fn an_abort_is_survived_by_holding_its_entity() {
    survives("abort", tempfile::tempdir().unwrap().path());
}

/// An operation overflows the stack.
#[test]
fn a_stack_overflow_is_survived_by_holding_its_entity() {
    survives("overflow", tempfile::tempdir().unwrap().path());
}
