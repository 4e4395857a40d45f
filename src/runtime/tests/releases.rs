//! Wakers that panic while the output that they wait for is released.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::*;
use crate::runtime::release::Release;
use crate::runtime::{Reply, Response};
use crate::store::Batch;

/// The waker of a faulty program.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

/// Makes `count` readers wait at the gate, one of them with a waker that panics, and releases all of them at once.
async fn release_at_once(count: usize) {
    let model = Arc::new(Model::new());
    let (runtime, threads, client) = start(&model, 1);
    let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| oneshot::channel()).unzip();
    let waker = Waker::from(Arc::new(Panics));
    let poll = Pin::new(&mut receivers[count / 2]).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    std::thread::scope(|scope| {
        let stalled = model.stall();
        let commit = scope.spawn(|| {
            let now = runtime.clock.now();
            runtime.order.commit(now, &mut Batch::default(), Vec::new(), |_| {})
        });
        while runtime.order.begun() == 0 {
            std::thread::yield_now();
        }
        let releases = senders.into_iter().map(|sender| Release::Reply {
            client: Reply { sender, permit: None },
            response: Response::Accepted,
        });
        runtime.hold(releases.collect());
        drop(stalled);
        commit.join().unwrap().map_err(|(error, _)| error).unwrap();
    });
    for (number, receiver) in receivers.into_iter().enumerate() {
        let released = tokio::time::timeout(Duration::from_secs(10), receiver).await;
        let released = released.unwrap_or_else(|_| panic!("{number} of {count} waits forever"));
        released.unwrap().unwrap();
    }
    client.entity::<Busy>("a").note().signal().await.unwrap();
    assert!(runtime.failure().is_none());
    runtime.stop(Duration::ZERO);
    threads.join(Duration::ZERO).unwrap();
}

/// A waker that panics does not affect other waiters or the hub. This holds for few outputs, released by the syncer
/// thread, and for many, released by a thread of tokio.
#[test]
fn a_waker_that_panics_harms_no_one_else() {
    for mut flavor in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let tokio = flavor.worker_threads(2).enable_all().build().unwrap();
        for count in [1, 7, 8, 100] {
            tokio.block_on(release_at_once(count));
        }
    }
}
