//! Schedules over restarts of their hub: create, update, pause, resume, delete and missed runs. No run starts early,
//! and none is lost.
//!
//! The clock is the real one, so a test waits for a time if no other event announces it. The ID of a run contains its
//! due time, so each test knows exactly which runs have to exist.
//!
//! See docs/src/guarantees.md, "Retention, lists and schedules".

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide::prelude::*;
use abide::{
    EntityId,
    client::OrchestrationQuery,
    schedule::{CatchUpPolicy, CreateSchedule, Recurrence, ScheduleInfo},
};

use crate::fixtures::{eventually, until_it_stops};

/// Returns its input and the time at which it ran.
#[orchestration]
async fn report(ctx: OrchestrationContext, of: String) -> (String, SystemTime) {
    (of, ctx.current_utc_time())
}

/// The period of most schedules in these tests.
const PERIOD: Duration = Duration::from_millis(50);

/// Number of runs of a schedule with an end.
const RUNS: u32 = 10;

async fn open(directory: &Path) -> Hub {
    Hub::builder(directory).orchestration::<report>().open().await.unwrap()
}

/// Waits until a time is reached.
async fn until(time: SystemTime) {
    while let Ok(rest) = time.duration_since(SystemTime::now()) {
        tokio::time::sleep(rest + Duration::from_millis(1)).await;
    }
}

/// Returns the time `after` from now, in whole milliseconds like the times of schedules.
fn soon(after: Duration) -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + after;
    UNIX_EPOCH + Duration::from_millis(now.as_millis() as u64)
}

/// Runs `prepare` before a time and returns both. If a busy machine misses the time, tries again with a later one.
async fn before<T>(lead: Duration, mut prepare: impl AsyncFnMut(SystemTime) -> T) -> (SystemTime, T) {
    let mut lead = lead;
    loop {
        let from = soon(lead);
        let prepared = prepare(from).await;
        if SystemTime::now() < from {
            return (from, prepared);
        }
        lead *= 4;
    }
}

async fn schedule(client: &Client, id: &str) -> ScheduleInfo {
    client.schedules().get(id).await.unwrap().unwrap()
}

/// Polls a schedule until a condition holds, and returns it.
async fn until_it(client: &Client, id: &str, is_so: impl Fn(&ScheduleInfo) -> bool) -> ScheduleInfo {
    loop {
        let info = schedule(client, id).await;
        if is_so(&info) {
            return info;
        }
        tokio::task::yield_now().await;
    }
}

fn runs_of(client: &Client, id: &str) -> OrchestrationQuery {
    client.orchestrations().prefix(format!("{id}-")).page_size(1_000)
}

/// Returns the due times in the IDs of a schedule's runs, oldest first.
///
/// Waits for all runs that the schedule has started, and asserts that none ran early.
async fn due_times(client: &Client, id: &str) -> Vec<SystemTime> {
    let started = schedule(client, id).await.runs as usize;
    let runs = loop {
        let page = runs_of(client, id).page().await.unwrap();
        if page.items.len() >= started {
            break page.items;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(runs.len(), started);
    let mut times = Vec::new();
    for run in runs {
        let due: jiff::Timestamp = run.id[id.len() + 1..].parse().unwrap();
        let due = SystemTime::from(due);
        let (of, ran) = client.orchestration::<report>(&run.id).result().await.unwrap();
        assert_eq!(of, id);
        assert!(ran >= due, "{} ran early", run.id);
        times.push(due);
    }
    times.sort();
    times
}

/// All runs of the schedules are due while the hub is closed. The next open starts the runs of each policy once, and a
/// second restart adds none.
///
/// The runs are less than a minute late, which is within the grace period of [`CatchUpPolicy::Skip`]. The unit tests of
/// the policies cover older runs.
#[tokio::test]
async fn each_policy_makes_up_for_the_runs_of_a_closed_hub() {
    let policies = [
        ("skip", CatchUpPolicy::Skip, 1),
        ("once", CatchUpPolicy::RunOnce, 1),
        ("three", CatchUpPolicy::RunAll { at_most: 3 }, 3),
        // More runs than one operation of the schedule starts.
        ("all", CatchUpPolicy::RunAll { at_most: 1_000 }, RUNS),
    ];
    let create_all = async |from| {
        let directory = tempfile::tempdir().unwrap();
        let hub = open(directory.path()).await;
        for (id, policy, _) in policies {
            let schedules = hub.client().schedules();
            let create = schedules.create::<report>(id, Recurrence::Every(PERIOD), id.to_owned());
            let create = create.from(from).until(from + PERIOD * RUNS);
            create.catch_up(policy).await.unwrap();
        }
        hub.shutdown().await.unwrap();
        directory
    };
    let (from, directory) = before(Duration::from_millis(500), create_all).await;
    let end = from + PERIOD * RUNS;
    until(end).await;

    for _ in 0..2 {
        let hub = open(directory.path()).await;
        let client = hub.client();
        for (id, _, runs) in policies {
            let info = until_it(&client, id, |info| info.next_run.is_none()).await;
            assert_eq!(info.runs, u64::from(runs), "{id}");
            assert_eq!(info.last_run, Some(end - PERIOD), "{id}");
            let expected: Vec<_> = (RUNS - runs..RUNS).map(|n| from + PERIOD * n).collect();
            assert_eq!(due_times(&client, id).await, expected, "{id}");
        }
        hub.shutdown().await.unwrap();
    }
}

/// A schedule whose hub is closed and reopened keeps its grid: no time of the grid is missing or repeated.
#[tokio::test]
async fn a_schedule_keeps_its_grid_over_restarts() {
    let create = async |from| {
        let directory = tempfile::tempdir().unwrap();
        let hub = open(directory.path()).await;
        let create = hub.client().schedules();
        let create = create.create::<report>("grid", Recurrence::Every(PERIOD), "grid".into());
        let create = create.from(from).until(from + PERIOD * 2 * RUNS);
        let create = create.catch_up(CatchUpPolicy::RunAll { at_most: 1_000 });
        create.await.unwrap();
        (directory, hub)
    };
    let (from, (directory, mut hub)) = before(Duration::from_millis(300), create).await;
    for round in 1..=3 {
        until_it(&hub.client(), "grid", |info| {
            info.runs >= 3 * round || info.next_run.is_none()
        })
        .await;
        hub.shutdown().await.unwrap();
        hub = open(directory.path()).await;
    }
    let client = hub.client();
    until_it(&client, "grid", |info| info.next_run.is_none()).await;
    let expected: Vec<_> = (0..2 * RUNS).map(|n| from + PERIOD * n).collect();
    assert_eq!(due_times(&client, "grid").await, expected);
    hub.shutdown().await.unwrap();
}

/// A paused schedule stays paused over a restart. When it is resumed, it continues with the next time of its grid and
/// does not catch up on the runs of the pause, whatever its policy.
#[tokio::test]
async fn a_pause_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let hub = open(directory.path()).await;
    let client = hub.client();
    let create = client.schedules();
    let create = create.create::<report>("rests", Recurrence::Every(PERIOD), "rests".into());
    let create = create.catch_up(CatchUpPolicy::RunAll { at_most: 1_000 });
    create.await.unwrap();
    until_it(&client, "rests", |info| info.runs >= 2).await;
    client.schedules().pause("rests").await.unwrap();
    let paused_by = SystemTime::now();
    let paused = schedule(&client, "rests").await;
    assert!(paused.paused && paused.next_run.is_none());
    hub.shutdown().await.unwrap();

    // Some runs would be due while the hub is closed, and some after it is reopened.
    until(SystemTime::now() + 3 * PERIOD).await;
    let hub = open(directory.path()).await;
    let client = hub.client();
    until(SystemTime::now() + 3 * PERIOD).await;
    let rested = schedule(&client, "rests").await;
    assert_eq!((rested.paused, rested.runs, rested.next_run), (true, paused.runs, None));
    assert_eq!(due_times(&client, "rests").await.len() as u64, paused.runs);

    let resumed_at = SystemTime::now();
    client.schedules().resume("rests").await.unwrap();
    let resumed_by = SystemTime::now();
    let resumed = until_it(&client, "rests", |info| info.last_run > Some(resumed_by)).await;
    client.schedules().pause("rests").await.unwrap();
    let times = due_times(&client, "rests").await;
    // The clock of the hub is less than a millisecond behind. Runs that were due before the pause may start after it,
    // if they exceed the number of runs that start at once.
    let resumed_at = resumed_at - Duration::from_millis(1);
    assert!(!times.iter().any(|time| (paused_by..resumed_at).contains(time)));
    let first = times.iter().find(|time| **time >= paused_by).unwrap();
    assert!(*first <= resumed_by + PERIOD);
    for time in times {
        let since = time.duration_since(resumed.created).unwrap().as_millis();
        assert_eq!(since % PERIOD.as_millis(), 0, "a run off the grid");
    }
    hub.shutdown().await.unwrap();
}

/// A program that ensures a schedule at every start creates it once. Another plan replaces the plan, and a paused
/// schedule stays paused.
#[tokio::test]
async fn a_program_ensures_its_schedule_at_every_start() {
    let directory = tempfile::tempdir().unwrap();
    let ensure = |client: &Client, hour: &str, of: &str| {
        let pattern = Recurrence::cron(format!("0 {hour} * * *"));
        client.schedules().ensure::<report>("daily", pattern, of.to_owned())
    };
    let hub = open(directory.path()).await;
    ensure(&hub.client(), "3", "a").await.unwrap();
    let created = schedule(&hub.client(), "daily").await;
    assert_eq!(created.recurrence, Recurrence::cron("0 3 * * *"));
    hub.shutdown().await.unwrap();

    let hub = open(directory.path()).await;
    let client = hub.client();
    ensure(&client, "3", "a").await.unwrap();
    let unchanged = schedule(&client, "daily").await;
    assert_eq!(
        (unchanged.created, &unchanged.input, unchanged.paused),
        (created.created, &created.input, false)
    );
    client.schedules().pause("daily").await.unwrap();
    for plan in [("3", "a"), ("4", "b"), ("4", "b")] {
        // `paused` has no effect on a schedule that exists, and neither has its absence.
        ensure(&client, plan.0, plan.1).await.unwrap();
        ensure(&client, plan.0, plan.1).paused().await.unwrap();
        let changed = schedule(&client, "daily").await;
        assert_eq!(changed.recurrence, Recurrence::cron(format!("0 {} * * *", plan.0)));
        assert_eq!(changed.input, format!("{:?}", plan.1));
        assert_eq!((changed.created, changed.paused), (created.created, true));
    }
    client.schedules().resume("daily").await.unwrap();
    ensure(&client, "5", "b").paused().await.unwrap();
    let resumed = schedule(&client, "daily").await;
    assert!(!resumed.paused && resumed.next_run.is_some());

    client.schedules().delete("daily").await.unwrap();
    ensure(&client, "5", "b").paused().await.unwrap();
    assert!(schedule(&client, "daily").await.paused);
    let refused = client
        .schedules()
        .ensure::<report>("daily", Recurrence::cron("every day"), "b".into());
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::InvalidArguments);
    hub.shutdown().await.unwrap();
}

/// A deleted or updated schedule does not run according to its old plan after a restart.
#[tokio::test]
async fn deletions_and_updates_outlive_a_restart() {
    let change = async |from| {
        let directory = tempfile::tempdir().unwrap();
        let hub = open(directory.path()).await;
        let schedules = hub.client().schedules();
        for id in ["gone", "later"] {
            let create = schedules.create::<report>(id, Recurrence::Every(PERIOD), id.to_owned());
            create.from(from).until(from + PERIOD).await.unwrap();
        }
        schedules.delete("gone").await.unwrap();
        let later = from + 4 * PERIOD;
        let update = schedules.update::<report>("later", Recurrence::Every(PERIOD), "later".into());
        update.from(later).until(later + PERIOD).await.unwrap();
        hub.shutdown().await.unwrap();
        directory
    };
    let (from, directory) = before(Duration::from_millis(500), change).await;
    let later = from + 4 * PERIOD;

    let hub = open(directory.path()).await;
    let client = hub.client();
    until_it(&client, "later", |info| info.next_run.is_none()).await;
    assert_eq!(due_times(&client, "later").await, [later]);
    assert!(client.schedules().get("gone").await.unwrap().is_none());
    assert_eq!(runs_of(&client, "gone").count().await.unwrap(), 0);
    hub.shutdown().await.unwrap();
}

/// A schedule whose orchestration is no longer registered still starts its run. The run is stopped, and completes in a
/// build that registers it.
#[tokio::test]
async fn a_run_of_an_unregistered_orchestration_waits_for_it() {
    let create = async |from| {
        let directory = tempfile::tempdir().unwrap();
        let hub = open(directory.path()).await;
        let create = hub.client().schedules();
        let create = create.create::<report>("orphan", Recurrence::Every(PERIOD), "orphan".into());
        create.from(from).until(from + PERIOD).await.unwrap();
        hub.shutdown().await.unwrap();
        directory
    };
    let (from, directory) = before(Duration::from_millis(500), create).await;

    let without = Hub::builder(directory.path()).open().await.unwrap();
    let client = without.client();
    let info = until_it(&client, "orphan", |info| info.runs == 1).await;
    let run = client.untyped_orchestration(info.last_instance.unwrap());
    eventually(async || run.status().await.unwrap()).await;
    until_it_stops(&run).await;
    without.shutdown().await.unwrap();

    let hub = open(directory.path()).await;
    assert_eq!(due_times(&hub.client(), "orphan").await, [from]);
    hub.shutdown().await.unwrap();
}

/// Each run starts exactly once, even if its schedule is repeatedly updated and resumed in the millisecond of the run.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_at_the_time_of_a_run_neither_repeats_nor_loses_it() {
    let step = Duration::from_millis(5);
    let all = ["updated", "resumed", "both"];
    let plan = move |create: CreateSchedule, from: SystemTime| {
        let create = create.from(from).until(from + step * 40);
        create.catch_up(CatchUpPolicy::RunAll { at_most: 1_000 })
    };
    let (from, hub) = before(Duration::from_millis(100), async |from| {
        let hub = Hub::in_memory().orchestration::<report>().open().await.unwrap();
        for id in all {
            let create = hub.client().schedules();
            let create = create.create::<report>(id, Recurrence::Every(step), id.to_owned());
            plan(create, from).await.unwrap();
        }
        hub
    })
    .await;
    let client = hub.client();
    let mut tasks = Vec::new();
    for id in all {
        let schedules = client.schedules();
        tasks.push(tokio::spawn(async move {
            while SystemTime::now() < from + step * 40 {
                if id != "resumed" {
                    let update = schedules.update::<report>(id, Recurrence::Every(step), id.to_owned());
                    plan(update, from).await.unwrap();
                }
                if id != "updated" {
                    schedules.resume(id).await.unwrap();
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let expected: Vec<_> = (0..40).map(|n| from + step * n).collect();
    for id in all {
        let info = until_it(&client, id, |info| info.next_run.is_none()).await;
        assert_eq!(info.runs, 40, "{id}");
        assert_eq!(due_times(&client, id).await, expected, "{id}");
    }
    hub.shutdown().await.unwrap();
}

/// The entity of a schedule validates untyped calls like the client does: unbounded policies, invalid patterns, and IDs
/// that leave no room for the IDs of runs.
#[tokio::test]
async fn a_schedule_validates_its_input() {
    let hub = Hub::in_memory().orchestration::<report>().open().await.unwrap();
    let client = hub.client();
    let plan = |catch_up: serde_json::Value, recurrence: serde_json::Value| {
        serde_json::json!({
            "orchestration": "report", "version": null, "input": "\"x\"", "tags": [],
            "recurrence": recurrence, "from": null, "until": null, "catch_up": catch_up
        })
    };
    let period = || serde_json::json!({"Every": {"secs": 3_600, "nanos": 0}});
    let create = async |id: &str, plan: serde_json::Value| {
        let entity = client.untyped_entity(&EntityId::new("abide-schedule", id).unwrap());
        let input = serde_json::json!({"plan": plan, "paused": false}).to_string();
        entity.call("create", input).await
    };
    let long = "x".repeat(488);
    for (id, plan, reason) in [
        (
            "a",
            plan(serde_json::json!({"RunAll": {"at_most": 4_000_000_000_u32}}), period()),
            "but is 4000000000",
        ),
        (
            "a",
            plan(serde_json::json!("Skip"), serde_json::json!({"Cron": "every day"})),
            "the cron pattern `every day`",
        ),
        (
            "a",
            plan(
                serde_json::json!("Skip"),
                serde_json::json!({"Every": {"secs": 0, "nanos": 5}}),
            ),
            "every 0 ms",
        ),
        (
            &long,
            plan(serde_json::json!("Skip"), period()),
            "has 488 bytes, but the limit is 487",
        ),
    ] {
        let error = create(id, plan).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert!(client.schedules().list().await.unwrap().is_empty());
    let error = client.schedules().get(&long).await.unwrap_err();
    assert!(error.to_string().contains("the limit is 487"), "{error}");

    create(&long[..487], plan(serde_json::json!("Skip"), period()))
        .await
        .unwrap();
    let schedules = client.schedules();
    assert_eq!(schedules.list().await.unwrap().len(), 1);
    let first = schedules.list().page_size(1).page().await.unwrap();
    assert_eq!((first.items.len(), first.next), (1, None));
    create("a", plan(serde_json::json!("Skip"), period())).await.unwrap();
    let first = schedules.list().page_size(1).page().await.unwrap();
    assert_eq!(first.items[0].id, "a");
    let second = schedules.list().cursor(first.next).page_size(1).page().await.unwrap();
    assert_eq!((second.items[0].id.as_str(), second.next), (&long[..487], None));
    hub.shutdown().await.unwrap();
}

/// A run whose ID is in use, even by an orchestration that has ended, is not started. The existing instance stays
/// unchanged.
#[tokio::test]
async fn a_run_whose_id_has_ended_is_not_started_anew() {
    let (_, (hub, first)) = before(Duration::from_millis(300), async |from| {
        let hub = Hub::in_memory().orchestration::<report>().open().await.unwrap();
        let client = hub.client();
        let id = format!("taken-{}", jiff::Timestamp::try_from(from).unwrap());
        let first = client
            .start::<report>("first".to_owned())
            .instance_id(&id)
            .await
            .unwrap();
        first.result().await.unwrap();
        let create = client.schedules();
        let create = create.create::<report>("taken", Recurrence::Every(PERIOD), "second".into());
        let create = create.from(from).until(from + 2 * PERIOD);
        create.catch_up(CatchUpPolicy::RunAll { at_most: 2 }).await.unwrap();
        (hub, first)
    })
    .await;
    let client = hub.client();
    let before = first.status().await.unwrap().unwrap();
    let info = until_it(&client, "taken", |info| info.next_run.is_none()).await;
    let last = client.orchestration::<report>(info.last_instance.unwrap());
    assert_eq!(last.result().await.unwrap().0, "second");
    let after = first.status().await.unwrap().unwrap();
    assert_eq!(after.execution_id, before.execution_id);
    assert_eq!(first.result().await.unwrap().0, "first");
    hub.shutdown().await.unwrap();
}

/// Returns the length of its input.
#[orchestration]
async fn measure(_ctx: OrchestrationContext, text: String) -> usize {
    text.len()
}

/// A stored schedule still starts its runs, and can be paused and resumed, after the limits were lowered.
#[tokio::test]
async fn a_schedule_outlives_lower_limits() {
    let (_, directory) = before(Duration::from_millis(300), async |from| {
        let directory = tempfile::tempdir().unwrap();
        let hub = Hub::builder(directory.path())
            .orchestration::<measure>()
            .open()
            .await
            .unwrap();
        let schedules = hub.client().schedules();
        for id in ["runs", "paused"] {
            let create = schedules.create::<measure>(id, Recurrence::Every(PERIOD), "x".repeat(50_000));
            let create = create.from(from).until(from + PERIOD * RUNS);
            create.catch_up(CatchUpPolicy::RunAll { at_most: RUNS }).await.unwrap();
        }
        hub.shutdown().await.unwrap();
        directory
    })
    .await;
    let builder = Hub::builder(directory.path()).orchestration::<measure>();
    let builder = builder.payload_limit(1_000).state_limit(1_000).action_limit(1);
    let hub = builder.open().await.unwrap();
    let client = hub.client();
    client.schedules().pause("paused").await.unwrap();
    client.schedules().resume("paused").await.unwrap();
    for id in ["runs", "paused"] {
        let info = until_it(&client, id, |info| info.next_run.is_none()).await;
        // Runs that are due between the pause and the resume are skipped. On a busy machine, many may be due there.
        let fewest = if id == "paused" { 1 } else { RUNS };
        assert!(
            (u64::from(fewest)..=u64::from(RUNS)).contains(&info.runs),
            "{id}: {info:?}"
        );
        let last = client.orchestration::<measure>(info.last_instance.unwrap());
        assert_eq!(last.result().await.unwrap(), 50_000);
    }
    hub.shutdown().await.unwrap();
}
