//! Replays for readers while the hub closes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use super::*;
use crate::Orchestration;
use crate::orchestration::{LocalBoxFuture, orchestration_code};

/// Number of turns of `Listens` that have run or were replayed.
static TURNS: AtomicUsize = AtomicUsize::new(0);

/// The sender tells that a turn waits, and the receiver lets it continue. Turns wait only while it is set.
static GATE: Mutex<Option<(Sender<()>, Receiver<()>)>> = Mutex::new(None);

/// Reads three events, each in a turn of its own.
struct Listens;

impl Orchestration for Listens {
    const NAME: &'static str = "listens";
    const VERSION: &'static str = "";
    type Input = ();
    type Output = ();
    type Error = Failure;

    fn run(ctx: OrchestrationContext, (): ()) -> LocalBoxFuture<std::result::Result<(), Failure>> {
        Box::pin(async move {
            for _ in 0..3 {
                TURNS.fetch_add(1, Ordering::Relaxed);
                if let Some((waits, proceeds)) = &*GATE.lock().unwrap_or_else(PoisonError::into_inner) {
                    waits.send(()).unwrap();
                    proceeds.recv().unwrap();
                }
                ctx.wait_for_external_event::<()>("go").await?;
            }
            Ok(())
        })
    }
}

/// A replay ends between two turns when the hub closes, so a long history does not delay the shutdown.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[expect(clippy::disallowed_methods, reason = "the replay runs as a task beside the test")]
async fn a_closing_hub_ends_a_replay_at_its_next_turn() {
    let mut registry = Registry::default();
    registry.add_orchestration(orchestration_code::<Listens>()).unwrap();
    let (runtime, threads, client) = start_with(&Arc::new(Model::new()), 1, registry, Shard::WHOLE);
    let run = client.start::<Listens>(()).await.unwrap();
    for _ in 0..3 {
        run.raise_event("go", ()).await.unwrap();
    }
    run.result().await.unwrap();
    let before = TURNS.load(Ordering::Relaxed);

    let (waits, waiting) = channel();
    let (proceed, proceeds) = channel();
    *GATE.lock().unwrap() = Some((waits, proceeds));
    let replay = tokio::spawn(async move { run.check_replay().await });
    waiting.recv().unwrap();
    runtime.stop(Duration::ZERO);
    threads.join(Duration::ZERO).unwrap();
    let closing = Arc::clone(&runtime);
    let ended = std::thread::spawn(move || closing.end_tasks());
    while !runtime.replays.is_closed() {
        std::thread::yield_now();
    }
    // All turns may continue, if there were more.
    for _ in 0..3 {
        proceed.send(()).unwrap();
    }
    ended.join().unwrap();
    assert_eq!(replay.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(TURNS.load(Ordering::Relaxed) - before, 1);
}
