//! Invalid input to orchestrations results in a typed error or a visible stop, and never in a stuck orchestration.
//!
//! See docs/src/guarantees.md, "Stopped, failed, ended".

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use abide::prelude::*;
use abide::{
    Error, ErrorKind, HubBuilder, OrchestrationHandle, OrchestrationStatus,
    client::{OrchestrationInfo, StopKind, Stopped},
    history::HistoryEventKind,
    hub::VersionPolicy,
};
use serde_json::json;

use crate::fixtures::{assert_error, until_it_stops, until_it_waits};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parcel {
    grams: u32,
    to: String,
}

#[activity]
async fn weigh(parcel: Parcel) -> u32 {
    parcel.grams
}

#[activity]
async fn stamp(grams: u32) -> u32 {
    grams / 20
}

#[orchestration]
async fn ship(ctx: OrchestrationContext, parcel: Parcel) -> Result<u32, Failure> {
    Ok(ctx.call_activity::<weigh>(parcel).await?)
}

/// Polls until the orchestration has ended or is stopped, and returns its status.
async fn until_it_ends_or_stops(run: &OrchestrationHandle) -> OrchestrationInfo {
    loop {
        let info = run.status().await.unwrap().unwrap();
        if info.status.is_terminal() || info.stopped.is_some() {
            return info;
        }
        tokio::task::yield_now().await;
    }
}

/// A start of a registered type with an input that does not decode fails with type, field and position. Nothing is
/// stored.
#[tokio::test]
async fn a_start_with_a_bad_input_is_refused() {
    let builder = Hub::in_memory().activity::<weigh>();
    let hub = builder.orchestration::<ship>().open().await.unwrap();
    let client = hub.client();
    for (input, parts) in [
        (r#"{"grams": 5}"#, ["`to`", "column 12"]),
        (r#"{"grams": -5, "to": "Ulm"}"#, ["`-5`", "column 12"]),
        ("{\"grams\": 5,\n\"to\": 7}", ["invalid type", "line 2 column 7"]),
        ("null", ["invalid type: null", "column 4"]),
        (
            r#"{"grams": 5, "to": "Ulm"} 6"#,
            ["trailing data after the value", "byte 26"],
        ),
    ] {
        let start = client.start_by_name_with_json("ship", input).instance_id("run");
        let error = start.await.unwrap_err();
        let text = error.to_string();
        let is_no_json = text.contains("is not valid JSON");
        assert_eq!(is_no_json, input.ends_with('6'), "{text}");
        let parts = if is_no_json { ["trailing", "column 27"] } else { parts };
        assert_error(&error, ErrorKind::InvalidArguments, &parts);
        assert!(text.contains("`ship`"), "{text}");
        assert!(is_no_json || text.contains("Parcel"), "{text}");
    }
    assert!(client.untyped_orchestration("run").status().await.unwrap().is_none());
    let good = client
        .start_by_name("ship", json!({ "grams": 5, "to": "Ulm" }))
        .instance_id("run");
    assert_eq!(good.await.unwrap().result().await.unwrap(), json!(5));
    hub.shutdown().await.unwrap();
}

/// The child with the input type that the parent expects: a number.
mod believed {
    use abide::prelude::*;

    #[orchestration(name = "child")]
    pub(super) async fn child(_ctx: OrchestrationContext, grams: u32) -> Result<u32, Failure> {
        Ok(grams)
    }
}

/// The child that is registered, which takes a parcel.
mod real {
    use abide::prelude::*;

    #[orchestration(name = "child")]
    pub(super) async fn child(_ctx: OrchestrationContext, parcel: super::Parcel) -> Result<u32, Failure> {
        Ok(parcel.grams)
    }
}

#[orchestration]
async fn misunderstands(ctx: OrchestrationContext) -> Result<String, Failure> {
    match ctx
        .call_sub_orchestration::<believed::child>(5)
        .instance_id("child")
        .await
    {
        Ok(grams) => Ok(grams.to_string()),
        Err(error) => Ok(error.to_string()),
    }
}

/// An input that does not decode fails the child with type and position. The parent receives the error, and neither is
/// stuck.
#[tokio::test]
async fn a_child_with_a_bad_input_fails() {
    let builder = Hub::in_memory().orchestration::<misunderstands>();
    let hub = builder.orchestration::<real::child>().open().await.unwrap();
    let client = hub.client();
    let run = client.start::<misunderstands>(()).await.unwrap();
    let text = run.result().await.unwrap();
    for part in ["`child`", "Parcel", "invalid type: integer `5`", "column 1"] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
    let child = client.untyped_orchestration("child").status().await.unwrap().unwrap();
    assert_eq!(child.status, OrchestrationStatus::Failed);
    let failure = child.failure.unwrap();
    assert_eq!(failure.error_type, "InvalidArguments");
    assert!(failure.non_retriable, "a retry cannot succeed");
    hub.shutdown().await.unwrap();
}

/// The good build, which weighs and then, after the event, stamps.
mod good {
    use abide::prelude::*;

    #[orchestration(name = "post")]
    pub(super) async fn post(ctx: OrchestrationContext, grams: u32) -> Result<u32, Failure> {
        let to = "Ulm".to_owned();
        let weight = ctx.call_activity::<super::weigh>(super::Parcel { grams, to }).await?;
        ctx.set_custom_status("waiting");
        ctx.wait_for_external_event::<()>("go").await?;
        Ok(ctx.call_activity::<super::stamp>(weight).await?)
    }
}

/// A build that calls the same activity with another input.
mod other_input {
    use abide::prelude::*;

    #[orchestration(name = "post")]
    pub(super) async fn post(ctx: OrchestrationContext, grams: u32) -> Result<u32, Failure> {
        let to = "Bonn".to_owned();
        let weight = ctx.call_activity::<super::weigh>(super::Parcel { grams, to }).await?;
        ctx.wait_for_external_event::<()>("go").await?;
        Ok(ctx.call_activity::<super::stamp>(weight).await?)
    }
}

/// A build that takes fewer steps.
mod one_step_less {
    use abide::prelude::*;

    #[orchestration(name = "post")]
    pub(super) async fn post(ctx: OrchestrationContext, grams: u32) -> Result<u32, Failure> {
        let to = "Ulm".to_owned();
        Ok(ctx.call_activity::<super::weigh>(super::Parcel { grams, to }).await?)
    }
}

/// A build that takes more steps.
mod one_step_more {
    use abide::prelude::*;

    #[orchestration(name = "post")]
    pub(super) async fn post(ctx: OrchestrationContext, grams: u32) -> Result<u32, Failure> {
        let to = "Ulm".to_owned();
        let call = ctx.call_activity::<super::weigh>(super::Parcel { grams, to });
        let more = ctx.call_activity::<super::stamp>(grams);
        let weight = call.await?;
        more.await?;
        ctx.wait_for_external_event::<()>("go").await?;
        Ok(ctx.call_activity::<super::stamp>(weight).await?)
    }
}

/// A build that panics where the good one continues.
mod panicking {
    use abide::prelude::*;

    #[orchestration(name = "post")]
    pub(super) async fn post(ctx: OrchestrationContext, grams: u32) -> Result<u32, Failure> {
        let to = "Ulm".to_owned();
        let weight = ctx.call_activity::<super::weigh>(super::Parcel { grams, to }).await?;
        ctx.wait_for_external_event::<()>("go").await?;
        panic!("no stamps for {weight} g");
    }
}

fn hub(directory: &Path) -> HubBuilder {
    Hub::builder(directory).activity::<weigh>().activity::<stamp>()
}

/// Creates a hub in which an orchestration of the good build waits for its event, and closes it.
async fn leave_one_waiting(directory: &Path) {
    let hub = hub(directory).orchestration::<good::post>().open().await.unwrap();
    let run = hub.client().start::<good::post>(100).instance_id("run").await.unwrap();
    until_it_waits(&run.untyped()).await;
    hub.shutdown().await.unwrap();
}

/// Opens a bad build, raises the event and returns the reason of the stop.
///
/// The orchestration also stops at a second open of the bad build. The good build then receives the event and
/// completes.
async fn stops_and_completes(directory: &Path, bad: impl Fn(HubBuilder) -> HubBuilder) -> Stopped {
    leave_one_waiting(directory).await;
    let first = bad(hub(directory)).open().await.unwrap();
    let run = first.client().untyped_orchestration("run");
    run.raise_event("go", ()).await.unwrap();
    let stopped = until_it_stops(&run).await;
    let before = run.history().await.unwrap().len();
    // Resuming the same build stops the orchestration again, and nothing is recorded.
    run.resume("again").await.unwrap();
    assert_eq!(until_it_stops(&run).await.kind, stopped.kind);
    assert_eq!(run.history().await.unwrap().len(), before);
    first.shutdown().await.unwrap();

    let second = bad(hub(directory)).open().await.unwrap();
    let again = until_it_stops(&second.client().untyped_orchestration("run")).await;
    assert_eq!(again.kind, stopped.kind);
    second.shutdown().await.unwrap();

    let good = hub(directory).orchestration::<good::post>().open().await.unwrap();
    let run = good.client().untyped_orchestration("run");
    assert_eq!(run.result().await.unwrap(), json!(5));
    assert!(run.status().await.unwrap().unwrap().stopped.is_none());
    good.shutdown().await.unwrap();
    stopped
}

/// Another input of the same activity stops the orchestration with the turn, the index and both steps.
#[tokio::test]
async fn a_build_that_takes_another_step_stops() {
    let directory = tempfile::tempdir().unwrap();
    let stopped = stops_and_completes(directory.path(), |hub| hub.orchestration::<other_input::post>()).await;
    assert_eq!(stopped.kind, StopKind::NonDeterministic);
    let lines: Vec<&str> = stopped.message.lines().collect();
    assert!(lines[0].contains("in turn 0, command 1 of 1"), "{}", stopped.message);
    assert!(lines[1].contains("recorded") && lines[1].contains("weigh") && lines[1].contains("Ulm"));
    assert!(lines[2].contains("issued") && lines[2].contains("weigh") && lines[2].contains("Bonn"));
    assert!(
        lines[3].contains("tests/it/orchestrations_bad_input.rs"),
        "{}",
        stopped.message
    );
}

/// Code that ends before its history does stops the orchestration.
#[tokio::test]
async fn a_build_that_takes_fewer_steps_stops() {
    let directory = tempfile::tempdir().unwrap();
    let stopped = stops_and_completes(directory.path(), |hub| hub.orchestration::<one_step_less::post>()).await;
    assert_eq!(stopped.kind, StopKind::NonDeterministic);
    assert!(
        stopped.message.contains("in turn 1, command 1 of 1"),
        "{}",
        stopped.message
    );
    let wait = "event wait, step 2, name go";
    assert!(stopped.message.contains(wait), "{}", stopped.message);
}

/// Code that takes a step beyond its history stops the orchestration.
#[tokio::test]
async fn a_build_that_takes_more_steps_stops() {
    let directory = tempfile::tempdir().unwrap();
    let stopped = stops_and_completes(directory.path(), |hub| hub.orchestration::<one_step_more::post>()).await;
    assert_eq!(stopped.kind, StopKind::NonDeterministic);
    assert!(
        stopped.message.contains("in turn 0, command 2 of 2"),
        "{}",
        stopped.message
    );
    assert!(stopped.message.contains("no further command"), "{}", stopped.message);
    assert!(stopped.message.contains("stamp"), "{}", stopped.message);
}

/// A panic stops the orchestration with its message. A fixed build resumes it and keeps the completed steps.
#[tokio::test]
async fn a_fixed_build_resumes_after_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let stopped = stops_and_completes(directory.path(), |hub| hub.orchestration::<panicking::post>()).await;
    assert_eq!(stopped.kind, StopKind::Panicked);
    assert!(stopped.message.contains("no stamps for 100 g"), "{}", stopped.message);
}

/// An operator can terminate a stopped orchestration.
#[tokio::test]
async fn a_stopped_orchestration_can_be_terminated() {
    let directory = tempfile::tempdir().unwrap();
    leave_one_waiting(directory.path()).await;
    let bad = hub(directory.path())
        .orchestration::<panicking::post>()
        .open()
        .await
        .unwrap();
    let run = bad.client().untyped_orchestration("run");
    run.raise_event("go", ()).await.unwrap();
    until_it_stops(&run).await;
    run.terminate("it cannot be fixed").await.unwrap();
    let info = until_it_ends_or_stops(&run).await;
    assert_eq!((info.status, info.stopped), (OrchestrationStatus::Terminated, None));
    let error = run.result().await.unwrap_err().into_returned().unwrap_err();
    assert_error(&error, ErrorKind::Terminated, &["`run`", "it cannot be fixed"]);
    bad.shutdown().await.unwrap();
}

static IS_BROKEN: AtomicBool = AtomicBool::new(true);
static TRIES: AtomicU32 = AtomicU32::new(0);

#[orchestration]
async fn breaks(ctx: OrchestrationContext) -> Result<u32, Failure> {
    let first = ctx.call_activity::<stamp>(40).await?;
    TRIES.fetch_add(1, Ordering::Relaxed);
    assert!(!IS_BROKEN.load(Ordering::Relaxed), "the machine is broken");
    Ok(first + ctx.call_activity::<stamp>(60).await?)
}

/// `resume` retries a panicked turn in the same process, any number of times.
#[tokio::test]
async fn a_resume_retries_after_a_panic() {
    let builder = Hub::in_memory().activity::<stamp>();
    let hub = builder.orchestration::<breaks>().open().await.unwrap();
    let run = hub.client().start::<breaks>(()).await.unwrap();
    let mut tries = 0;
    for _ in 0..3 {
        let stopped = until_it_stops(&run.clone().untyped()).await;
        assert_eq!(stopped.kind, StopKind::Panicked);
        assert!(stopped.message.contains("the machine is broken"), "{}", stopped.message);
        assert!(TRIES.load(Ordering::Relaxed) > tries, "the turn was not retried");
        tries = TRIES.load(Ordering::Relaxed);
        run.resume("perhaps it is fixed").await.unwrap();
        while TRIES.load(Ordering::Relaxed) == tries {
            tokio::task::yield_now().await;
        }
    }
    IS_BROKEN.store(false, Ordering::Relaxed);
    run.resume("it is fixed").await.unwrap();
    assert_eq!(run.result().await.unwrap(), 5);
    hub.shutdown().await.unwrap();
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Tally {
    n: u64,
}

#[operations]
impl Tally {
    pub fn add(&mut self) {
        self.n += 1;
    }
}

/// Sends signals forever without awaiting.
#[orchestration]
async fn signals_forever(ctx: OrchestrationContext) -> Result<(), Failure> {
    loop {
        ctx.entity::<Tally>("t").add().signal();
    }
}

/// Wakes itself repeatedly without waiting for anything.
#[orchestration]
async fn wakes_itself(_ctx: OrchestrationContext) -> Result<(), Failure> {
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        std::task::Poll::<()>::Pending
    })
    .await;
    Ok(())
}

/// A loop without awaits is stopped at the limit of actions per turn, and none of its actions takes effect. A loop that
/// only wakes itself is stopped as well. Other work continues.
#[tokio::test]
async fn a_loop_without_awaiting_is_stopped() {
    let builder = Hub::in_memory().entity::<Tally>().activity::<stamp>().action_limit(100);
    let builder = builder
        .orchestration::<signals_forever>()
        .orchestration::<wakes_itself>();
    let hub = builder.orchestration::<breaks>().open().await.unwrap();
    let client = hub.client();
    let run = client.start::<signals_forever>(()).await.unwrap().untyped();
    let stopped = until_it_stops(&run).await;
    assert_eq!(stopped.kind, StopKind::TurnLimit);
    assert!(
        stopped.message.contains("more than 100 commands in one turn"),
        "{}",
        stopped.message
    );
    assert!(
        stopped.message.contains("tests/it/orchestrations_bad_input.rs"),
        "{}",
        stopped.message
    );

    let run = client.start::<wakes_itself>(()).await.unwrap().untyped();
    let stopped = until_it_stops(&run).await;
    assert_eq!(stopped.kind, StopKind::TurnLimit);
    assert!(stopped.message.contains("woke itself"), "{}", stopped.message);

    client.entity::<Tally>("t").add().await.unwrap();
    assert_eq!(client.entity::<Tally>("t").state().await.unwrap().unwrap().n, 1);
    hub.shutdown().await.unwrap();
}

/// Waits for the event `go`.
#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<u32, Failure> {
    ctx.set_custom_status("waiting");
    Ok(ctx.wait_for_external_event::<u32>("go").await?)
}

/// A request that an instance cannot accept in its state is a typed error that names the instance and its state.
#[tokio::test]
async fn invalid_requests_to_an_instance_are_typed_errors() {
    let hub = Hub::in_memory().orchestration::<waits>().open().await.unwrap();
    let client = hub.client();
    let missing = client.untyped_orchestration("missing");
    let not_found = ["`missing`", "never started"];
    assert_error(
        &missing.raise_event("go", 1).await.unwrap_err(),
        ErrorKind::NotFound,
        &not_found,
    );
    assert_error(&missing.rewind("x").await.unwrap_err(), ErrorKind::NotFound, &not_found);
    assert_error(&missing.resume("x").await.unwrap_err(), ErrorKind::NotFound, &not_found);
    assert_error(
        &missing.terminate("x").await.unwrap_err(),
        ErrorKind::NotFound,
        &not_found,
    );
    assert_error(&missing.history().await.unwrap_err(), ErrorKind::NotFound, &not_found);

    let run = client.start::<waits>(()).instance_id("run").await.unwrap();
    until_it_waits(&run.clone().untyped()).await;
    let again = client.start::<waits>(()).instance_id("run").await.unwrap_err();
    assert_error(
        &again,
        ErrorKind::AlreadyExists,
        &["`run`", "has not ended", "another id"],
    );
    let rewound = run.rewind("x").await.unwrap_err();
    assert_error(&rewound, ErrorKind::WrongState, &["`run`", "it is Running", "failed"]);
    assert_error(
        &run.restart().await.unwrap_err(),
        ErrorKind::WrongState,
        &["`run`", "Running", "terminate"],
    );
    assert_error(
        &run.purge().await.unwrap_err(),
        ErrorKind::WrongState,
        &["`run`", "Running", "terminate"],
    );

    // None of these requests affects the orchestration.
    run.raise_event("go", 7).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 7);
    let ended = ["`run`", "ended", "Completed"];
    assert_error(&run.raise_event("go", 1).await.unwrap_err(), ErrorKind::Ended, &ended);
    assert_error(&run.terminate("x").await.unwrap_err(), ErrorKind::Ended, &ended);
    assert_error(&run.suspend("x").await.unwrap_err(), ErrorKind::Ended, &ended);
    assert_error(&run.resume("x").await.unwrap_err(), ErrorKind::Ended, &ended);
    let rewound = run.rewind("x").await.unwrap_err();
    assert_error(&rewound, ErrorKind::WrongState, &["`run`", "it is Completed"]);
    for id in ["@run", "a/b", ""] {
        assert_error(
            &client.start::<waits>(()).instance_id(id).await.unwrap_err(),
            ErrorKind::InvalidId,
            &[],
        );
        assert_error(
            &client.untyped_orchestration(id).raise_event("go", 1).await.unwrap_err(),
            ErrorKind::InvalidId,
            &[],
        );
    }
    hub.shutdown().await.unwrap();
}

/// An event payload that does not decode into the awaited type fails the wait with type and position.
#[tokio::test]
async fn an_event_of_another_type_is_an_error_of_the_wait() {
    let hub = Hub::in_memory().orchestration::<waits>().open().await.unwrap();
    let run = hub.client().start::<waits>(()).await.unwrap();
    run.raise_event("go", "seven").await.unwrap();
    let text = run.result().await.unwrap_err().to_string();
    for part in ["`go`", "u32", "\"seven\"", "column 7"] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
    hub.shutdown().await.unwrap();
}

#[activity(timeout = "30ms")]
async fn hangs() {
    std::future::pending::<()>().await;
}

#[activity]
async fn hangs_without_a_limit() {
    std::future::pending::<()>().await;
}

#[orchestration]
async fn waits_for_what_hangs(ctx: OrchestrationContext) -> Result<Vec<String>, Failure> {
    let own = ctx.call_activity::<hangs>(()).await.unwrap_err();
    let longer = ctx
        .call_activity::<hangs>(())
        .timeout(Duration::from_millis(60))
        .await
        .unwrap_err();
    let call = ctx
        .call_activity::<hangs_without_a_limit>(())
        .timeout(Duration::from_millis(20));
    let called = call.await.unwrap_err();
    let policy = RetryPolicy::new(2).first_interval(Duration::from_millis(1));
    let retried = ctx.call_activity::<hangs>(()).retry(policy).await.unwrap_err();
    let errors = [own, longer, called, retried].map(|error| match error {
        CallError::Runtime(error) => format!("{:?}: {error}", error.kind()),
        other => other.to_string(),
    });
    Ok(errors.to_vec())
}

/// An activity that never returns times out after its own time limit or that of the call, and the error names it. With
/// retries, the limit applies to each attempt.
#[tokio::test]
async fn an_activity_that_never_returns_times_out() {
    let builder = Hub::in_memory().activity::<hangs>().activity::<hangs_without_a_limit>();
    let hub = builder.orchestration::<waits_for_what_hangs>().open().await.unwrap();
    let run = hub.client().start::<waits_for_what_hangs>(()).await.unwrap();
    let errors = run.result().await.unwrap();
    for (error, limit) in errors.iter().zip(["30ms", "60ms", "20ms", "30ms"]) {
        assert!(error.starts_with("TimedOut") && error.contains("`hangs"), "{error}");
        assert!(error.contains(limit), "{error}");
    }
    let events = run.history().await.unwrap();
    let failed = events
        .iter()
        .filter(|event| matches!(event.kind, HistoryEventKind::StepFailed { .. }));
    assert_eq!(failed.count(), 5);
    hub.shutdown().await.unwrap();
}

mod version_1 {
    use abide::prelude::*;

    #[orchestration(name = "letter", version = "1")]
    pub(super) async fn letter(ctx: OrchestrationContext, grams: u32) -> Result<String, Failure> {
        let stamps = ctx.call_activity::<super::stamp>(grams).await?;
        ctx.set_custom_status("waiting");
        let to = ctx.wait_for_external_event::<String>("to").await?;
        Ok(format!("{stamps} stamps to {to}"))
    }
}

mod version_2 {
    use abide::prelude::*;

    #[orchestration(name = "letter", version = "2")]
    pub(super) async fn letter(ctx: OrchestrationContext, grams: u32) -> Result<String, Failure> {
        let stamps = ctx.call_activity::<super::stamp>(grams).await?;
        let to = ctx.wait_for_external_event::<String>("to").await?;
        Ok(format!("to {to}: {stamps} stamps"))
    }
}

/// An instance whose version is not registered stops and names the registered ones. It resumes when its version is
/// registered again, or when the hub may run it in a newer one.
#[tokio::test]
async fn an_unregistered_version_waits_until_it_is_registered() {
    for take_over in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let open = |builder: HubBuilder| builder.open();
        let old = open(hub(directory.path()).orchestration::<version_1::letter>())
            .await
            .unwrap();
        let run = old
            .client()
            .start::<version_1::letter>(60)
            .instance_id("run")
            .await
            .unwrap();
        until_it_waits(&run.untyped()).await;
        old.shutdown().await.unwrap();

        let new = open(hub(directory.path()).orchestration::<version_2::letter>())
            .await
            .unwrap();
        let run = new.client().untyped_orchestration("run");
        run.raise_event("to", "Ulm").await.unwrap();
        let stopped = until_it_stops(&run).await;
        assert_eq!(stopped.kind, StopKind::Unregistered);
        for part in ["`letter`", "`1`", "only `2`", "VersionPolicy::CurrentOrOlder"] {
            assert!(stopped.message.contains(part), "{}", stopped.message);
        }
        new.shutdown().await.unwrap();

        let builder = hub(directory.path()).orchestration::<version_2::letter>();
        let (builder, expected) = match take_over {
            true => (
                builder.version_policy(VersionPolicy::CurrentOrOlder),
                "to Ulm: 3 stamps",
            ),
            false => (builder.orchestration::<version_1::letter>(), "3 stamps to Ulm"),
        };
        let hub = open(builder).await.unwrap();
        assert_eq!(
            hub.client().untyped_orchestration("run").result().await.unwrap(),
            json!(expected)
        );
        hub.shutdown().await.unwrap();
    }
}

/// The work of the activities below, in order.
static DID: Mutex<Vec<String>> = Mutex::new(Vec::new());
static RUNS_OF_PAY: AtomicU32 = AtomicU32::new(0);

fn did(what: &str) {
    DID.lock().unwrap().push(what.to_owned());
}

#[activity]
async fn reserve(article: String) -> String {
    did(&format!("reserve {article}"));
    format!("reserved {article}")
}

/// Fails in both attempts of the first execution.
#[activity(retry(max_attempts = 2, first_interval = "1ms"))]
async fn pay(ctx: ActivityContext, cents: u32) -> Result<String, Failure> {
    did(&format!("pay attempt {}", ctx.attempt()));
    match RUNS_OF_PAY.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err(Failure::message("the bank is closed")),
        _ => Ok(format!("paid {cents}")),
    }
}

#[activity]
async fn confirm(of: String) -> String {
    did(&format!("confirm {of}"));
    of
}

#[orchestration]
async fn buys(ctx: OrchestrationContext) -> Result<String, Failure> {
    let lamp = ctx.call_activity::<reserve>("lamp".into()).await?;
    let color = ctx.wait_for_external_event::<String>("color").await?;
    // `reserve` runs concurrently with the failing `pay` and completes before or after the failure.
    let (bulb, paid) = (ctx.call_activity::<reserve>("bulb".into()), ctx.call_activity::<pay>(7));
    let paid = paid.await?;
    let confirmed = ctx.call_activity::<confirm>(format!("{lamp} {color}, {}, {paid}", bulb.await?));
    Ok(confirmed.await?)
}

/// A rewind creates a new execution that begins before the first delivered failure, even after the hub was reopened.
///
/// The failed step runs again, beginning with its first attempt. Completed steps keep their results and do not run
/// again. Events that were received are kept.
#[tokio::test]
async fn a_rewind_repeats_only_failed_steps() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let builder = Hub::builder(directory.path()).activity::<reserve>().activity::<pay>();
        builder.activity::<confirm>().orchestration::<buys>().open()
    };
    let hub = open().await.unwrap();
    let run = hub.client().start::<buys>(()).instance_id("run").await.unwrap();
    run.raise_event("color", "red").await.unwrap();
    assert_eq!(run.result().await.unwrap_err().to_string(), "the bank is closed");
    let failed = run.status().await.unwrap().unwrap();
    assert_eq!(failed.status, OrchestrationStatus::Failed);
    let is_bulb = |kind: &HistoryEventKind| matches!(kind, HistoryEventKind::StepCompleted { result, .. } if result.contains("reserved bulb"));
    let is_bulb_done = run.history().await.unwrap().iter().any(|event| is_bulb(&event.kind));
    hub.shutdown().await.unwrap();
    let before = std::mem::take(&mut *DID.lock().unwrap());
    assert_eq!(before[0], "reserve lamp");
    let count = |done: &[String], what: &str| done.iter().filter(|did| *did == what).count();
    assert_eq!(
        (count(&before, "pay attempt 1"), count(&before, "pay attempt 2")),
        (1, 1)
    );

    let hub = open().await.unwrap();
    let run = hub.client().orchestration::<buys>("run");
    run.rewind("the bank is open").await.unwrap();
    let confirmed = run.result().await.unwrap();
    assert_eq!(confirmed, "reserved lamp red, reserved bulb, paid 7");
    let after = DID.lock().unwrap().clone();
    assert_eq!(count(&after, "reserve lamp"), 0, "{after:?}");
    assert_eq!(count(&after, "pay attempt 1"), 1, "{after:?}");
    assert_eq!(count(&after, &format!("confirm {confirmed}")), 1, "{after:?}");
    // This step runs again only if its result was not recorded.
    assert_eq!(count(&after, "reserve bulb"), usize::from(!is_bulb_done), "{after:?}");

    let info = run.status().await.unwrap().unwrap();
    assert_eq!(info.status, OrchestrationStatus::Completed);
    assert_ne!(info.execution_id, failed.execution_id);
    assert_eq!(info.created, failed.created);
    let events = run.history().await.unwrap();
    let is_failed = |kind: &HistoryEventKind| matches!(kind, HistoryEventKind::StepFailed { .. });
    assert!(
        !events.iter().any(|event| is_failed(&event.kind)),
        "the history contains no failure"
    );
    // A completed orchestration cannot be rewound again.
    let error = run.rewind("again").await.unwrap_err();
    assert_error(&error, ErrorKind::WrongState, &["it is Completed"]);
    hub.shutdown().await.unwrap();
}

mod plain {
    use abide::prelude::*;

    #[orchestration(name = "draft")]
    pub(super) async fn draft(_ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
        Ok(n)
    }
}

/// Calls an activity and two children that may not be registered.
#[orchestration]
async fn delegates(ctx: OrchestrationContext) -> Result<(u32, u32), Failure> {
    let stamps = ctx.call_activity::<stamp>(60);
    let draft = ctx.call_sub_orchestration::<plain::draft>(1).instance_id("draft");
    let letter = ctx
        .call_sub_orchestration::<version_2::letter>(40)
        .instance_id("letter");
    let (stamps, draft) = (stamps.await?, draft.await?);
    letter.await?;
    Ok((stamps, draft))
}

/// Unregistered activities and children, with and without versions, wait for a build that registers them and then
/// continue.
#[tokio::test]
async fn unregistered_code_waits_for_a_build_that_registers_it() {
    let directory = tempfile::tempdir().unwrap();
    let without = Hub::builder(directory.path())
        .orchestration::<delegates>()
        .open()
        .await
        .unwrap();
    let client = without.client();
    client.start::<delegates>(()).instance_id("run").await.unwrap();
    for id in ["draft", "letter"] {
        while client.untyped_orchestration(id).status().await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        let stopped = until_it_stops(&client.untyped_orchestration(id)).await;
        assert_eq!(stopped.kind, StopKind::Unregistered);
        assert!(
            stopped.message.contains(&format!("registered as `{id}`")),
            "{}",
            stopped.message
        );
    }
    without.shutdown().await.unwrap();

    let builder = hub(directory.path())
        .orchestration::<delegates>()
        .orchestration::<plain::draft>();
    let with = builder.orchestration::<version_2::letter>().open().await.unwrap();
    let client = with.client();
    client
        .untyped_orchestration("letter")
        .raise_event("to", "Ulm")
        .await
        .unwrap();
    let run = client.orchestration::<delegates>("run");
    assert_eq!(run.result_within(Duration::from_secs(10)).await.unwrap(), (3, 1));
    assert_eq!(
        client
            .untyped_orchestration("letter")
            .status()
            .await
            .unwrap()
            .unwrap()
            .version,
        "2"
    );
    with.shutdown().await.unwrap();
}

/// A custom error type with a large value.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("it does not fit")]
struct Huge(String);

fn huge() -> String {
    "x".repeat(100_000)
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Failing {}

#[operations]
impl Failing {
    pub fn fail_typed(&mut self) -> Result<(), Huge> {
        Err(Huge(huge()))
    }

    pub fn fail_with_text(&self) -> Result<(), Failure> {
        Err(Failure::message(huge()))
    }

    pub fn scream(&mut self) {
        panic!("{}", huge())
    }
}

#[activity]
async fn fails_hugely() -> Result<(), Failure> {
    Err(Failure::message(huge()))
}

#[activity]
async fn screams() {
    panic!("{}", huge())
}

#[orchestration]
async fn gets_huge_errors(ctx: OrchestrationContext) -> Result<(), Failure> {
    let failing = ctx.entity::<Failing>("a");
    let texts = [
        format!("{:?}", failing.fail_typed().await.unwrap_err()),
        format!("{:?}", failing.fail_with_text().await.unwrap_err()),
        format!("{:?}", failing.scream().await.unwrap_err()),
        format!("{:?}", ctx.call_activity::<fails_hugely>(()).await.unwrap_err()),
        format!("{:?}", ctx.call_activity::<screams>(()).await.unwrap_err()),
    ];
    let starts = texts.map(|text| text.chars().take(24).collect::<String>());
    ctx.set_custom_status(starts);
    Err(Failure::message(huge()))
}

/// Errors of operations, activities and orchestrations, and panic messages, are stored like results and have the
/// payload limit. A larger error is replaced by one of kind `TooLarge`, and a panic message is shortened.
#[tokio::test]
async fn no_error_is_larger_than_a_payload() {
    let builder = Hub::in_memory().payload_limit(10_000).entity::<Failing>();
    let builder = builder.activity::<fails_hugely>().activity::<screams>();
    let hub = builder.orchestration::<gets_huge_errors>().open().await.unwrap();
    let client = hub.client();
    let failing = client.entity::<Failing>("b");
    let error = Error::from(failing.fail_typed().await.unwrap_err());
    assert_error(
        &error,
        ErrorKind::TooLarge,
        &[
            "`Huge` of `fail_typed` of `@failing@b`",
            "10000 is the limit",
            "it does not fit",
        ],
    );
    assert!(error.to_string().len() < 1_000);
    let error = Error::from(failing.scream().await.unwrap_err());
    assert_error(&error, ErrorKind::Panicked, &["scream", "xxx… (100000 bytes in all)"]);
    assert!(error.to_string().len() < 10_000);

    let run = client.start::<gets_huge_errors>(()).await.unwrap();
    let CallError::Returned(failure) = run.result().await.unwrap_err() else {
        panic!("the orchestration returned an error");
    };
    assert_eq!(failure.error_type, "TooLarge");
    let info = run.status().await.unwrap().unwrap();
    let texts: [String; 5] = serde_json::from_str(&info.custom_status.unwrap()).unwrap();
    for (text, kind) in texts
        .iter()
        .zip(["TooLarge", "TooLarge", "Panicked", "TooLarge", "Panicked"])
    {
        assert!(text.starts_with(&format!("Runtime({kind}: ")), "{text}");
    }
    let history = serde_json::to_string(&run.history().await.unwrap()).unwrap();
    assert!(history.len() < 40_000, "{}", history.len());
    hub.shutdown().await.unwrap();
}

#[orchestration]
async fn falls(ctx: OrchestrationContext) -> Result<(), Failure> {
    ctx.wait_for_external_event::<()>("push").await?;
    panic!("it fell over")
}

/// When an orchestration stops, `result_or_stop` fails at once, `result_within` fails with the reason after its time,
/// and `result` keeps waiting.
#[tokio::test]
async fn a_stop_fails_its_waiters() {
    let hub = Hub::in_memory().orchestration::<falls>().open().await.unwrap();
    let run = hub.client().start::<falls>(()).await.unwrap();
    let in_time = run.result_within(Duration::ZERO).await.unwrap_err();
    assert_error(&Error::from(in_time), ErrorKind::TimedOut, &["continues"]);
    let (waiting, again) = (run.clone(), run.clone());
    let waits = tokio::spawn(async move { waiting.result_or_stop().await });
    let ends = tokio::spawn(async move { again.result().await });
    run.raise_event("push", ()).await.unwrap();
    let parts = ["is stopped (Panicked)", "it fell over", run.id()];
    assert_error(
        &Error::from(waits.await.unwrap().unwrap_err()),
        ErrorKind::Stopped,
        &parts,
    );
    assert_error(
        &Error::from(run.result_or_stop().await.unwrap_err()),
        ErrorKind::Stopped,
        &parts,
    );
    let in_time = run.result_within(Duration::from_millis(1)).await.unwrap_err();
    assert_error(&Error::from(in_time), ErrorKind::Stopped, &parts);
    let untyped = run.clone().untyped().result_or_stop().await.unwrap_err();
    assert_error(&Error::from(untyped), ErrorKind::Stopped, &parts);
    assert!(!ends.is_finished());
    run.terminate("enough").await.unwrap();
    for ended in [ends.await.unwrap(), run.result_or_stop().await] {
        assert_error(&Error::from(ended.unwrap_err()), ErrorKind::Terminated, &["enough"]);
    }
    hub.shutdown().await.unwrap();
}
