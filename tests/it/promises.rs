//! Guarantees that require a complete hub: failures over several hops, repeated requests after a crash, and limits on
//! stored messages.
//!
//! See:
//!
//! * docs/src/guarantees.md, "Delivery"
//! * docs/src/guarantees.md, "Events"
//! * docs/src/guarantees.md, "Isolation"

use std::time::Duration;

use abide::prelude::*;
use abide::{CallError, Cause, ErrorKind};

use crate::fixtures::until;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the line is dead")]
struct DeadLine;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no route to {bank}")]
struct NoRoute {
    bank: String,
    source: DeadLine,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the charge of {cents} failed")]
struct ChargeFailed {
    cents: u32,
    source: NoRoute,
}

#[activity]
async fn charge(cents: u32) -> Result<(), ChargeFailed> {
    let bank = "north".to_owned();
    let source = NoRoute { bank, source: DeadLine };
    Err(ChargeFailed { cents, source })
}

#[orchestration]
async fn pay(ctx: OrchestrationContext, cents: u32) -> Result<(), Failure> {
    Ok(ctx.call_activity::<charge>(cents).await?)
}

#[orchestration]
async fn buy(ctx: OrchestrationContext, cents: u32) -> Result<(), Failure> {
    Ok(ctx.call_sub_orchestration::<pay>(cents).await?)
}

/// Fails while it holds a lock.
#[orchestration]
async fn pay_under_lock(ctx: OrchestrationContext, cents: u32) -> Result<(), Failure> {
    let till = ctx.entity::<Till>("t");
    let _lock = ctx.lock_entities(&till).await?;
    till.count().await?;
    Ok(ctx.call_activity::<charge>(cents).await?)
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Till {
    counted: u32,
}

#[operations]
impl Till {
    pub fn count(&mut self) -> u32 {
        self.counted += 1;
        self.counted
    }
}

/// Locks the till until it receives the event `go`.
#[orchestration]
async fn hold(ctx: OrchestrationContext) -> Result<(), Failure> {
    let _lock = ctx.lock_entities(&ctx.entity::<Till>("t")).await?;
    Ok(ctx.wait_for_external_event::<()>("go").await?)
}

/// Collects numbers until it receives a zero.
#[orchestration]
async fn collect(ctx: OrchestrationContext) -> Result<Vec<u32>, Failure> {
    let mut numbers = Vec::new();
    loop {
        match ctx.wait_for_external_event::<u32>("number").await? {
            0 => return Ok(numbers),
            number => numbers.push(number),
        }
    }
}

/// The till with the operations that the sender expects.
mod believed {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(crate) struct Till;

    #[operations]
    impl Till {
        pub fn burn(&mut self, number: u32) {
            let _ = number;
        }
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Arsonist;

#[operations]
impl Arsonist {
    pub fn burn(&mut self, ctx: &mut EntityContext, times: u32) {
        for number in 0..times {
            ctx.entity::<believed::Till>("t").burn(number).signal();
        }
    }
}

fn register(builder: abide::HubBuilder) -> abide::HubBuilder {
    builder
        .entity::<Till>()
        .entity::<Arsonist>()
        .activity::<charge>()
        .orchestration::<pay>()
        .orchestration::<buy>()
        .orchestration::<pay_under_lock>()
        .orchestration::<collect>()
        .orchestration::<hold>()
}

/// Type, message, details and source chain of an activity's error reach the client through two orchestrations.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_keeps_its_sources_over_three_hops() {
    let hub = register(Hub::in_memory()).open().await.unwrap();
    let run = hub.client().start::<buy>(7).await.unwrap();
    let Err(CallError::Returned(failure)) = run.result().await else {
        panic!("the orchestration returned an error");
    };
    assert_eq!(failure.error_type, "ChargeFailed");
    assert_eq!(failure.message, "the charge of 7 failed");
    let details: serde_json::Value = serde_json::from_str(failure.details.as_deref().unwrap()).unwrap();
    assert_eq!(details["cents"], 7);
    assert_eq!(
        failure.causes,
        ["no route to north", "the line is dead"].map(Cause::message)
    );
    assert!(!failure.non_retriable);
    hub.shutdown().await.unwrap();
}

/// An orchestration whose first failure was delivered inside a critical section cannot be rewound.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_into_a_critical_section_is_refused() {
    let hub = register(Hub::in_memory()).open().await.unwrap();
    let client = hub.client();
    let run = client.start::<pay_under_lock>(7).await.unwrap();
    assert!(matches!(run.result().await, Err(CallError::Returned(_))));
    let error = run.rewind("try again").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongState);
    assert!(error.to_string().contains("critical section"), "{error}");
    assert_eq!(client.entity::<Till>("t").count().await.unwrap(), 2, "the lock is free");
    hub.shutdown().await.unwrap();
}

/// A start and an event that are repeated with their request IDs take effect once, even if the hub was dropped without
/// a shutdown.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_repeated_after_a_crash_takes_effect_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let hub = register(Hub::builder(directory.path())).open().await.unwrap();
        let client = hub.client();
        let run = client.start::<collect>(()).request_id("start").await.unwrap();
        run.raise_event("number", 5).request_id("five").await.unwrap();
        ids.push(run.id().to_owned());
        drop(hub);
    }
    assert_eq!(ids[0], ids[1], "both starts return the same orchestration");
    let hub = register(Hub::builder(directory.path())).open().await.unwrap();
    let client = hub.client();
    let run = client.orchestration::<collect>(&ids[0]);
    let other = run.raise_event("number", 6).request_id("five").await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::RequestIdReused);
    run.raise_event("number", 0).await.unwrap();
    assert_eq!(run.result().await.unwrap(), [5]);
    assert_eq!(client.orchestrations().count().await.unwrap(), 1);
    hub.shutdown().await.unwrap();
}

/// A partition at its limit of dead letters drops the oldest ones.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_bounded_and_the_oldest_go_first() {
    const KEPT: usize = 1_000;
    let hub = register(Hub::in_memory().partitions(1)).open().await.unwrap();
    let client = hub.client();
    client.entity::<Arsonist>("a").burn(1_500).await.unwrap();
    until(async || {
        let letters = client.admin().dead_letters().await.unwrap();
        letters.len() == KEPT && letters[KEPT - 1].arguments.contains("1499")
    })
    .await;
    let letters = client.admin().dead_letters().await.unwrap();
    assert!(letters[0].arguments.contains("500"), "{}", letters[0].arguments);
    hub.shutdown().await.unwrap();
}

/// The number of events that wait for a start is bounded. An event over the limit fails with `Overloaded`.
#[tokio::test(flavor = "multi_thread")]
async fn events_before_a_start_are_bounded() {
    const KEPT: usize = 10_000;
    let hub = register(Hub::in_memory().partitions(1)).open().await.unwrap();
    let client = hub.client();
    let hour = Duration::from_secs(3_600);
    let raise = |number: usize| {
        client
            .untyped_orchestration(format!("o-{}", number % 100))
            .raise_event("number", number)
            .before_start(hour)
    };
    for chunk in (0..KEPT).collect::<Vec<_>>().chunks(1_000) {
        let raised = chunk.iter().map(|number| raise(*number).into_future());
        futures::future::try_join_all(raised).await.unwrap();
    }
    let error = raise(KEPT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.to_string().contains("o-0"), "{error}");
    let run = client.start::<collect>(()).instance_id("o-0").await.unwrap();
    assert_eq!(
        run.result().await.unwrap(),
        Vec::<u32>::new(),
        "the first event was the zero"
    );
    raise(KEPT).await.unwrap_err();
    raise(KEPT + 1).await.unwrap();
    hub.shutdown().await.unwrap();
}

/// An event that waits for a start is removed when its time to live is over.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_before_a_start_has_a_time_to_live() {
    let hub = register(Hub::in_memory()).open().await.unwrap();
    let client = hub.client();
    let run = client.orchestration::<collect>("o");
    let short = Duration::from_millis(5);
    // On a busy machine the event may expire before it is stored. It is then rejected, and the next one is sent.
    while let Err(late) = run.raise_event("number", 5).before_start(short).await {
        assert_eq!(late.kind(), ErrorKind::NotFound, "{late}");
    }
    run.raise_event("number", 6)
        .before_start(Duration::from_secs(3_600))
        .await
        .unwrap();
    tokio::time::sleep(4 * short).await;
    client.start::<collect>(()).instance_id("o").await.unwrap();
    run.raise_event("number", 0).await.unwrap();
    assert_eq!(run.result().await.unwrap(), [6]);
    hub.shutdown().await.unwrap();
}

/// Calls that wait for a lock do not delay other clients, and terminating the owner releases them.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_for_a_lock_leave_room() {
    let hub = register(Hub::in_memory().executors(1).in_flight_limit(4))
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let holder = client.start::<hold>(()).instance_id("holder").await.unwrap();
    until(async || client.admin().locks().await.unwrap().len() == 1).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let till = client.entity::<Till>("t");
        calls.spawn(async move { till.count().await });
    }
    for n in 1..=20 {
        assert_eq!(client.entity::<Till>("u").count().await.unwrap(), n);
    }
    holder.terminate("it blocks the calls").await.unwrap();
    let mut counted: Vec<u32> = calls.join_all().await.into_iter().map(Result::unwrap).collect();
    counted.sort_unstable();
    assert_eq!(counted, [1, 2, 3, 4, 5, 6, 7, 8]);
    hub.shutdown().await.unwrap();
}
