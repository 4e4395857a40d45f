//! Managing orchestrations from a client: start, query, wait, suspend, terminate, list and purge.
//!
//! See:
//!
//! * docs/src/guarantees.md, "Starting, ids and executions"
//! * docs/src/guarantees.md, "Retention, lists and schedules"

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use abide::prelude::*;
use abide::{
    ErrorKind, OrchestrationContext, OrchestrationStatus,
    client::{OrchestrationInfo, Page},
    history::{HistoryEventKind, HistoryStep},
    hub::Retention,
    orchestration,
    orchestration::ReusePolicy,
    schedule::{CatchUpPolicy, Recurrence},
};
use serde_json::json;

use crate::fixtures::eventually;

/// Waits for the event `go`, and returns its input followed by the payload of the event.
#[orchestration]
async fn waits(ctx: OrchestrationContext, prefix: String) -> Result<String, Failure> {
    ctx.set_custom_status("waiting");
    let event = ctx.wait_for_external_event::<String>("go").await?;
    Ok(prefix + &event)
}

#[orchestration(version = "2")]
async fn adds(_ctx: OrchestrationContext, n: u32) -> u32 {
    n + 1
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("refused {n}")]
struct Refused {
    n: u32,
}

#[orchestration]
async fn refuses(_ctx: OrchestrationContext, n: u32) -> Result<(), Refused> {
    Err(Refused { n })
}

#[orchestration]
async fn parent(ctx: OrchestrationContext, child: String) -> Result<String, Failure> {
    Ok(ctx
        .call_sub_orchestration::<waits>(String::new())
        .instance_id(child)
        .await?)
}

/// Locks two entities until it receives the event `go`.
#[orchestration]
async fn locks(ctx: OrchestrationContext) -> Result<(), Failure> {
    let (a, b) = (ctx.entity::<Launcher>("a"), ctx.entity::<Launcher>("b"));
    let lock = ctx.lock_entities((&a, &b)).await?;
    ctx.wait_for_external_event::<String>("go").await?;
    drop(lock);
    Ok(())
}

/// Starts orchestrations from inside operations.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Launcher {
    launched: Vec<String>,
}

#[operations]
impl Launcher {
    pub fn launch(&mut self, ctx: &mut EntityContext, n: u32) -> Vec<String> {
        self.launched = vec![
            ctx.start_orchestration::<adds>(n).id(),
            ctx.start_orchestration::<adds>(n).tag("by", "launcher").id(),
            ctx.start_orchestration::<adds>(n)
                .instance_id(format!("launched-{n}"))
                .id(),
        ];
        self.launched.clone()
    }

    pub fn launch_and_fail(&mut self, ctx: &mut EntityContext, id: &str) -> Result<(), Refused> {
        ctx.start_orchestration::<adds>(1).instance_id(id);
        Err(Refused { n: 1 })
    }
}

fn builder() -> abide::HubBuilder {
    Hub::in_memory()
        .partitions(8)
        .executors(2)
        .entity::<Launcher>()
        .orchestration::<waits>()
        .orchestration::<adds>()
        .orchestration::<refuses>()
        .orchestration::<parent>()
        .orchestration::<locks>()
}

async fn open() -> (Hub, Client) {
    let hub = builder().open().await.unwrap();
    let client = hub.client();
    (hub, client)
}

fn kind<T: std::fmt::Debug>(result: abide::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// A handle returns the typed output or the typed error of its orchestration, and an untyped handle returns JSON.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_comes_with_its_type() {
    let (hub, client) = open().await;
    let run = client.start::<waits>("a".into()).instance_id("r").await.unwrap();
    let (typed, untyped) = (run.clone(), client.untyped_orchestration("r"));
    let typed = tokio::spawn(async move { typed.result().await });
    let untyped = tokio::spawn(async move { untyped.result().await });
    run.raise_event("GO", "b").await.unwrap();
    assert_eq!(typed.await.unwrap().unwrap(), "ab");
    assert_eq!(untyped.await.unwrap().unwrap(), json!("ab"));
    assert_eq!(client.orchestration::<waits>("r").result().await.unwrap(), "ab");

    let failed = client.start::<refuses>(7).await.unwrap();
    match failed.result().await.unwrap_err() {
        CallError::Returned(Refused { n }) => assert_eq!(n, 7),
        other => panic!("{other}"),
    }
    match client.untyped_orchestration(failed.id()).result().await.unwrap_err() {
        CallError::Returned(failure) => assert_eq!(failure.error_type, "Refused"),
        other => panic!("{other}"),
    }
    hub.shutdown().await.unwrap();
}

/// A start with an ID in use fails, does nothing or replaces the instance, depending on its reuse policy. An instance
/// that has ended is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_use_follows_the_reuse_policy() {
    let (hub, client) = open().await;
    let start = || client.start::<waits>("a".into()).instance_id("one");
    let first = start().await.unwrap();
    let execution = async || first.status().await.unwrap().unwrap().execution_id;
    let began = execution().await;
    assert_eq!(kind(start().await), ErrorKind::AlreadyExists);
    start().reuse(ReusePolicy::Ignore).await.unwrap();
    assert_eq!(execution().await, began);
    start().reuse(ReusePolicy::Terminate).await.unwrap();
    assert_ne!(execution().await, began);
    first.raise_event("go", "!").await.unwrap();
    assert_eq!(first.result().await.unwrap(), "a!");
    start().await.unwrap();
    assert_eq!(
        first.status().await.unwrap().unwrap().status,
        OrchestrationStatus::Running
    );
    hub.shutdown().await.unwrap();
}

/// Of 100 concurrent starts with the same ID one succeeds, and 99 fail with `AlreadyExists`.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_starts_of_one_id_make_one_instance() {
    let (hub, client) = open().await;
    let starts: Vec<_> = (0..100)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.start::<waits>(n.to_string()).instance_id("only").await })
        })
        .collect();
    let mut started = 0;
    for start in starts {
        match start.await.unwrap() {
            Ok(_) => started += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
        }
    }
    assert_eq!(started, 1);
    assert_eq!(client.orchestrations().count().await.unwrap(), 1);
    hub.shutdown().await.unwrap();
}

/// A start with an unregistered name or version, an invalid input, an invalid ID or a large payload fails with an error
/// that names the problem. Nothing is stored.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_starts_are_refused_before_they_are_stored() {
    let (hub, client) = open().await;
    let by_name = |name: &str, input| client.start_by_name(name, input).instance_id("x");
    for (start, expected, text) in [
        (by_name("missing", json!(1)), ErrorKind::Unregistered, "`missing`"),
        (
            by_name("adds", json!(1)).version("1"),
            ErrorKind::Unregistered,
            "registered versions: `2`",
        ),
        (by_name("adds", json!("one")), ErrorKind::InvalidArguments, "column"),
        (by_name("adds", json!(1)).instance_id("@x"), ErrorKind::InvalidId, "@x"),
        (by_name("adds", json!(1)).tag("", "x"), ErrorKind::InvalidId, "tag"),
        (
            by_name("waits", json!("x".repeat(3 << 20))),
            ErrorKind::TooLarge,
            "payload_limit",
        ),
        (
            client.start_by_name_with_json("adds", "{"),
            ErrorKind::InvalidArguments,
            "is not valid JSON",
        ),
    ] {
        let error = start.await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(client.orchestrations().count().await.unwrap(), 0);
    assert!(client.untyped_orchestration("x").status().await.unwrap().is_none());
    let run = client.start_by_name("adds", json!(1)).await.unwrap();
    assert_eq!(run.result().await.unwrap(), json!(2));
    hub.shutdown().await.unwrap();
}

/// The status contains type, version, tags, input and custom status, and at the end the output or the failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_describes_the_whole_orchestration() {
    let (hub, client) = open().await;
    let before = SystemTime::now() - Duration::from_secs(1);
    let run = client
        .start::<waits>("in".into())
        .tag("team", "blue")
        .tag("team", "red")
        .await
        .unwrap();
    let info = run.status().await.unwrap().unwrap();
    assert_eq!(
        (info.name.as_str(), info.version.as_str(), info.id.as_str()),
        ("waits", "", run.id())
    );
    assert_eq!(info.status, OrchestrationStatus::Running);
    assert_eq!(info.tags, [("team".to_owned(), "red".to_owned())]);
    assert_eq!(info.input.as_deref(), Some("\"in\""));
    assert_eq!(info.custom_status.as_deref(), Some("\"waiting\""));
    assert!(info.created > before && info.last_change >= info.created);
    assert!(info.history_events > 0 && info.history_bytes > 0 && info.stopped.is_none());
    assert_eq!((info.output, info.failure, info.reason), (None, None, None));
    run.raise_event("go", "!").await.unwrap();
    run.result().await.unwrap();
    let info = run.status().without_input().await.unwrap().unwrap();
    assert_eq!((info.output.as_deref(), info.input), (Some("\"in!\""), None));
    let failed = client.start::<refuses>(3).await.unwrap();
    let _ = failed.result().await;
    let info = failed.status().await.unwrap().unwrap();
    assert_eq!(info.status, OrchestrationStatus::Failed);
    assert_eq!(info.failure.unwrap().message, "refused 3");
    assert!(
        client
            .untyped_orchestration("missing")
            .status()
            .await
            .unwrap()
            .is_none()
    );
    hub.shutdown().await.unwrap();
}

/// Input, output and custom status decode into types. An error names the orchestration and the type.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_decodes_into_types() {
    let (hub, client) = open().await;
    let run = client.start::<waits>("in".into()).instance_id("typed").await.unwrap();
    let info = run.status().await.unwrap().unwrap();
    assert_eq!(info.input_as::<String>().unwrap().as_deref(), Some("in"));
    assert_eq!(info.custom_status_as::<String>().unwrap().as_deref(), Some("waiting"));
    assert_eq!(info.output_as::<String>().unwrap(), None);
    for (error, what) in [
        (info.input_as::<u32>().unwrap_err(), "input"),
        (info.custom_status_as::<u32>().unwrap_err(), "custom status"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Serialization);
        let text = format!("the {what} of `typed` does not decode into `u32`: invalid type");
        assert!(error.to_string().starts_with(&text), "{error}");
    }
    run.raise_event("go", "!").await.unwrap();
    run.result().await.unwrap();
    let info = run.status().without_input().await.unwrap().unwrap();
    assert_eq!(info.output_as::<String>().unwrap().as_deref(), Some("in!"));
    assert_eq!(kind(info.output_as::<u32>()), ErrorKind::Serialization);
    assert_eq!(info.input_as::<String>().unwrap(), None);
    hub.shutdown().await.unwrap();
}

/// An orchestration with a start time is `Pending` until then and starts automatically. If it is terminated earlier, it
/// never starts.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_time_is_waited_for() {
    let (hub, client) = open().await;
    let later = client.start::<adds>(1).after(Duration::from_millis(80)).await.unwrap();
    let info = later.status().await.unwrap().unwrap();
    if info.status == OrchestrationStatus::Pending {
        assert_eq!(info.input.as_deref(), Some("1"));
        assert!(later.history().await.unwrap().is_empty());
    }
    assert_eq!(later.result().await.unwrap(), 2);
    let never = client
        .start::<adds>(1)
        .at(SystemTime::now() + Duration::from_secs(3_600))
        .await
        .unwrap();
    assert_eq!(
        never.status().await.unwrap().unwrap().status,
        OrchestrationStatus::Pending
    );
    never.terminate("not wanted").await.unwrap();
    let info = never.status().await.unwrap().unwrap();
    assert_eq!(info.status, OrchestrationStatus::Terminated);
    assert_eq!(info.reason.as_deref(), Some("not wanted"));
    hub.shutdown().await.unwrap();
}

/// An event for an unknown or ended instance is rejected. An event for an unknown instance may wait for its start.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_an_instance_or_waits_for_its_start() {
    let (hub, client) = open().await;
    let early = client.untyped_orchestration("early");
    assert_eq!(kind(early.raise_event("go", "x").await), ErrorKind::NotFound);
    let wait = Duration::from_secs(600);
    early.raise_event("go", "!").before_start(wait).await.unwrap();
    let run = client.start::<waits>("a".into()).instance_id("early").await.unwrap();
    assert_eq!(run.result().await.unwrap(), "a!");
    assert_eq!(kind(run.raise_event("go", "x").await), ErrorKind::Ended);
    let again = run.raise_event("go", "x").before_start(wait).await;
    assert_eq!(kind(again), ErrorKind::Ended);
    hub.shutdown().await.unwrap();
}

/// Terminating an orchestration terminates its children unless `without_children` is set, and fails its waiters.
#[tokio::test(flavor = "multi_thread")]
async fn terminating_ends_the_children_unless_they_are_left() {
    let (hub, client) = open().await;
    for (child, left) in [("c-1", false), ("c-2", true)] {
        let run = client.start::<parent>(child.into()).await.unwrap();
        let child = client.untyped_orchestration(child);
        eventually(async || child.status().await.unwrap()).await;
        let waiting = run.clone();
        let waiting = tokio::spawn(async move { waiting.result().await });
        let terminate = run.terminate("enough");
        if left {
            terminate.without_children().await.unwrap();
        } else {
            terminate.await.unwrap();
        }
        match waiting.await.unwrap().unwrap_err() {
            CallError::Runtime(error) => {
                assert_eq!(error.kind(), ErrorKind::Terminated);
                assert!(error.to_string().contains("enough"), "{error}");
            }
            other => panic!("{other}"),
        }
        assert_eq!(kind(run.terminate("again").await), ErrorKind::Ended);
        if left {
            let info = child.status().await.unwrap().unwrap();
            assert_eq!(info.status, OrchestrationStatus::Running);
        } else {
            let Err(CallError::Runtime(error)) = child.result().await else {
                panic!("the child was terminated with its parent");
            };
            assert_eq!(error.kind(), ErrorKind::Terminated);
        }
    }
    assert_eq!(
        kind(client.untyped_orchestration("missing").terminate("x").await),
        ErrorKind::NotFound
    );
    hub.shutdown().await.unwrap();
}

/// Events for a suspended orchestration wait until it is resumed. Its history records both.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_orchestration_rests_until_it_is_resumed() {
    let (hub, client) = open().await;
    let run = client.start::<waits>("a".into()).await.unwrap();
    run.suspend("lunch").await.unwrap();
    run.raise_event("go", "!").await.unwrap();
    assert_eq!(
        run.status().await.unwrap().unwrap().status,
        OrchestrationStatus::Suspended
    );
    let Err(CallError::Runtime(error)) = run.result_within(Duration::from_millis(20)).await else {
        panic!("the orchestration is suspended");
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    run.resume("back").await.unwrap();
    assert_eq!(run.result().await.unwrap(), "a!");
    let history = run.history().await.unwrap();
    let noted = |event: &HistoryEventKind| match event {
        HistoryEventKind::ExecutionSuspended { reason } | HistoryEventKind::ExecutionResumed { reason } => {
            Some(reason.clone())
        }
        _ => None,
    };
    let noted: Vec<_> = history.iter().filter_map(|event| noted(&event.kind)).collect();
    assert_eq!(noted, ["lunch", "back"]);
    assert_eq!(kind(run.suspend("x").await), ErrorKind::Ended);
    assert_eq!(kind(run.resume("x").await), ErrorKind::Ended);
    hub.shutdown().await.unwrap();
}

/// Rewinding an orchestration that has not failed is an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_without_a_failure_is_refused() {
    let (hub, client) = open().await;
    let run = client.start::<waits>("a".into()).await.unwrap();
    assert_eq!(kind(run.rewind("x").await), ErrorKind::WrongState);
    let done = client.start::<adds>(1).await.unwrap();
    done.result().await.unwrap();
    assert_eq!(kind(done.rewind("x").await), ErrorKind::WrongState);
    assert_eq!(
        kind(client.untyped_orchestration("missing").rewind("x").await),
        ErrorKind::NotFound
    );
    hub.shutdown().await.unwrap();
}

/// A restart runs the same input with the same ID, or with another ID and the same tags.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_takes_the_same_input() {
    let (hub, client) = open().await;
    let run = client.start::<waits>("a".into()).tag("k", "v").await.unwrap();
    assert_eq!(kind(run.restart().await), ErrorKind::WrongState);
    run.raise_event("go", "1").await.unwrap();
    assert_eq!(run.result().await.unwrap(), "a1");
    let began = run.status().await.unwrap().unwrap().execution_id;
    run.restart().await.unwrap();
    run.raise_event("go", "2").await.unwrap();
    assert_eq!(run.result().await.unwrap(), "a2");
    assert_ne!(run.status().await.unwrap().unwrap().execution_id, began);
    let other = run.restart_as("other").await.unwrap();
    assert_eq!(
        other.status().await.unwrap().unwrap().tags,
        [("k".to_owned(), "v".to_owned())]
    );
    other.raise_event("go", "3").await.unwrap();
    assert_eq!(other.result().await.unwrap(), "a3");
    let drawn = run.restart_as_new().await.unwrap();
    drawn.raise_event("go", "4").await.unwrap();
    assert_eq!(drawn.result().await.unwrap(), "a4");
    assert_eq!(
        kind(client.untyped_orchestration("missing").restart_as("x").await),
        ErrorKind::NotFound
    );
    hub.shutdown().await.unwrap();
}

/// A purge removes an orchestration that has ended, optionally with its children. It fails for a running one.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_removes_an_ended_orchestration() {
    let (hub, client) = open().await;
    let run = client.start::<parent>("kid".into()).await.unwrap();
    let child = client.untyped_orchestration("kid");
    eventually(async || child.status().await.unwrap()).await;
    assert_eq!(kind(run.purge().await), ErrorKind::WrongState);
    child.raise_event("go", "!").await.unwrap();
    run.result().await.unwrap();
    run.purge().with_children().await.unwrap();
    assert!(run.status().await.unwrap().is_none());
    eventually(async || child.status().await.unwrap().is_none().then_some(())).await;
    assert_eq!(kind(run.purge().await), ErrorKind::NotFound);
    assert_eq!(kind(run.history().await), ErrorKind::NotFound);
    hub.shutdown().await.unwrap();
}

/// A start without an ID that is retried with its request ID returns the same orchestration. Another input with that
/// request ID is an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_its_request_id_starts_once() {
    let (hub, client) = open().await;
    let start = |input: &str| {
        client
            .start::<waits>(input.into())
            .after(Duration::from_millis(5))
            .request_id("q/1")
    };
    let first = start("a").await.unwrap();
    tokio::time::sleep(Duration::from_millis(3)).await;
    assert_eq!(start("a").await.unwrap().id(), first.id());
    assert_eq!(kind(start("b").await), ErrorKind::RequestIdReused);
    assert_eq!(client.orchestrations().count().await.unwrap(), 1);
    let raise = || first.raise_event("go", "!").request_id("e");
    raise().await.unwrap();
    assert_eq!(first.result().await.unwrap(), "a!");
    raise().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// Waiting for an unknown ID fails at once. Giving up a wait does not affect the orchestration or later waits.
#[tokio::test(flavor = "multi_thread")]
async fn giving_up_on_a_result_does_no_harm() {
    let (hub, client) = open().await;
    let Err(CallError::Runtime(error)) = client.untyped_orchestration("missing").result().await else {
        panic!("the instance does not exist");
    };
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let run = client.start::<waits>("a".into()).await.unwrap();
    for _ in 0..50 {
        let Err(CallError::Runtime(error)) = run.result_within(Duration::from_millis(1)).await else {
            panic!("no event was raised");
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    run.raise_event("go", "!").await.unwrap();
    assert_eq!(run.result_within(Duration::from_secs(60)).await.unwrap(), "a!");
    let never = client.start::<waits>("b".into()).await.unwrap();
    let waiting = tokio::spawn(async move { never.result().await });
    hub.shutdown().await.unwrap();
    let Err(CallError::Runtime(error)) = waiting.await.unwrap() else {
        panic!("the hub was closed");
    };
    assert_eq!(error.kind(), ErrorKind::Closed);
}

/// The history contains each event with its time, and a completion names its step.
#[tokio::test(flavor = "multi_thread")]
async fn history_events_name_their_steps() {
    let (hub, client) = open().await;
    let run = client.start::<parent>("kid".into()).await.unwrap();
    let child = client.untyped_orchestration("kid");
    eventually(async || child.status().await.unwrap()).await;
    child.raise_event("go", "!").await.unwrap();
    run.result().await.unwrap();
    let history = run.history().await.unwrap();
    assert!(history.is_sorted_by_key(|event| (event.turn, event.time)));
    let HistoryEventKind::ExecutionStarted { name, input, .. } = &history[0].kind else {
        panic!("{:?}", history[0]);
    };
    assert_eq!((name.as_str(), input.as_str()), ("parent", "\"kid\""));
    let completed = history.iter().find_map(|event| match &event.kind {
        HistoryEventKind::StepCompleted { step, result, .. } => Some((step.clone().unwrap(), result.clone())),
        _ => None,
    });
    let (step, result) = completed.unwrap();
    let (name, instance) = ("waits".to_owned(), "kid".to_owned());
    assert_eq!(step, HistoryStep::SubOrchestration { name, instance });
    assert_eq!(result, "\"!\"");
    let last = serde_json::to_value(history.last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["output"]),
        (&json!("ExecutionCompleted"), &json!("!"))
    );
    assert_eq!(client.untyped_orchestration("kid").history().await.unwrap().len(), 4);
    hub.shutdown().await.unwrap();
}

/// Filters work alone and combined. Pages have no gaps and no duplicates, even if instances change meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged() {
    let (hub, client) = open().await;
    for n in 0..30_u32 {
        let id = format!("run-{n:02}");
        if n % 3 == 0 {
            client
                .start::<waits>(n.to_string())
                .instance_id(id)
                .tag("third", "yes")
                .await
                .unwrap();
        } else {
            let run = client.start::<adds>(n).instance_id(id).await.unwrap();
            run.result().await.unwrap();
        }
    }
    let middle = client
        .untyped_orchestration("run-15")
        .status()
        .await
        .unwrap()
        .unwrap()
        .created;
    let all = || client.orchestrations();
    let running = OrchestrationStatus::Running;
    let completed = OrchestrationStatus::Completed;
    for (query, count) in [
        (all(), 30),
        (all().name("waits"), 10),
        (all().name("waits").name("adds"), 30),
        (all().name("missing"), 0),
        (all().status(running), 10),
        (all().status(running).status(completed), 30),
        (all().status(OrchestrationStatus::Failed), 0),
        (all().prefix("run-1"), 10),
        (all().prefix("run-1").status(running), 3),
        (all().tag("third", "yes"), 10),
        (all().tag("third", "no"), 0),
        (all().tag("third", "yes").status(completed), 0),
        (all().created_from(middle).created_to(middle), 0),
        (all().created_from(SystemTime::UNIX_EPOCH), 30),
        (all().changed_to(SystemTime::UNIX_EPOCH), 0),
    ] {
        assert_eq!(query.clone().count().await.unwrap(), count, "{query:?}");
        let mut ids = Vec::new();
        let mut page = Page::<OrchestrationInfo>::default();
        loop {
            let query = query.clone().page_size(7);
            let query = match page.next {
                Some(next) => query.cursor(next),
                None => query,
            };
            page = query.page().await.unwrap();
            assert!(page.items.len() <= 7);
            ids.extend(page.items.iter().map(|info| info.id.clone()));
            if page.next.is_none() {
                break;
            }
        }
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len() as u64, unique.len() as u64), (count, count), "{query:?}");
    }
    let before = all().created_to(middle).count().await.unwrap();
    let after = all().created_from(middle).count().await.unwrap();
    assert_eq!(before + after, 30);

    // Between two pages, a listed and an unlisted instance change their status. The others are listed once.
    let first = all().status(running).page_size(4).page().await.unwrap();
    for id in ["run-00", "run-27"] {
        client.untyped_orchestration(id).terminate("x").await.unwrap();
    }
    let rest = all()
        .status(running)
        .page_size(100)
        .cursor(first.next.clone())
        .page()
        .await
        .unwrap();
    let shown: Vec<_> = first.items.iter().chain(&rest.items).collect();
    assert_eq!(shown.len(), 9);

    let shown = all()
        .prefix("run-01")
        .fetch_input()
        .fetch_output()
        .page()
        .await
        .unwrap();
    let info = &shown.items[0];
    assert_eq!((info.input.as_deref(), info.output.as_deref()), (Some("1"), Some("2")));
    let counts: Vec<_> = all().counts().await.unwrap();
    let counts: Vec<_> = counts
        .iter()
        .map(|count| (count.name.as_str(), count.status, count.count))
        .collect();
    assert_eq!(
        counts,
        [
            ("adds", completed, 20),
            ("waits", running, 8),
            ("waits", OrchestrationStatus::Terminated, 2)
        ]
    );
    assert_eq!(
        kind(all().cursor("nonsense".to_owned()).page().await),
        ErrorKind::InvalidId
    );
    hub.shutdown().await.unwrap();
}

/// A page ends at its byte limit, and the pages together contain all orchestrations.
#[tokio::test]
async fn pages_end_where_their_bytes_do() {
    let (hub, client) = open().await;
    for n in 0..600 {
        let start = client.start::<waits>("w".into()).instance_id(format!("page-{n:03}"));
        start.tag("large", "x".repeat(16_000)).await.unwrap();
    }
    for indexed in [false, true] {
        let (mut after, mut pages, mut seen) = (None, 0, Vec::new());
        loop {
            let mut query = client.orchestrations().prefix("page-").page_size(1_000);
            if indexed {
                query = query.created_to(SystemTime::now() + Duration::from_secs(60));
            }
            if let Some(after) = after.take() {
                query = query.cursor(after);
            }
            let page: Page<OrchestrationInfo> = query.page().await.unwrap();
            let bytes = |info: &OrchestrationInfo| info.tags.iter().map(|(_, value)| value.len()).sum::<usize>();
            let bytes: usize = page.items.iter().map(bytes).sum();
            assert!(bytes <= (4 << 20) + 16_384, "{bytes}");
            seen.extend(page.items.into_iter().map(|info| info.id));
            pages += 1;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        seen.sort();
        assert_eq!(seen, (0..600).map(|n| format!("page-{n:03}")).collect::<Vec<_>>());
        assert!(pages >= 3, "{pages} pages");
    }
    hub.shutdown().await.unwrap();
}

/// A purge by filter removes the matching orchestrations that have ended, page by page, and reports their number.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_by_filter_removes_ended_orchestrations() {
    let (hub, client) = open().await;
    for n in 0..20 {
        let run = client.start::<adds>(n).instance_id(format!("a-{n}")).await.unwrap();
        run.result().await.unwrap();
    }
    client.start::<waits>("x".into()).instance_id("a-live").await.unwrap();
    let query = || client.orchestrations();
    assert_eq!(query().prefix("a-1").purge().await.unwrap(), 11);
    assert_eq!(query().status(OrchestrationStatus::Running).purge().await.unwrap(), 0);
    let mut progress = Vec::new();
    let purged = query()
        .page_size(4)
        .purge_with(|purged| progress.push(purged))
        .await
        .unwrap();
    assert_eq!(purged, 9);
    assert_eq!(progress, [4, 8, 9]);
    assert_eq!(query().count().await.unwrap(), 1);
    hub.shutdown().await.unwrap();
}

/// Orchestrations that exceed the retention of their status are removed automatically, and the others stay.
#[tokio::test(flavor = "multi_thread")]
async fn old_orchestrations_go_by_themselves() {
    let hub = builder()
        .retention(Retention::completed(Duration::from_millis(1)))
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let done = client.start::<adds>(1).await.unwrap();
    let failed = client.start::<refuses>(1).await.unwrap();
    let _ = (done.result().await, failed.result().await);
    eventually(async || done.status().await.unwrap().is_none().then_some(())).await;
    assert!(failed.status().await.unwrap().is_some());
    hub.shutdown().await.unwrap();
}

/// An operation starts orchestrations with their own IDs if it succeeds, and none if it fails.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_starts_orchestrations_when_it_succeeds() {
    let (hub, client) = open().await;
    let launcher = client.entity::<Launcher>("l");
    let ids = launcher.launch(5).await.unwrap();
    assert_eq!(ids[2], "launched-5");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    for id in &ids {
        let run = client.orchestration::<adds>(id);
        eventually(async || run.status().await.unwrap()).await;
        assert_eq!(run.result().await.unwrap(), 6);
    }
    assert_eq!(client.orchestrations().tag("by", "launcher").count().await.unwrap(), 1);
    assert!(launcher.launch_and_fail("never").await.is_err());
    assert!(launcher.launch_and_fail("@never").await.is_err());
    assert_eq!(client.orchestrations().count().await.unwrap(), 3);
    hub.shutdown().await.unwrap();
}

/// The reason of a command has the payload limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_reason_has_the_limit_of_a_payload() {
    let (hub, client) = open().await;
    let run = client.start::<locks>(()).await.unwrap().untyped();
    let reason = || "x".repeat(3 << 20);
    for refused in [
        run.terminate(reason()).await,
        run.suspend(reason()).await,
        run.resume(reason()).await,
        run.rewind(reason()).await,
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("the reason given to `{}`", run.id())), "{text}");
        assert!(text.contains("3145728 bytes, but the limit is 2097152"), "{text}");
    }
    run.terminate("enough").await.unwrap();
    hub.shutdown().await.unwrap();
}

/// Locks are listed with their owners, and an operator can release one.
#[tokio::test(flavor = "multi_thread")]
async fn locks_are_listed_and_released() {
    let (hub, client) = open().await;
    let run = client.start::<locks>(()).await.unwrap();
    let held = eventually(async || Some(client.admin().locks().await.unwrap()).filter(|held| held.len() == 2)).await;
    for lock in &held {
        assert_eq!(lock.owner, run.id());
        assert_eq!(lock.sequence, held[0].sequence);
    }
    assert!(client.admin().release_lock(&held[0].entity).await.unwrap());
    assert!(!client.admin().release_lock(&held[0].entity).await.unwrap());
    assert_eq!(client.admin().locks().await.unwrap().len(), 1);
    run.raise_event("go", "!").await.unwrap();
    run.result().await.unwrap();
    eventually(async || client.admin().locks().await.unwrap().is_empty().then_some(())).await;
    hub.shutdown().await.unwrap();
}

/// A schedule starts its orchestration at each of its times, starts nothing while it is paused, and can be updated and
/// deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_starts_a_run_at_each_of_its_times() {
    let (hub, client) = open().await;
    let schedules = client.schedules();
    let every = Recurrence::Every(Duration::from_millis(20));
    let create = || {
        schedules
            .create::<adds>("tick", every.clone(), 1)
            .catch_up(CatchUpPolicy::RunAll { at_most: 1_000 })
            .tag("of", "tick")
    };
    create().await.unwrap();
    assert_eq!(kind(create().await), ErrorKind::AlreadyExists);
    let info = eventually(async || schedules.get("tick").await.unwrap().filter(|info| info.runs >= 3)).await;
    assert_eq!(
        (info.orchestration.as_str(), info.version.as_deref()),
        ("adds", Some("2"))
    );
    assert!(info.next_run > info.last_run);
    let last = client.untyped_orchestration(info.last_instance.unwrap());
    eventually(async || last.status().await.unwrap()).await;
    assert_eq!(last.result().await.unwrap(), json!(2));

    schedules.pause("tick").await.unwrap();
    let paused = schedules.get("tick").await.unwrap().unwrap();
    assert!(paused.paused && paused.next_run.is_none());
    let started = eventually(async || {
        let started = client.orchestrations().tag("of", "tick").count().await.unwrap();
        (started == paused.runs).then_some(started)
    });
    assert_eq!(started.await, paused.runs);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(schedules.get("tick").await.unwrap().unwrap().runs, paused.runs);

    schedules
        .update_by_name("tick", Recurrence::cron("0 3 * * *"), "adds", json!(2))
        .await
        .unwrap();
    schedules.resume("tick").await.unwrap();
    let info = &schedules.list().await.unwrap()[0];
    assert_eq!(
        (info.recurrence.clone(), info.runs, info.paused),
        (Recurrence::cron("0 3 * * *"), paused.runs, false)
    );
    schedules.delete("tick").await.unwrap();
    assert!(schedules.get("tick").await.unwrap().is_none());
    assert!(schedules.list().await.unwrap().is_empty());
    assert_eq!(kind(schedules.delete("tick").await), ErrorKind::NotFound);
    hub.shutdown().await.unwrap();
}

/// A schedule that could never run is rejected and not stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_cannot_work_is_refused() {
    let (hub, client) = open().await;
    let schedules = client.schedules();
    let hour = || Recurrence::Every(Duration::from_secs(3_600));
    for (create, expected) in [
        (
            schedules.create::<adds>("s", Recurrence::cron("99 * * * *"), 1),
            ErrorKind::InvalidArguments,
        ),
        (
            schedules.create::<adds>("s", Recurrence::Every(Duration::ZERO), 1),
            ErrorKind::InvalidArguments,
        ),
        (
            schedules
                .create::<adds>("s", hour(), 1)
                .catch_up(CatchUpPolicy::RunAll { at_most: 0 }),
            ErrorKind::InvalidArguments,
        ),
        (
            schedules.create_by_name("s", hour(), "adds", json!("x")),
            ErrorKind::InvalidArguments,
        ),
        (
            schedules.create_by_name("s", hour(), "missing", json!(1)),
            ErrorKind::Unregistered,
        ),
        (schedules.create::<adds>("a/b", hour(), 1), ErrorKind::InvalidId),
        (schedules.update::<adds>("s", hour(), 1), ErrorKind::NotFound),
    ] {
        assert_eq!(kind(create.await), expected);
    }
    assert!(schedules.list().await.unwrap().is_empty());
    hub.shutdown().await.unwrap();
}
