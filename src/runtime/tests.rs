//! The effect of a failing store on all waiting callers. The tests use the model, which fails on demand.

mod activities;
mod releases;
mod replays;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::driver::Driver;
use super::{Envelope, Runtime, RuntimeConfig, Threads};
use crate::client::Client;
use crate::engine::message::Input;
use crate::engine::{Limits, Registry};
use crate::entity::entity_code;
use crate::id::{Shard, ShardId};
use crate::model::CommitRecord;
use crate::prelude::*;
use crate::store::Model;
use crate::time::{Clock, ClockRecord};
use crate::{ErrorKind, Result};

#[derive(Entity, Default, Clone, Debug, Serialize, Deserialize)]
pub(super) struct Busy {
    notes: u32,
}

#[operations]
impl Busy {
    pub fn note(&mut self) {
        self.notes += 1;
    }

    pub async fn wait(&mut self) {
        std::future::pending::<()>().await;
    }
}

/// Starts a hub on `model` in which only one message may wait for an entity.
pub(super) fn start(model: &Arc<Model>, executors: usize) -> (Arc<Runtime>, Threads, Client) {
    let mut registry = Registry::default();
    registry.add_entity(entity_code::<Busy>()).unwrap();
    start_with(model, executors, registry, Shard::WHOLE)
}

fn config(executors: usize, registry: Registry, shard: Shard) -> RuntimeConfig {
    RuntimeConfig {
        hub: "hub".into(),
        registry,
        limits: Limits {
            queue: 1,
            ..Limits::default()
        },
        partitions: 8,
        feed: Arc::default(),
        shard,
        executors,
        in_flight: 100,
        held: Default::default(),
        calm_since: 1,
        clock: Clock::start(ClockRecord::default()),
        #[cfg(feature = "otel")]
        exporter: None,
        #[cfg(feature = "testing")]
        is_local: false,
        is_standby: false,
        #[cfg(feature = "cluster")]
        database: None,
    }
}

fn start_with(
    model: &Arc<Model>,
    executors: usize,
    registry: Registry,
    shard: Shard,
) -> (Arc<Runtime>, Threads, Client) {
    let config = config(executors, registry, shard);
    let none = CommitRecord::before_the_first(8);
    let store = Arc::clone(model);
    let (runtime, threads) = Runtime::start(store, none, config, tokio::runtime::Handle::current()).unwrap();
    let client = Client::new(&runtime);
    (runtime, threads, client)
}

/// Waits for a future that must fail soon, like any wait for a poisoned hub.
async fn refused<T: std::fmt::Debug>(waiting: impl Future<Output = Result<T>>) {
    let ended = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    let error = ended.expect("a wait for a poisoned hub ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
}

/// When an executor ends, its clients get back the requests that no step has taken, whether it has received them or not.
#[tokio::test]
async fn what_no_step_has_taken_is_given_back() {
    let model = Arc::new(Model::new());
    let mut registry = Registry::default();
    registry.add_entity(entity_code::<Busy>()).unwrap();
    let store = Arc::clone(&model);
    let (runtime, mut inboxes) = Runtime::create(
        store,
        CommitRecord::before_the_first(8),
        config(1, registry, Shard::WHOLE),
        tokio::runtime::Handle::current(),
    );
    let core = runtime.core_config(0, Arc::default(), &BTreeSet::new(), 1);
    let mut driver = Driver::open(core, inboxes.remove(0), true, model.as_ref()).unwrap();
    let client = Client::new(&runtime);
    let mut calls = ["a", "b", "c"].map(|key| client.entity::<Busy>(key).note());
    let [a, b, c] = &mut calls;
    assert!(futures::poll!(a).is_pending() && futures::poll!(b).is_pending());
    driver.receive(usize::MAX);
    let view = driver.view(&runtime.order);
    driver.step(view, &runtime.order, runtime.clock.now(), 1).unwrap();
    assert!(futures::poll!(c).is_pending());
    let given_back = driver.close();
    let targets: Vec<_> = given_back.iter().map(|(message, _)| message.target.as_str()).collect();
    assert_eq!(targets, ["@busy@b", "@busy@c"]);
}

/// A hub without room for clients accepts requests of operators.
#[tokio::test]
async fn a_full_hub_takes_orders_of_operators() {
    let (runtime, threads, client) = start(&Arc::new(Model::new()), 1);
    let full = Arc::clone(&runtime.shares[0].clients).acquire_many_owned(100).await;
    let refused = client
        .entity::<Busy>("a")
        .note()
        .refuse_when_full()
        .signal()
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    let refused = client
        .untyped_orchestration("nobody")
        .terminate("it is in the way")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "the executor looked for it");
    drop(full);
    client
        .entity::<Busy>("a")
        .note()
        .refuse_when_full()
        .signal()
        .await
        .unwrap();
    runtime.stop(Duration::ZERO);
    threads.join(Duration::ZERO).unwrap();
}

/// A process that was replaced and does not know it may learn of messages that it has not sent. It has no damage then.
#[tokio::test]
async fn an_executor_tells_damage_from_the_work_of_the_next_process() {
    let shard = Shard {
        id: ShardId(0),
        count: 2,
    };
    for (is_replaced, kind) in [(false, ErrorKind::Corrupted), (true, ErrorKind::Replaced)] {
        let model = Arc::new(Model::new());
        let (runtime, threads, _client) = start_with(&model, 1, Registry::default(), shard);
        let (failed, has_failed) = tokio::sync::oneshot::channel();
        let failed = std::sync::Mutex::new(Some(failed));
        runtime.when_failed(move || failed.lock().unwrap().take().unwrap().send(()).unwrap());
        if is_replaced {
            model.replace();
        }
        let input = Input::MailTaken {
            to: ShardId(1),
            upto: 9,
        };
        runtime.inboxes[0].send(Envelope::Input(Box::new(input)));
        has_failed.await.unwrap();
        assert_eq!(runtime.failure().unwrap().kind(), kind);
        runtime.stop(Duration::ZERO);
        threads.join(Duration::ZERO).unwrap();
    }
}

/// During a slow write, a read does not block a thread of tokio. It waits as a task until its result may be returned.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a separate thread can end the stall in any case"
)]
async fn a_read_keeps_no_thread_while_a_write_takes_long() {
    let model = Arc::new(Model::new());
    let (runtime, threads, client) = start(&model, 1);
    let (proceed, proceeds) = std::sync::mpsc::channel::<()>();
    let (stalled, is_stalled) = std::sync::mpsc::channel();
    let store = Arc::clone(&model);
    let stall = std::thread::spawn(move || {
        let guard = store.stall();
        stalled.send(()).unwrap();
        let proceeded = proceeds.recv_timeout(Duration::from_secs(20));
        drop(guard);
        proceeded
    });
    is_stalled.recv().unwrap();
    let signal = tokio::spawn(client.entity::<Busy>("a").note().signal().into_future());
    while runtime.order.begun() == 0 {
        tokio::task::yield_now().await;
    }
    let status = client.untyped_orchestration("o").status();
    let mut status = Box::pin(status.into_future());
    // Polled on this thread, which is the only thread of tokio.
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(status.as_mut().poll(cx))).await;
    assert!(
        polled.is_pending(),
        "data that a write may have changed is not returned before it is durable"
    );
    proceed.send(()).unwrap();
    stall.join().unwrap().expect("the read waited for the write");
    assert!(status.await.unwrap().is_none());
    signal.await.unwrap().unwrap();
    runtime.stop(Duration::ZERO);
    threads.join(Duration::ZERO).unwrap();
}

async fn call(operation: impl Future<Output = Result<(), CallError>>) -> Result<()> {
    Ok(operation.await?)
}

/// A call of an `async` operation waits for a task that the gate starts. If the sync fails, there is no task and no
/// further input of the executor, but the caller still receives the error.
#[tokio::test]
async fn a_failed_sync_reaches_the_caller_of_an_operation_that_never_began() {
    for executors in 1..=2 {
        let model = Arc::new(Model::new());
        let (runtime, threads, client) = start(&model, executors);
        model.fail_sync_after(0);
        refused(call(client.entity::<Busy>("a").wait())).await;
        runtime.stop(Duration::ZERO);
        threads.join(Duration::ZERO).unwrap();
    }
}

/// A failure reaches calls whose operation runs, clients that wait for room, readers and later requests, on every
/// executor.
#[tokio::test]
async fn a_failure_reaches_everyone_who_waits() {
    type Fail = fn(&Model, u64);
    for fail in [Model::fail_sync_after as Fail, Model::fail_write_after] {
        let model = Arc::new(Model::new());
        let (runtime, threads, client) = start(&model, 3);
        let mut waiting = Vec::new();
        for key in 0..8 {
            let busy = client.entity::<Busy>(key);
            waiting.push(tokio::spawn(call(busy.wait())));
            tokio::task::yield_now().await;
            // The first signal is stored and fills the queue. The second finds the queue full and waits.
            busy.note().signal().await.unwrap();
            waiting.push(tokio::spawn(busy.note().signal()));
        }
        // Call other entities on each executor. When the calls are answered, all earlier messages have been accepted.
        for key in 100..120 {
            client.entity::<Busy>(key).note().await.unwrap();
        }
        // Only now is it certain that the hub is not idle.
        let idle = Arc::clone(&runtime);
        waiting.push(tokio::spawn(async move { idle.idle().await.map(drop) }));
        tokio::task::yield_now().await;
        assert!(waiting.iter().all(|task| !task.is_finished()));
        fail(&model, 0);
        refused(call(client.entity::<Busy>("other").note())).await;
        for task in waiting {
            refused(async { task.await.unwrap() }).await;
        }
        for key in 0..8 {
            refused(call(client.entity::<Busy>(key).note())).await;
            refused(client.entity::<Busy>(key).note().signal()).await;
            refused(client.entity::<Busy>(key).state()).await;
        }
        refused(runtime.idle()).await;
        runtime.stop(Duration::ZERO);
        threads.join(Duration::ZERO).unwrap();
    }
}
