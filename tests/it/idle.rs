//! The wait until a hub is idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use abide::prelude::*;
use futures::future::{Either, select};
use tokio::sync::Semaphore;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Passes a message on from entity to entity. Entities of different keys belong to different executors.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Runner {
    laps: u32,
}

#[operations]
impl Runner {
    pub fn run(&mut self, ctx: &mut EntityContext, left: u32) {
        self.laps += 1;
        if left > 0 {
            ctx.entity::<Runner>((left - 1) % 64).run(left - 1).signal();
        }
    }

    /// Works until the test lets it end.
    pub async fn work(&mut self, work: Resource<Arc<Work>>) {
        work.perform().await;
        self.laps += 1;
    }
}

/// Work whose end the test decides.
struct Work {
    begun: Semaphore,
    may_end: Semaphore,
    has_ended: AtomicBool,
}

impl Work {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Semaphore::new(0),
            may_end: Semaphore::new(0),
            has_ended: AtomicBool::new(false),
        })
    }

    async fn perform(&self) {
        self.begun.add_permits(1);
        let _permit = self.may_end.acquire().await.unwrap();
        self.has_ended.store(true, Ordering::SeqCst);
    }
}

#[activity]
async fn work(work: Resource<Arc<Work>>) {
    work.perform().await;
}

#[orchestration]
async fn works(ctx: OrchestrationContext) -> Result<(), Failure> {
    ctx.call_activity::<work>(()).await?;
    ctx.entity::<Runner>("works").run(0).await?;
    Ok(())
}

/// Does not wait for the end of its activity, which takes no notice of its cancellation.
#[orchestration]
async fn abandons(ctx: OrchestrationContext) -> Result<(), Failure> {
    let activity = Box::pin(ctx.call_activity::<work>(()).into_future());
    let event = Box::pin(ctx.wait_for_external_event::<()>("abandon"));
    match select(activity, event).await {
        Either::Left((done, _)) => Ok(done?),
        Either::Right((event, _)) => Ok(event?),
    }
}

#[activity(retry(max_attempts = 2, first_interval = "1d"))]
async fn fails(attempts: Resource<Arc<AtomicU32>>) -> Result<(), Failure> {
    attempts.fetch_add(1, Ordering::SeqCst);
    Err(Failure::message("it always fails"))
}

#[orchestration]
async fn retries(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.call_activity::<fails>(()).await?)
}

#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<(), Failure> {
    let timer = Box::pin(ctx.create_timer(365 * DAY));
    select(timer, Box::pin(ctx.wait_for_external_event::<()>("go"))).await;
    Ok(())
}

/// After a wait for an idle hub, every message has arrived, over all executors and again in each round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_hub_has_processed_all_messages() {
    for executors in [1, 4] {
        let hub = Hub::in_memory().executors(executors).entity::<Runner>();
        let hub = hub.resource(Work::new()).open().await.unwrap();
        let client = hub.client();
        for round in 1..=50 {
            for start in [40, 100, 150] {
                client.entity::<Runner>(start % 64).run(start).signal().await.unwrap();
            }
            hub.idle().await.unwrap();
            let mut laps = 0;
            for key in 0..64 {
                let state = client.entity::<Runner>(key).state().await.unwrap();
                laps += state.map_or(0, |runner| runner.laps);
            }
            assert_eq!(laps, round * (41 + 101 + 151), "with {executors} executors");
        }
        hub.shutdown().await.unwrap();
    }
}

async fn open(work_of_the_test: &Arc<Work>) -> Hub {
    let hub = Hub::in_memory().executors(2).entity::<Runner>().activity::<work>();
    let hub = hub.orchestration::<works>().orchestration::<abandons>();
    hub.resource(Arc::clone(work_of_the_test)).open().await.unwrap()
}

/// Answers calls on both executors, then lets the work end, and waits until the hub is idle.
async fn idle_after(hub: &Hub, work: &Work) {
    let client = hub.client();
    let ends = async {
        for key in 0..200 {
            client.entity::<Runner>(key).run(0).await.unwrap();
        }
        work.may_end.add_permits(1);
    };
    let idle = async {
        hub.idle().await.unwrap();
        assert!(work.has_ended.load(Ordering::SeqCst), "the work still runs");
    };
    tokio::join!(idle, ends);
}

/// A hub is not idle while an activity runs, and not before its orchestration has processed the result.
#[tokio::test]
async fn an_idle_hub_runs_no_activity() {
    let work = Work::new();
    let hub = open(&work).await;
    let run = hub.client().start::<works>(()).await.unwrap();
    idle_after(&hub, &work).await;
    assert!(run.status().await.unwrap().unwrap().status.is_terminal());
    hub.shutdown().await.unwrap();
}

/// An activity whose result is no longer needed still does something, so the hub is not idle.
#[tokio::test]
async fn an_idle_hub_runs_no_abandoned_activity() {
    let work = Work::new();
    let hub = open(&work).await;
    let run = hub.client().start::<abandons>(()).await.unwrap();
    work.begun.acquire().await.unwrap().forget();
    run.raise_event("abandon", ()).await.unwrap();
    run.result().await.unwrap();
    idle_after(&hub, &work).await;
    hub.shutdown().await.unwrap();
}

/// A hub is not idle while an `async` operation runs.
#[tokio::test]
async fn an_idle_hub_runs_no_async_operation() {
    let work = Work::new();
    let hub = open(&work).await;
    let runner = hub.client().entity::<Runner>("w");
    runner.work().signal().await.unwrap();
    idle_after(&hub, &work).await;
    assert_eq!(runner.state().await.unwrap().unwrap().laps, 1);
    hub.shutdown().await.unwrap();
}

/// Timers, events, retries and schedules of the future do not keep a hub from being idle.
#[tokio::test]
async fn an_idle_hub_may_wait_for_later() {
    let attempts = Arc::new(AtomicU32::new(0));
    let hub = Hub::in_memory().orchestration::<waits>().orchestration::<retries>();
    let hub = hub.entity::<Runner>().resource(Work::new());
    let hub = hub
        .activity::<fails>()
        .resource(Arc::clone(&attempts))
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let waiting = client.start::<waits>(()).await.unwrap();
    let retrying = client.start::<retries>(()).await.unwrap();
    client.entity::<Runner>("later").run(0).signal_after(DAY).await.unwrap();
    let daily = Recurrence::Every(DAY);
    client.schedules().create::<waits>("daily", daily, ()).await.unwrap();
    hub.idle().await.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
    for run in [waiting.status().await, retrying.status().await] {
        assert!(!run.unwrap().unwrap().status.is_terminal());
    }
    // A hub that is idle is idle again at once.
    hub.idle().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// Waits that are given up leave nothing behind, and others are not affected.
#[tokio::test]
async fn a_wait_for_an_idle_hub_can_be_given_up() {
    let work = Work::new();
    let hub = open(&work).await;
    hub.client().start::<works>(()).await.unwrap();
    work.begun.acquire().await.unwrap().forget();
    for _ in 0..10 {
        assert!(futures::poll!(std::pin::pin!(hub.idle())).is_pending());
    }
    idle_after(&hub, &work).await;
    hub.shutdown().await.unwrap();
}
