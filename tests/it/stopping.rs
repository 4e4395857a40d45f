//! A hub that stops, on request or because of a failure, lets no waiter hang.
//!
//! See docs/src/guarantees.md, "One process, one directory".

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, LazyLock, Mutex};
use std::time::Duration;

use abide::prelude::*;
use abide::{ActivityContext, ErrorKind, activity, orchestration};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::fixtures::until;

/// The time after which a step counts as hung. It only affects how soon a failure is reported.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Entity, Default, Serialize, Deserialize)]
struct Grenade {
    /// Not serialized, so that no copy of the state explodes.
    #[serde(skip)]
    armed: bool,
}

#[operations]
impl Grenade {
    pub fn arm(&mut self) {
        self.armed = true;
    }
}

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(!self.armed, "the grenade explodes");
    }
}

/// A value with a slow destructor: whether the destructor has begun, a permit to finish, and whether it has finished.
struct Slow {
    goes: &'static AtomicBool,
    may_go: &'static Semaphore,
    gone: &'static AtomicBool,
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.goes.store(true, Ordering::SeqCst);
        futures::executor::block_on(self.may_go.acquire()).unwrap().forget();
        self.gone.store(true, Ordering::SeqCst);
    }
}

/// One test uses these three, and another test the two below.
static OVERDUE_GOES: AtomicBool = AtomicBool::new(false);
static OVERDUE_MAY_GO: Semaphore = Semaphore::const_new(0);
static OVERDUE_IS_GONE: AtomicBool = AtomicBool::new(false);

static LEFT_BEGAN: AtomicBool = AtomicBool::new(false);
static LEFT_IS_GONE: AtomicBool = AtomicBool::new(false);

/// Lets the operation `never` return.
static MAY_RETURN: Semaphore = Semaphore::const_new(0);
static NEVER_BEGAN: AtomicBool = AtomicBool::new(false);

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Desk {
    notes: u32,
}

#[operations]
impl Desk {
    pub fn note(&mut self) -> u32 {
        self.notes += 1;
        self.notes
    }

    /// Blocks the thread of the executor until the test lets it continue.
    pub fn hang(&mut self) {
        HANG.begun.add_permits(1);
        let mut may_end = HANG.may_end.lock().unwrap();
        while !*may_end {
            may_end = HANG.changed.wait(may_end).unwrap();
        }
    }

    pub async fn endless(&mut self) {
        std::future::pending::<()>().await;
    }

    /// Exceeds its time limit and then takes long to drop.
    pub async fn overdue(&mut self) {
        let _slow = Slow {
            goes: &OVERDUE_GOES,
            may_go: &OVERDUE_MAY_GO,
            gone: &OVERDUE_IS_GONE,
        };
        std::future::pending::<()>().await;
    }

    /// Is abandoned by a shutdown.
    pub async fn left(&mut self) {
        static ANY: AtomicBool = AtomicBool::new(false);
        static AT_ONCE: Semaphore = Semaphore::const_new(1);
        let _slow = Slow {
            goes: &ANY,
            may_go: &AT_ONCE,
            gone: &LEFT_IS_GONE,
        };
        LEFT_BEGAN.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }

    /// Blocks its thread until the test lets it return.
    pub fn never(&mut self) {
        NEVER_BEGAN.store(true, Ordering::SeqCst);
        futures::executor::block_on(MAY_RETURN.acquire()).unwrap().forget();
    }
}

/// Number of times that `wait` has begun, and whether it may return a result.
static WAITS: AtomicU32 = AtomicU32::new(0);
static MAY_ANSWER: AtomicBool = AtomicBool::new(false);

/// Runs until it is canceled and then returns an error, like many activities.
#[activity]
async fn wait(context: ActivityContext) -> Result<u32, Failure> {
    let begun = WAITS.fetch_add(1, Ordering::SeqCst) + 1;
    if MAY_ANSWER.load(Ordering::SeqCst) {
        return Ok(begun);
    }
    context.canceled().await;
    Err(Failure::message("it was canceled").non_retriable())
}

#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<u32, Failure> {
    Ok(ctx.call_activity::<wait>(()).await?)
}

/// The same for `stand`, in another test.
static STANDS: AtomicU32 = AtomicU32::new(0);
static MAY_STAND_DOWN: AtomicBool = AtomicBool::new(false);

#[activity]
async fn stand() -> u32 {
    let begun = STANDS.fetch_add(1, Ordering::SeqCst) + 1;
    while !MAY_STAND_DOWN.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    begun
}

#[orchestration]
async fn stands(ctx: OrchestrationContext) -> Result<u32, Failure> {
    Ok(ctx.call_activity::<stand>(()).await?)
}

/// Never becomes idle.
#[orchestration]
async fn spins(ctx: OrchestrationContext, turns: u64) -> Result<(), Failure> {
    ctx.continue_as_new(turns + 1).await
}

/// Synchronizes the operation `hang` with its test.
struct Hang {
    begun: Semaphore,
    may_end: Mutex<bool>,
    changed: Condvar,
}

static HANG: LazyLock<Hang> = LazyLock::new(|| Hang {
    begun: Semaphore::new(0),
    may_end: Mutex::new(false),
    changed: Condvar::new(),
});

/// A panic outside of an operation ends the executor and the hub. Every caller on every executor receives the reason,
/// and the shutdown completes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_executor_ends_its_hub_and_no_caller_hangs() {
    let hub = Hub::in_memory()
        .executors(2)
        .entity::<Grenade>()
        .entity::<Desk>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let grenade = client.entity::<Grenade>("g");
    grenade.arm().await.unwrap();
    timeout(PATIENCE, grenade.delete()).await.unwrap().unwrap_err();
    for key in 0..8 {
        let noted = timeout(PATIENCE, client.entity::<Desk>(key).note()).await.unwrap();
        let error = noted.unwrap_err().into_returned().unwrap_err();
        assert!(error.to_string().contains("the grenade explodes"), "{error}");
    }
    timeout(PATIENCE, hub.shutdown()).await.unwrap().unwrap_err();
}

/// A client that waits for room in a full queue receives `Closed` when the hub stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_room_is_notified_of_the_end() {
    let hub = Hub::in_memory()
        .executors(1)
        .queue_limit(1)
        .entity::<Desk>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let busy = client.entity::<Desk>("busy");
    busy.endless().signal().await.unwrap();
    busy.note().signal().await.unwrap();
    // While the executor is blocked, the message and the stop arrive one after the other.
    let hanging = tokio::spawn(client.entity::<Desk>("other").hang());
    HANG.begun.acquire().await.unwrap().forget();
    let mut waiting = pin!(busy.note());
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    let mut closing = pin!(hub.shutdown_within(Duration::from_millis(600)));
    assert!(futures::poll!(closing.as_mut()).is_pending());
    *HANG.may_end.lock().unwrap() = true;
    HANG.changed.notify_all();
    closing.await.unwrap();
    hanging.await.unwrap().unwrap();
    let noted = timeout(PATIENCE, waiting).await.expect("the client is notified");
    assert_eq!(
        noted.unwrap_err().into_returned().unwrap_err().kind(),
        ErrorKind::Closed
    );
}

/// A retry receives the stored result of the first attempt, even if the entity is now held.
#[tokio::test]
async fn a_retry_is_answered_by_an_entity_that_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path()).entity::<Desk>().open().await.unwrap();
    assert_eq!(
        hub.client().entity::<Desk>("d").note().request_id("r").await.unwrap(),
        1
    );
    hub.shutdown().await.unwrap();
    let hub = Hub::builder(directory.path())
        .entity::<Desk>()
        .hold("@desk@d")
        .open()
        .await
        .unwrap();
    let client = hub.client();
    assert_eq!(client.entity::<Desk>("d").note().request_id("r").await.unwrap(), 1);
    let error = client.entity::<Desk>("d").note().request_id("new").await.unwrap_err();
    assert_eq!(error.into_returned().unwrap_err().kind(), ErrorKind::Quarantined);
    hub.shutdown().await.unwrap();
}

/// A type that occurs only in a scheduled signal is listed as unregistered.
#[tokio::test]
async fn a_type_that_only_a_timer_mentions_is_listed_as_unregistered() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path()).entity::<Desk>().open().await.unwrap();
    hub.client()
        .entity::<Desk>("d")
        .note()
        .signal_after(Duration::MAX)
        .await
        .unwrap();
    hub.shutdown().await.unwrap();
    let hub = Hub::builder(directory.path()).open().await.unwrap();
    assert_eq!(hub.unregistered(), ["desk"]);
    hub.shutdown().await.unwrap();
}

/// An operation that exceeds its time limit and cannot be stopped fails for its caller. The next operation of the
/// entity never runs concurrently with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timed_out_operation_never_overlaps_with_the_next() {
    let hub = Hub::in_memory()
        .entity::<Desk>()
        .operation_timeout(Duration::from_millis(20));
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    let desk = client.entity::<Desk>("d");
    let call = tokio::spawn(desk.overdue().into_future());
    until(async || OVERDUE_GOES.load(Ordering::SeqCst)).await;
    let next = tokio::spawn(desk.note().into_future());
    let call = timeout(PATIENCE, call)
        .await
        .inspect_err(|_| OVERDUE_MAY_GO.add_permits(1));
    let error = call.unwrap().unwrap().unwrap_err().into_returned().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let text = error.to_string();
    assert!(
        text.starts_with("`overdue` of `@desk@d` ran longer than 20ms"),
        "{text}"
    );
    assert!(text.contains("blocks its thread"), "{text}");
    for _ in 0..20 {
        client.entity::<Desk>("other").note().await.unwrap();
    }
    assert!(!next.is_finished() && !OVERDUE_IS_GONE.load(Ordering::SeqCst));
    OVERDUE_MAY_GO.add_permits(1);
    assert_eq!(next.await.unwrap().unwrap(), 1);
    assert!(OVERDUE_IS_GONE.load(Ordering::SeqCst));
    hub.shutdown().await.unwrap();
}

/// An operation that a shutdown abandons is dropped before the shutdown completes. So it cannot run concurrently with
/// its repetition at the next open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_operation_is_dropped_with_its_hub() {
    let hub = Hub::in_memory().entity::<Desk>().open().await.unwrap();
    let call = tokio::spawn(hub.client().entity::<Desk>("d").left().into_future());
    until(async || LEFT_BEGAN.load(Ordering::SeqCst)).await;
    hub.shutdown_within(Duration::from_millis(20)).await.unwrap();
    assert!(LEFT_IS_GONE.load(Ordering::SeqCst));
    assert_eq!(
        call.await.unwrap().unwrap_err().into_returned().unwrap_err().kind(),
        ErrorKind::Closed
    );
}

/// A shutdown cancels activities. Errors of canceled activities are not recorded, and the next open runs the activities
/// again as the same attempt. No crash is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_cuts_activities_short() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let hub = Hub::builder(directory.path())
            .activity::<wait>()
            .orchestration::<waits>();
        hub.activity_crash_limit(1).open()
    };
    let mut hub = open().await.unwrap();
    hub.client().start::<waits>(()).instance_id("w").await.unwrap();
    for begun in 1..=3 {
        until(async || WAITS.load(Ordering::SeqCst) == begun).await;
        timeout(Duration::from_secs(4), hub.shutdown())
            .await
            .expect("the shutdown does not wait for the grace period")
            .unwrap();
        hub = open().await.unwrap();
    }
    until(async || WAITS.load(Ordering::SeqCst) == 4).await;
    MAY_ANSWER.store(true, Ordering::SeqCst);
    hub.shutdown().await.unwrap();
    let hub = open().await.unwrap();
    let run = hub.client().orchestration::<waits>("w");
    assert_eq!(run.result().await.unwrap(), 5);
    hub.shutdown().await.unwrap();
}

/// The result of an activity that ignores its cancellation and completes within the grace period is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_keeps_results_that_it_did_not_cut_short() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        Hub::builder(directory.path())
            .activity::<stand>()
            .orchestration::<stands>()
            .open()
    };
    let hub = open().await.unwrap();
    let client = hub.client();
    client.start::<stands>(()).instance_id("s").await.unwrap();
    until(async || STANDS.load(Ordering::SeqCst) == 1).await;
    let closing = tokio::spawn(hub.shutdown());
    until(async || client.health().is_err()).await;
    MAY_STAND_DOWN.store(true, Ordering::SeqCst);
    closing.await.unwrap().unwrap();
    let hub = open().await.unwrap();
    assert_eq!(hub.client().orchestration::<stands>("s").result().await.unwrap(), 1);
    hub.shutdown().await.unwrap();
}

/// An orchestration that never becomes idle does not prevent a hub from closing, and continues at the next open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_does_not_wait_for_a_busy_orchestration() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let hub = Hub::builder(directory.path())
            .orchestration::<spins>()
            .open()
            .await
            .unwrap();
        if round == 0 {
            hub.client().start::<spins>(0).instance_id("s").await.unwrap();
        }
        let commits = hub.stats().commits;
        until(async || hub.stats().commits > commits + 20).await;
        timeout(Duration::from_secs(10), hub.shutdown())
            .await
            .expect("the shutdown completes")
            .unwrap();
    }
}

/// A shutdown abandons a synchronous operation that does not return, and its error names the entity. When the operation
/// returns, the directory is unlocked and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_leaves_an_operation_that_does_not_return() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Hub::builder(directory.path()).entity::<Desk>().executors(1).open();
    let hub = open().await.unwrap();
    let desk = hub.client().entity::<Desk>("d");
    assert_eq!(desk.note().await.unwrap(), 1);
    let never = tokio::spawn(desk.never().into_future());
    until(async || NEVER_BEGAN.load(Ordering::SeqCst)).await;
    let closing = hub.shutdown_within(Duration::from_millis(50));
    let error = timeout(Duration::from_secs(20), closing).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("`@desk@d` still runs after 50ms"), "{error}");
    assert_eq!(open().await.unwrap_err().kind(), ErrorKind::Locked);
    MAY_RETURN.add_permits(1);
    let _ = never.await.unwrap();
    let hub = loop {
        match open().await {
            Ok(hub) => break hub,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Locked),
        }
    };
    assert_eq!(hub.client().entity::<Desk>("d").note().await.unwrap(), 2);
    hub.shutdown().await.unwrap();
}

/// Number of times that `serve` has begun, and whether it may return.
static SERVES: AtomicU32 = AtomicU32::new(0);
static MAY_SERVE: AtomicBool = AtomicBool::new(false);

#[activity]
async fn serve() -> u32 {
    SERVES.fetch_add(1, Ordering::SeqCst);
    while !MAY_SERVE.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    7
}

#[orchestration]
async fn serves(ctx: OrchestrationContext) -> Result<u32, Failure> {
    Ok(ctx.call_activity::<serve>(()).await?)
}

/// A failure of the hub does not count as a crash of its running activities, whether the hub is shut down or dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_fails_blames_no_activity() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        Hub::builder(directory.path())
            .entity::<Grenade>()
            .activity::<serve>()
            .orchestration::<serves>()
            .activity_crash_limit(2)
            .open()
    };
    for round in 1..=5 {
        let hub = open().await.unwrap();
        let client = hub.client();
        if round == 1 {
            client.start::<serves>(()).instance_id("s").await.unwrap();
        }
        until(async || SERVES.load(Ordering::SeqCst) == round).await;
        let grenade = client.entity::<Grenade>("g");
        grenade.arm().await.unwrap();
        grenade.delete().await.unwrap_err();
        if round % 2 == 0 {
            drop(hub);
        } else {
            timeout(Duration::from_secs(10), hub.shutdown())
                .await
                .unwrap()
                .unwrap_err();
        }
    }
    MAY_SERVE.store(true, Ordering::SeqCst);
    let hub = open().await.unwrap();
    assert_eq!(hub.client().orchestration::<serves>("s").result().await.unwrap(), 7);
    hub.shutdown().await.unwrap();
}

/// A hub can be reopened with another number of threads and another amount of memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_and_memory_may_change_between_two_opens() {
    let directory = tempfile::tempdir().unwrap();
    let limits = [(1, 64 << 20), (4, 0), (1_000, 1 << 20), (0, 1), (2, 64 << 20)];
    for (n, (executors, memory)) in (1..).zip(limits) {
        let hub = Hub::builder(directory.path())
            .entity::<Desk>()
            .executors(executors)
            .memory_budget(memory)
            .wal_limit(memory as u64)
            .partitions(8)
            .in_flight_limit(3)
            .open()
            .await
            .unwrap();
        for key in 0..20 {
            assert_eq!(hub.client().entity::<Desk>(key).note().await.unwrap(), n);
        }
        hub.shutdown().await.unwrap();
    }
}
