//! Why an orchestration does not continue.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use abide::client::{ActivityProgress, Cause, EntityBlock, OrchestrationHandle, WaitReason, Waiting};
use abide::prelude::*;
use abide::{activity, orchestration};
use tokio::sync::oneshot;

use crate::fixtures::{Counter, eventually, until_it_stops};

/// Never ends by itself.
#[activity]
async fn hang() {
    std::future::pending().await
}

/// Fails.
#[activity]
async fn fail() -> Result<(), Failure> {
    Err(Failure::message("not today"))
}

/// The answers that `slow` waits for.
static ANSWERS: Mutex<Vec<oneshot::Receiver<()>>> = Mutex::new(Vec::new());

/// An entity with an operation that ends when the test says so.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Sloth;

#[operations]
impl Sloth {
    pub async fn slow(&mut self) {
        let answer = ANSWERS.lock().unwrap().pop();
        if let Some(answer) = answer {
            answer.await.ok();
        }
    }

    pub fn quick(&mut self) {}
}

/// Waits for one of each kind of step.
#[orchestration]
async fn everything(ctx: OrchestrationContext) -> Result<(), Failure> {
    let child = ctx.call_sub_orchestration::<sleeper>(()).instance_id("sleeper");
    let held = ctx.entity::<Counter>("held");
    let guard = ctx.lock_entities(&held).await?;
    let mut hanging = Vec::new();
    for _ in 0..2 {
        hanging.push(ctx.call_activity::<hang>(()));
    }
    let retry = RetryPolicy::new(2).first_interval(Duration::from_secs(3_600));
    let again = ctx.call_activity::<fail>(()).retry(retry);
    let timer = ctx.create_timer(Duration::from_secs(7_200));
    let event = ctx.wait_for_external_event::<()>("Approved");
    let all = async { (again.await, timer.await, event.await, child.await) };
    all.await.0?;
    drop((hanging, guard));
    Ok(())
}

/// Sleeps for a day.
#[orchestration]
async fn sleeper(ctx: OrchestrationContext) {
    ctx.create_timer(Duration::from_secs(86_400)).await;
}

/// Locks a counter and waits for the event `end`.
#[orchestration]
async fn holds(ctx: OrchestrationContext, key: String) -> Result<(), Failure> {
    let counter = ctx.entity::<Counter>(&key);
    let guard = ctx.lock_entities(&counter).await?;
    ctx.set_custom_status("locked");
    ctx.wait_for_external_event::<()>("end").await?;
    drop(guard);
    Ok(())
}

/// Calls a counter outside of a critical section.
#[orchestration]
async fn calls(ctx: OrchestrationContext, key: String) -> Result<u64, Failure> {
    Ok(ctx.entity::<Counter>(key).add(1).await?)
}

/// Waits for the event `go` and calls a counter.
#[orchestration]
async fn calls_later(ctx: OrchestrationContext, key: String) -> Result<u64, Failure> {
    ctx.wait_for_external_event::<()>("go").await?;
    Ok(ctx.entity::<Counter>(key).add(1).await?)
}

/// Locks a counter and waits for a sub-orchestration that calls another one.
#[orchestration]
async fn link(ctx: OrchestrationContext, keys: (String, String)) -> Result<(), Failure> {
    let (own, other) = keys;
    let child = format!("{}-calls", ctx.instance_id());
    let call = ctx.call_sub_orchestration::<calls_later>(other).instance_id(child);
    let counter = ctx.entity::<Counter>(own);
    let guard = ctx.lock_entities(&counter).await?;
    call.await?;
    drop(guard);
    Ok(())
}

/// Panics.
#[orchestration]
async fn panics(_ctx: OrchestrationContext) {
    panic!("out of order");
}

/// Calls the operation of an entity that takes long.
#[orchestration]
async fn asks_the_sloth(ctx: OrchestrationContext, quick: bool) -> Result<(), Failure> {
    let sloth = ctx.entity::<Sloth>("s");
    match quick {
        true => sloth.quick().await?,
        false => sloth.slow().await?,
    }
    Ok(())
}

async fn open() -> Hub {
    Hub::in_memory()
        .activity_limit(1)
        .entity::<Counter>()
        .entity::<Sloth>()
        .activity::<hang>()
        .activity::<fail>()
        .orchestration::<everything>()
        .orchestration::<sleeper>()
        .orchestration::<holds>()
        .orchestration::<calls>()
        .orchestration::<calls_later>()
        .orchestration::<link>()
        .orchestration::<panics>()
        .orchestration::<asks_the_sloth>()
        .open()
        .await
        .unwrap()
}

/// Polls the reasons of an orchestration until `is` accepts them.
async fn reasons<O>(run: &OrchestrationHandle<O>, is: impl Fn(&Waiting) -> bool) -> Waiting {
    eventually(async || run.waiting().await.unwrap().filter(&is)).await
}

/// Returns the reason of the only step.
#[track_caller]
fn only(waiting: &Waiting) -> &WaitReason {
    match &waiting.steps[..] {
        [step] => &step.reason,
        steps => panic!("{} steps: {steps:?}", steps.len()),
    }
}

/// Every kind of step that is open is reported with what it waits for, and a lock that is held is not.
#[tokio::test(flavor = "multi_thread")]
async fn every_open_step_is_told_with_its_reason() {
    let hub = open().await;
    let client = hub.client();
    let run = client.start::<everything>(()).await.unwrap();
    run.raise_event("unwanted", 1).await.unwrap();
    // One slot: one `hang` runs and the other activities wait, so `fail` runs only after the first life of `hang`.
    let is_full = |waiting: &Waiting| waiting.steps.len() == 6 && !waiting.unread_events.is_empty();
    let waiting = reasons(&run, is_full).await;
    assert_eq!((waiting.id.as_str(), waiting.name.as_str()), (run.id(), "everything"));
    assert_eq!(waiting.status, OrchestrationStatus::Running);
    let mut seen = Vec::new();
    for step in &waiting.steps {
        assert!(step.since <= SystemTime::now());
        seen.push(match &step.reason {
            WaitReason::Activity { name, progress, .. } => match progress {
                ActivityProgress::Running => format!("{name} runs"),
                ActivityProgress::InLine {
                    ahead,
                    running: 1,
                    limit: 1,
                } => format!("{name} behind {ahead}"),
                other => panic!("{other:?}"),
            },
            WaitReason::Timer { due } => {
                assert!(*due > SystemTime::now());
                "timer".to_owned()
            }
            WaitReason::Event { name } => format!("event {name}"),
            WaitReason::SubOrchestration { instance, cause, .. } => match cause {
                Cause::Report(child) => format!("{instance} with {} steps", child.steps.len()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
    }
    let expected = [
        "sleeper with 1 steps",
        "hang runs",
        "hang behind 0",
        "fail behind 0",
        "timer",
        "event approved",
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        (waiting.unread_events[0].name.as_str(), waiting.unread_events[0].count),
        ("unwanted", 1)
    );
    hub.shutdown().await.unwrap();
}

/// The delay before the next attempt is not confused with a timer of the code.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_between_two_attempts_waits_for_the_next_one() {
    /// Calls an activity that fails.
    #[orchestration]
    async fn tries(ctx: OrchestrationContext) -> Result<(), Failure> {
        let retry = RetryPolicy::new(2).first_interval(Duration::from_secs(3_600));
        Ok(ctx.call_activity::<fail>(()).retry(retry).await?)
    }

    let hub = Hub::in_memory()
        .activity::<fail>()
        .orchestration::<tries>()
        .open()
        .await
        .unwrap();
    let run = hub.client().start::<tries>(()).await.unwrap();
    let is_delayed = |waiting: &Waiting| matches!(waiting.steps.first(), Some(step) if matches!(step.reason, WaitReason::Retry { .. }));
    let waiting = reasons(&run, is_delayed).await;
    assert!(matches!(only(&waiting), WaitReason::Retry { step: 1, due } if *due > SystemTime::now()));
    hub.shutdown().await.unwrap();
}

/// A call behind a lock names the owner and what the owner waits for, and so does a request for the lock.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_lock_sees_the_owner_and_its_reason() {
    let hub = open().await;
    let client = hub.client();
    let owner = client.start::<holds>("k".into()).instance_id("owner").await.unwrap();
    eventually(async || client.admin().locks().await.unwrap().pop()).await;
    let caller = client.start::<calls>("k".into()).await.unwrap();
    let second = client.start::<holds>("k".into()).await.unwrap();
    for run in [caller.clone().untyped(), second.untyped()] {
        let is_blocked = |waiting: &Waiting| {
            let block = waiting.steps.first().map(|step| match &step.reason {
                WaitReason::EntityCall { blocked, .. } | WaitReason::Lock { blocked, .. } => blocked.is_some(),
                _ => false,
            });
            block.unwrap_or_default()
        };
        let waiting = reasons(&run, is_blocked).await;
        let (WaitReason::EntityCall { blocked, .. } | WaitReason::Lock { blocked, .. }) = only(&waiting) else {
            panic!("{waiting:?}");
        };
        let Some(EntityBlock::Lock {
            entity,
            owner,
            cause: Cause::Report(cause),
            ..
        }) = blocked
        else {
            panic!("{blocked:?}");
        };
        assert_eq!((entity.as_str(), owner.as_str()), ("@counter@k", "owner"));
        assert!(matches!(only(cause), WaitReason::Event { name } if name == "end"));
    }
    owner.raise_event("end", ()).await.unwrap();
    assert_eq!(caller.result().await.unwrap(), 1);
    // What has ended waits for nothing.
    let waiting = caller.waiting().await.unwrap().unwrap();
    assert_eq!(
        (waiting.status, waiting.steps.len()),
        (OrchestrationStatus::Completed, 0)
    );
    hub.shutdown().await.unwrap();
}

/// Starts orchestrations that each hold the lock of `keys[n]` and wait for a call of `keys[n + 1]`.
async fn chain(client: &Client, keys: &[&str]) {
    let held = client.admin().locks().await.unwrap().len();
    for (number, pair) in keys.windows(2).enumerate() {
        let input = (pair[0].to_owned(), pair[1].to_owned());
        let start = client.start::<link>(input).instance_id(format!("link-{number}"));
        start.await.unwrap();
    }
    let count = keys.len() - 1;
    let held = held + count;
    eventually(async || (client.admin().locks().await.unwrap().len() == held).then_some(())).await;
    for number in 0..count {
        let child = client.untyped_orchestration(format!("link-{number}-calls"));
        child.raise_event("go", ()).await.unwrap();
    }
}

/// Orchestrations that wait for each other are reported as a cycle.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_told_as_a_cycle() {
    let hub = open().await;
    let client = hub.client();
    chain(&client, &["a", "b", "a"]).await;
    let run = client.untyped_orchestration("link-0");
    let waiting = reasons(&run, |waiting| format!("{waiting:?}").contains("Cycle")).await;
    let mut current = waiting;
    for (number, next) in [(0, 1), (1, 0)] {
        assert_eq!(current.id, format!("link-{number}"));
        let WaitReason::SubOrchestration {
            cause: Cause::Report(child),
            ..
        } = only(&current)
        else {
            panic!("{current:?}");
        };
        let WaitReason::EntityCall {
            blocked: Some(EntityBlock::Lock { cause, owner, .. }),
            ..
        } = only(child)
        else {
            panic!("{child:?}");
        };
        assert_eq!(*owner, format!("link-{next}"));
        current = match cause {
            Cause::Report(waiting) => Waiting::clone(waiting),
            Cause::Cycle => return assert_eq!(number, 1),
            other => panic!("{other:?}"),
        };
    }
    panic!("no cycle");
}

/// A chain that is longer than a report may be is cut, and any report is JSON that others can read.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_chain_is_cut() {
    let hub = open().await;
    let client = hub.client();
    let keys: Vec<String> = (0..16).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    client.start::<holds>("15".into()).await.unwrap();
    eventually(async || client.admin().locks().await.unwrap().pop()).await;
    chain(&client, &keys).await;
    let run = client.untyped_orchestration("link-0");
    let is_full = |waiting: &Waiting| format!("{waiting:?}").contains("Omitted");
    let waiting = reasons(&run, is_full).await;
    assert_eq!(format!("{waiting:?}").matches("is_truncated").count(), 21);
    let json = serde_json::to_string(&waiting).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    // A chain that fits is reported to its end.
    let waiting = client.untyped_orchestration("link-8").waiting().await.unwrap().unwrap();
    assert!(!is_full(&waiting), "{waiting:?}");
    hub.shutdown().await.unwrap();
}

/// A stopped orchestration tells why, a suspended one that it is suspended, and one with a start time when it starts.
#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_code_from_running_is_told() {
    let hub = open().await;
    let client = hub.client();
    let stopped = client.start::<panics>(()).await.unwrap().untyped();
    until_it_stops(&stopped).await;
    let waiting = stopped.waiting().await.unwrap().unwrap();
    assert!(waiting.stopped.unwrap().message.contains("out of order"));
    assert_eq!(waiting.messages, 1, "its start waits");

    let later = SystemTime::now() + Duration::from_secs(3_600);
    let due = client.start::<sleeper>(()).at(later).await.unwrap();
    let waiting = due.waiting().await.unwrap().unwrap();
    assert_eq!(waiting.status, OrchestrationStatus::Pending);
    let early = later.duration_since(waiting.starts_at.unwrap()).unwrap_or_default();
    assert!(early < Duration::from_secs(1));

    let suspended = client.start::<sleeper>(()).await.unwrap();
    suspended.suspend("for now").await.unwrap();
    let waiting = suspended.waiting().await.unwrap().unwrap();
    assert_eq!(waiting.status, OrchestrationStatus::Suspended);
    assert!(matches!(only(&waiting), WaitReason::Timer { .. }));
    assert!(
        client
            .untyped_orchestration("nobody")
            .waiting()
            .await
            .unwrap()
            .is_none()
    );
    hub.shutdown().await.unwrap();
}

/// A call waits behind the messages before it, and a call whose operation runs is not in the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_tells_its_place_in_the_queue() {
    let hub = open().await;
    let client = hub.client();
    let (answer, receiver) = oneshot::channel();
    ANSWERS.lock().unwrap().push(receiver);
    let first = client.start::<asks_the_sloth>(false).await.unwrap();
    eventually(async || ANSWERS.lock().unwrap().is_empty().then_some(())).await;
    let runs = client.start::<asks_the_sloth>(true).await.unwrap();
    let is_queued = |waiting: &Waiting| matches!(waiting.steps.first(), Some(step) if matches!(step.reason, WaitReason::EntityCall { ahead: Some(_), .. }));
    let waiting = reasons(&runs, is_queued).await;
    let WaitReason::EntityCall {
        entity,
        operation,
        ahead,
        blocked,
    } = only(&waiting)
    else {
        panic!("{waiting:?}");
    };
    assert_eq!((entity.as_str(), operation.as_str()), ("@sloth@s", "quick"));
    // The row of the running operation is still there, until its result is stored.
    assert_eq!((*ahead, blocked.is_none()), (Some(1), true));
    answer.send(()).unwrap();
    first.result().await.unwrap();
    runs.result().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// The directory of a stopped hub tells the same, as far as rows do.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_hub_tells_its_reasons() {
    let place = tempfile::tempdir().unwrap();
    let open = || {
        let builder = Hub::builder(place.path()).entity::<Counter>().activity::<hang>();
        builder
            .orchestration::<everything>()
            .orchestration::<sleeper>()
            .activity::<fail>()
    };
    let hub = open().open().await.unwrap();
    let run = hub.client().start::<everything>(()).instance_id("all").await.unwrap();
    reasons(&run, |waiting| waiting.steps.len() >= 6).await;
    hub.shutdown().await.unwrap();

    let client = Hub::inspect(place.path()).client().await.unwrap();
    let waiting = client.untyped_orchestration("all").waiting().await.unwrap().unwrap();
    let activities = waiting.steps.iter().filter(|step| {
        matches!(&step.reason, WaitReason::Activity { progress: ActivityProgress::Stopped, name, .. } if name == "hang")
    });
    assert_eq!(activities.count(), 2, "{waiting:?}");
}
