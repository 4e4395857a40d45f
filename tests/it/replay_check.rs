//! The replay check: before a build is deployed, it checks that the build can continue all live histories and can
//! decode all stored states, arguments and inputs.
//!
//! See docs/src/guarantees.md, "Versions".

use std::path::{Path, PathBuf};
use std::time::Duration;

use abide::prelude::*;
use abide::{
    ErrorKind, HubBuilder,
    admin::{Inspection, ReplayProblem, ReplayReport},
    client::StopKind,
    schedule::Recurrence,
};

use crate::fixtures::{contents, eventually, until_it_stops, until_it_waits};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The build that writes the hub.
mod good {
    use abide::prelude::*;

    use super::HOUR;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    #[entity(name = "shelf")]
    pub(super) struct Shelf {
        pub(super) books: u32,
    }

    #[operations]
    impl Shelf {
        pub fn put(&mut self, books: u32) -> u32 {
            self.books += books;
            self.books
        }
    }

    #[activity(name = "bind")]
    pub(super) async fn bind(title: String) -> String {
        title
    }

    #[activity(name = "print")]
    pub(super) async fn print(copies: u32) -> u32 {
        std::future::pending::<()>().await;
        copies
    }

    /// Waits for an event after a history of three turns.
    #[orchestration(name = "publish")]
    pub(super) async fn publish(ctx: OrchestrationContext, title: String) -> Result<String, Failure> {
        let bound = ctx.call_activity::<bind>(title).await?;
        let books = ctx.entity::<Shelf>("a").put(1).await?;
        ctx.set_custom_status("waiting");
        ctx.wait_for_external_event::<()>("go").await?;
        Ok(format!("{bound} {books}"))
    }

    /// Waits for a timer and for a running activity.
    #[orchestration(name = "edition")]
    pub(super) async fn edition(ctx: OrchestrationContext, copies: u32) -> Result<u32, Failure> {
        let timer = ctx.create_timer(HOUR);
        let printed = ctx.call_activity::<print>(copies);
        ctx.set_custom_status("waiting");
        timer.await;
        Ok(printed.await?)
    }
}

/// A build in which everything is changed.
mod changed {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    #[entity(name = "shelf")]
    pub(super) struct Shelf {
        books: Vec<String>,
    }

    #[operations]
    impl Shelf {
        pub fn put(&mut self, books: Vec<String>) -> u32 {
            self.books.extend(books);
            self.books.len() as u32
        }
    }

    #[activity(name = "print")]
    pub(super) async fn print(copies: String) -> u32 {
        copies.len() as u32
    }

    /// Omits the call of the shelf.
    #[orchestration(name = "publish")]
    pub(super) async fn publish(ctx: OrchestrationContext, title: String) -> Result<String, Failure> {
        let bound = ctx.call_activity::<super::good::bind>(title).await?;
        ctx.wait_for_external_event::<()>("go").await?;
        Ok(bound)
    }

    #[orchestration(name = "edition")]
    pub(super) async fn edition(ctx: OrchestrationContext, copies: String) -> Result<u32, Failure> {
        Ok(ctx.call_activity::<print>(copies).await?)
    }
}

/// A build whose entity lacks an operation and whose orchestration panics.
mod broken {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    #[entity(name = "shelf")]
    pub(super) struct Shelf {
        books: u32,
    }

    #[operations]
    impl Shelf {
        pub fn books(&self) -> u32 {
            self.books
        }
    }

    #[orchestration(name = "publish")]
    pub(super) async fn publish(_ctx: OrchestrationContext, title: String) -> Result<String, Failure> {
        panic!("no more books about {title}");
    }
}

fn builder(directory: &Path) -> HubBuilder {
    Hub::builder(directory)
        .entity::<good::Shelf>()
        .activity::<good::bind>()
        .activity::<good::print>()
        .orchestration::<good::publish>()
        .orchestration::<good::edition>()
}

/// Returns a check with the good build.
fn good(directory: &Path) -> Inspection {
    Hub::inspect(directory)
        .entity::<good::Shelf>()
        .activity::<good::bind>()
        .activity::<good::print>()
        .orchestration::<good::publish>()
        .orchestration::<good::edition>()
}

/// Opens a hub that contains every kind of record, and creates a copy of it.
async fn busy(directory: &Path) -> (Hub, PathBuf) {
    let hub = builder(&directory.join("hub"))
        .hold("@shelf@held")
        .open()
        .await
        .unwrap();
    let client = hub.client();
    client.entity::<good::Shelf>("a").put(1).await.unwrap();
    client.entity::<good::Shelf>("b").put(1).await.unwrap();
    let publish = |id: &str| client.start::<good::publish>("Abide".into()).instance_id(id);
    let done = publish("done").await.unwrap();
    done.raise_event("go", ()).await.unwrap();
    done.result().await.unwrap();
    for id in ["live-1", "live-2"] {
        until_it_waits(&publish(id).await.unwrap().untyped()).await;
    }
    publish("later").after(HOUR).await.unwrap();
    let edition = client.start::<good::edition>(5).instance_id("edition").await.unwrap();
    until_it_waits(&edition.untyped()).await;
    let held = client.entity::<good::Shelf>("held");
    held.put(3).signal().await.unwrap();
    client
        .entity::<good::Shelf>("b")
        .put(4)
        .signal_after(HOUR)
        .await
        .unwrap();
    let schedules = client.schedules();
    let schedule = schedules.create::<good::edition>("yearly", Recurrence::cron("0 0 1 1 *"), 5);
    schedule.await.unwrap();
    let copy = directory.join("copy");
    hub.checkpoint(&copy).await.unwrap();
    (hub, copy)
}

/// Closes a hub without waiting for the activity that never ends.
async fn close(hub: Hub) {
    hub.shutdown_within(Duration::ZERO).await.unwrap();
}

/// Returns the problem of an instance whose message contains `about`.
fn problem<'a>(report: &'a ReplayReport, id: &str, about: &str) -> &'a ReplayProblem {
    let mut all = report.problems.iter().filter(|problem| problem.instance == id);
    let found = all.find(|problem| problem.message.contains(about));
    found.unwrap_or_else(|| panic!("no problem of `{id}` contains `{about}`: {report}"))
}

/// The check of a copy with the build that wrote it finds no problems and counts everything alive. No check changes a
/// byte of the copy, and the original keeps running.
#[tokio::test]
async fn the_build_that_wrote_it_is_good() {
    let place = tempfile::tempdir().unwrap();
    let (hub, copy) = busy(place.path()).await;
    let before = contents(&copy);
    let report = good(&copy).replay_check().await.unwrap();
    assert!(report.is_good(), "{report}");
    // Two that wait for an event, one that waits for its start, and the edition. Ended ones are not checked.
    assert_eq!(report.orchestrations, 4);
    // Two shelves and the schedule. The held shelf has no state yet.
    assert_eq!(report.entities, 3);
    // The signal to the held shelf, the delayed signal, the start, the timer and the activity of the edition, and the
    // next run of the schedule.
    assert_eq!(report.messages, 6);
    assert_eq!(
        report.to_string(),
        "checked 4 orchestrations, 3 entities and 6 messages, found 0 problems"
    );
    let report = Hub::inspect(&copy).replay_check().await.unwrap();
    assert!(!report.is_good());
    assert!(contents(&copy) == before, "the check changed the copy");

    // A check with the builder of a program.
    let report = Hub::inspect(&copy).build(builder(&copy)).replay_check().await.unwrap();
    assert!(report.is_good(), "{report}");
    hub.client()
        .untyped_orchestration("live-1")
        .raise_event("go", ())
        .await
        .unwrap();
    hub.client().untyped_orchestration("live-1").result().await.unwrap();
    close(hub).await;

    // A check of the closed hub itself.
    let report = good(&place.path().join("hub")).replay_check().await.unwrap();
    assert!(report.is_good() && report.orchestrations == 3, "{report}");
}

/// A build that diverges is reported for every affected history, with the turn, the index and both steps.
#[tokio::test]
async fn a_different_step_is_reported_with_both_sides() {
    let place = tempfile::tempdir().unwrap();
    let (hub, copy) = busy(place.path()).await;
    let before = contents(&copy);
    let check = Hub::inspect(&copy).entity::<good::Shelf>().activity::<good::bind>();
    let check = check.activity::<good::print>().orchestration::<good::edition>();
    let report = check.orchestration::<changed::publish>().replay_check().await.unwrap();
    assert_eq!(report.problems.len(), 2, "{report}");
    for id in ["live-1", "live-2"] {
        let problem = problem(&report, id, "turn");
        assert_eq!(problem.kind, Some(StopKind::NonDeterministic));
        let lines: Vec<&str> = problem.message.lines().collect();
        assert!(lines[0].contains("in turn 1, command 1 of 1"), "{report}");
        assert!(lines[1].contains("recorded") && lines[1].contains("put") && lines[1].contains("@shelf@a"));
        assert!(lines[2].contains("issued") && lines[2].contains("go"), "{report}");
        assert!(lines[3].contains("tests/it/replay_check.rs"), "{report}");
        assert!(
            report
                .to_string()
                .contains(&format!("`{id}`: the code diverges from its history"))
        );
    }
    assert!(contents(&copy) == before, "the check changed the copy");
    close(hub).await;
}

/// States, arguments and inputs that do not decode are reported with their positions.
#[tokio::test]
async fn undecodable_data_is_reported() {
    let place = tempfile::tempdir().unwrap();
    let (hub, copy) = busy(place.path()).await;
    let before = contents(&copy);
    let check = Hub::inspect(&copy).entity::<changed::Shelf>().activity::<good::bind>();
    let check = check.activity::<changed::print>().orchestration::<changed::edition>();
    let report = check.orchestration::<good::publish>().replay_check().await.unwrap();
    assert_eq!((report.orchestrations, report.entities, report.messages), (4, 3, 6));
    for id in ["@shelf@a", "@shelf@b"] {
        let state = problem(&report, id, "its state does not decode");
        assert!(
            state.message.contains("invalid type") && state.message.contains("column"),
            "{report}"
        );
        assert_eq!(state.kind, None);
    }
    for id in ["@shelf@held", "@shelf@b"] {
        let arguments = problem(&report, id, "the arguments of a waiting `put`");
        assert!(arguments.message.contains("books"), "{report}");
    }
    let input = problem(&report, "edition", "the input of its activity `print` does not decode");
    assert!(input.message.contains("invalid type: integer `5`"), "{report}");
    let replayed = problem(&report, "edition", "turn 0");
    assert_eq!(replayed.kind, Some(StopKind::NonDeterministic), "{report}");
    assert_eq!(report.problems.len(), 6, "{report}");
    assert!(contents(&copy) == before, "the check changed the copy");
    close(hub).await;
}

/// Unregistered types are reported for everything that needs them: live orchestrations, waiting starts, states,
/// waiting messages and activities.
#[tokio::test]
async fn unregistered_types_are_reported() {
    let place = tempfile::tempdir().unwrap();
    let (hub, copy) = busy(place.path()).await;
    let before = contents(&copy);
    let report = Hub::inspect(&copy).replay_check().await.unwrap();
    for id in ["live-1", "live-2", "edition"] {
        let stopped = problem(&report, id, "no orchestration is registered");
        assert_eq!(stopped.kind, Some(StopKind::Unregistered));
    }
    let later = problem(
        &report,
        "later",
        "it waits for its start, and `publish` is not registered",
    );
    assert_eq!(later.kind, Some(StopKind::Unregistered));
    problem(&report, "edition", "its activity `print` is not registered");
    problem(&report, "@shelf@a", "its type is not registered");
    problem(&report, "@shelf@b", "its type is not registered");
    problem(&report, "@shelf@b", "a message waits for it");
    problem(&report, "@shelf@held", "a message waits for it");
    // Schedules are part of the library and always registered.
    assert_eq!(report.problems.len(), 9, "{report}");
    assert!(contents(&copy) == before, "the check changed the copy");
    close(hub).await;
}

/// A panic is reported as a problem of its orchestration and does not end the check. A missing operation is reported
/// for the messages that wait for it.
#[tokio::test]
async fn a_panic_is_a_problem_among_others() {
    let place = tempfile::tempdir().unwrap();
    let (hub, copy) = busy(place.path()).await;
    let check = Hub::inspect(&copy).entity::<broken::Shelf>().activity::<good::bind>();
    let check = check.activity::<good::print>().orchestration::<good::edition>();
    let report = check.orchestration::<broken::publish>().replay_check().await.unwrap();
    for id in ["live-1", "live-2"] {
        let panicked = problem(&report, id, "no more books about Abide");
        assert_eq!(panicked.kind, Some(StopKind::Panicked));
    }
    for id in ["@shelf@held", "@shelf@b"] {
        problem(&report, id, "its operation `put`, which does not exist");
    }
    assert_eq!(report.problems.len(), 4, "{report}");
    close(hub).await;
}

/// Checking an open hub, a directory without a hub, or an invalid build is an error.
#[tokio::test]
async fn invalid_checks_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let (hub, copy) = busy(place.path()).await;
    let error = good(&place.path().join("hub")).replay_check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let holder = format!("is locked by process {}", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");

    let empty = tempfile::tempdir().unwrap();
    for path in [empty.path().to_owned(), empty.path().join("nowhere")] {
        let error = good(&path).replay_check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.to_string().contains("is not a hub"), "{error}");
    }
    assert!(contents(empty.path()).is_empty(), "the check created a file");

    let twice = good(&copy).orchestration::<good::publish>().replay_check();
    assert_eq!(twice.await.unwrap_err().kind(), ErrorKind::Configuration);
    close(hub).await;
}

mod first {
    use abide::prelude::*;

    #[orchestration(name = "leaf", version = "1")]
    pub(super) async fn leaf(_ctx: OrchestrationContext, n: u64) -> Result<u64, Failure> {
        Ok(n)
    }
}

/// Adds to a shelf under a lock.
#[orchestration(name = "leaf", version = "2")]
async fn leaf(ctx: OrchestrationContext, n: u64) -> Result<u64, Failure> {
    let shelf = ctx.entity::<good::Shelf>(n % 3);
    let lock = ctx.lock_entities(&shelf).await?;
    shelf.put(1).await?;
    drop(lock);
    ctx.call_activity::<good::bind>(n.to_string()).await?;
    Ok(n)
}

/// Starts children without naming a version, waits for some of them, and continues as new.
#[orchestration]
async fn tree(ctx: OrchestrationContext, round: u64) -> Result<u64, Failure> {
    for n in 0..20 {
        ctx.start_orchestration::<leaf>(n);
    }
    let children = (0..40).map(|n| ctx.call_sub_orchestration::<leaf>(n));
    let done = futures::future::try_join_all(children.collect::<Vec<_>>()).await?;
    ctx.create_timer(Duration::from_millis(2)).await;
    match round {
        0 => Ok(done.len() as u64),
        _ => ctx.continue_as_new(round - 1).await,
    }
}

/// A copy of a busy hub at any moment has no problems with its own build: all messages decode and all histories replay.
/// This includes children that start in the newest of several versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_any_moment_is_good() {
    let place = tempfile::tempdir().unwrap();
    let build = |directory: &Path| {
        let builder = builder(directory)
            .orchestration::<first::leaf>()
            .orchestration::<leaf>();
        builder.orchestration::<tree>().executors(2)
    };
    let hub = build(&place.path().join("hub")).open().await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(hub.client().start::<tree>(6).await.unwrap());
    }
    let (mut live, mut on_their_way) = (0, 0);
    for n in 0..12 {
        let copy = place.path().join(format!("copy-{n}"));
        hub.checkpoint(&copy).await.unwrap();
        let report = Hub::inspect(&copy).build(build(&copy)).replay_check().await.unwrap();
        assert!(report.is_good(), "{report}");
        live += report.orchestrations;
        on_their_way += report.messages;
    }
    println!("{live} live orchestrations and {on_their_way} messages were checked");
    assert!(live > 0 && on_their_way > 0);
    for run in runs {
        assert_eq!(run.result().await.unwrap(), 40);
    }
    hub.shutdown().await.unwrap();
}

mod other_leaf {
    use abide::prelude::*;

    #[orchestration(name = "leaf", version = "2")]
    pub(super) async fn leaf(_ctx: OrchestrationContext, n: String) -> Result<String, Failure> {
        Ok(n)
    }
}

/// Calls a child that is not registered.
#[orchestration]
async fn hopes(ctx: OrchestrationContext) -> Result<u64, Failure> {
    Ok(ctx.call_sub_orchestration::<leaf>(7).instance_id("child").await?)
}

/// An unregistered child waits for its start without a version. A build that registers its name, in any version, has no
/// problems unless the input does not decode.
#[tokio::test]
async fn a_child_that_waits_for_its_code_is_checked() {
    let place = tempfile::tempdir().unwrap();
    let hub = Hub::builder(place.path())
        .orchestration::<hopes>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    client.start::<hopes>(()).await.unwrap();
    let child = client.untyped_orchestration("child");
    eventually(async || child.status().await.unwrap()).await;
    until_it_stops(&child).await;
    hub.shutdown().await.unwrap();
    let check = || Hub::inspect(place.path()).orchestration::<hopes>();
    let report = check().orchestration::<leaf>().replay_check().await.unwrap();
    assert!(report.is_good() && report.orchestrations == 2, "{report}");
    let report = check().replay_check().await.unwrap();
    let missing = problem(&report, "child", "it waits for its start, and `leaf` is not registered");
    assert_eq!((missing.kind, report.problems.len()), (Some(StopKind::Unregistered), 1));
    let report = check()
        .orchestration::<other_leaf::leaf>()
        .replay_check()
        .await
        .unwrap();
    let input = problem(
        &report,
        "child",
        "it waits for its start, and its input does not decode",
    );
    assert!(input.message.contains("invalid type: integer `7`"), "{report}");
    assert_eq!((input.kind, report.problems.len()), (None, 1));
}
