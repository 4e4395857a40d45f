//! Running orchestrations whose code changes, panics, disappears or exceeds a limit, and how they resume. See
//! docs/src/guarantees.md, "Stopped, failed, ended".

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use abide::prelude::*;
use abide::{HubBuilder, OrchestrationStatus, client::StopKind, hub::VersionPolicy};

use crate::fixtures::{Shelf, until_it_stops, until_it_waits};

#[activity]
async fn polite(word: String) -> String {
    format!("Good {word}")
}

#[activity]
async fn shout(word: String) -> String {
    word.to_uppercase()
}

/// The first build.
mod first {
    use abide::prelude::*;

    #[orchestration(name = "greets", version = "1")]
    pub(super) async fn greets(ctx: OrchestrationContext, name: String) -> Result<String, Failure> {
        let greeting = ctx.call_activity::<super::polite>("morning".into()).await?;
        ctx.set_custom_status("waiting");
        let end = ctx.wait_for_external_event::<String>("go").await?;
        Ok(format!("{greeting}, {name}{end}"))
    }
}

/// A second version that takes the same steps and returns another text.
mod second {
    use abide::prelude::*;

    #[orchestration(name = "greets", version = "2")]
    pub(super) async fn greets(ctx: OrchestrationContext, name: String) -> Result<String, Failure> {
        let greeting = ctx.call_activity::<super::polite>("morning".into()).await?;
        let end = ctx.wait_for_external_event::<String>("go").await?;
        Ok(format!("{name}: {greeting}{end}"))
    }
}

/// A build that was changed under the same version and calls another activity.
mod changed {
    use abide::prelude::*;

    #[orchestration(name = "greets", version = "1")]
    pub(super) async fn greets(ctx: OrchestrationContext, name: String) -> Result<String, Failure> {
        let greeting = ctx.call_activity::<super::shout>("morning".into()).await?;
        let end = ctx.wait_for_external_event::<String>("go").await?;
        Ok(format!("{greeting}, {name}{end}"))
    }
}

fn hub(directory: &Path) -> HubBuilder {
    Hub::builder(directory).activity::<polite>().activity::<shout>()
}

/// Creates a hub in which an orchestration of the first build waits for its event, and closes it.
async fn leave_one_waiting(directory: &Path) {
    let hub = hub(directory).orchestration::<first::greets>().open().await.unwrap();
    let run = hub.client().start::<first::greets>("Ann".into()).instance_id("run");
    until_it_waits(&run.await.unwrap().untyped()).await;
    hub.shutdown().await.unwrap();
}

/// Several versions run side by side. A start uses the version of its type, and a start by name uses the newest.
#[tokio::test]
async fn versions_run_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    let builder = hub(directory.path()).orchestration::<first::greets>();
    let hub = builder.orchestration::<second::greets>().open().await.unwrap();
    let client = hub.client();
    let old = client.start::<first::greets>("Ann".into()).await.unwrap();
    let new = client.start::<second::greets>("Ben".into()).await.unwrap();
    let newest = client.start_by_name("greets", "Cem".into()).await.unwrap();
    for run in [old.clone().untyped(), new.clone().untyped(), newest.clone()] {
        run.raise_event("go", "!").await.unwrap();
    }
    assert_eq!(old.result().await.unwrap(), "Good morning, Ann!");
    assert_eq!(new.result().await.unwrap(), "Ben: Good morning!");
    assert_eq!(newest.result().await.unwrap(), "Cem: Good morning!");
    assert_eq!(old.status().await.unwrap().unwrap().version, "1");
    hub.shutdown().await.unwrap();
}

/// An orchestration whose version is not registered stops and keeps its events. It resumes when the hub may run
/// older instances in the newest version.
#[tokio::test]
async fn a_version_that_is_gone_waits_visibly() {
    let directory = tempfile::tempdir().unwrap();
    leave_one_waiting(directory.path()).await;

    let open = || hub(directory.path()).orchestration::<second::greets>();
    let hub = open().open().await.unwrap();
    assert_eq!(hub.unregistered().len(), 1, "{:?}", hub.unregistered());
    let run = hub.client().untyped_orchestration("run");
    run.raise_event("go", "!").await.unwrap();
    assert_eq!(until_it_stops(&run).await.kind, StopKind::Unregistered);
    hub.shutdown().await.unwrap();

    let hub = open()
        .version_policy(VersionPolicy::CurrentOrOlder)
        .open()
        .await
        .unwrap();
    assert!(hub.unregistered().is_empty());
    let run = hub.client().untyped_orchestration("run");
    assert_eq!(run.result().await.unwrap(), "Ann: Good morning!");
    hub.shutdown().await.unwrap();
}

/// The replay check of a changed build reports the recorded step and the new one. The build that wrote the history has
/// no problems.
#[tokio::test]
async fn a_replay_check_reports_what_would_break() {
    let directory = tempfile::tempdir().unwrap();
    leave_one_waiting(directory.path()).await;

    let check = || Hub::inspect(directory.path()).activity::<polite>().activity::<shout>();
    let report = check().orchestration::<changed::greets>().replay_check().await.unwrap();
    assert_eq!(report.problems.len(), 1, "{report}");
    let problem = &report.problems[0];
    assert_eq!(
        (problem.instance.as_str(), problem.kind),
        ("run", Some(StopKind::NonDeterministic))
    );
    assert!(
        problem.message.contains("polite") && problem.message.contains("shout"),
        "{report}"
    );

    let report = check().orchestration::<second::greets>().replay_check().await.unwrap();
    assert_eq!(report.problems[0].kind, Some(StopKind::Unregistered), "{report}");

    let report = check().orchestration::<first::greets>().replay_check().await.unwrap();
    assert!(report.is_good() && report.orchestrations == 1, "{report}");
}

/// A build that diverges from the history stops the orchestration. The original build resumes it at the next open, with
/// the event that was raised in between.
#[tokio::test]
async fn a_changed_build_stops_and_the_original_one_resumes() {
    let directory = tempfile::tempdir().unwrap();
    leave_one_waiting(directory.path()).await;

    let builder = hub(directory.path()).orchestration::<changed::greets>();
    let bad = builder.open().await.unwrap();
    let run = bad.client().untyped_orchestration("run");
    run.raise_event("go", "!").await.unwrap();
    assert_eq!(until_it_stops(&run).await.kind, StopKind::NonDeterministic);
    bad.shutdown().await.unwrap();

    let good = hub(directory.path())
        .orchestration::<first::greets>()
        .open()
        .await
        .unwrap();
    assert_eq!(
        good.client().untyped_orchestration("run").result().await.unwrap(),
        "Good morning, Ann!"
    );
    good.shutdown().await.unwrap();
}

static BROKEN: AtomicBool = AtomicBool::new(true);

/// Panics while it holds a lock.
#[orchestration]
async fn tidies(ctx: OrchestrationContext) -> Result<u32, Failure> {
    let shelf = ctx.entity::<Shelf>("a");
    let lock = ctx.lock_entities(&shelf).await?;
    let books = shelf.put().await?;
    assert!(!BROKEN.load(Ordering::Relaxed), "the shelf is broken");
    drop(lock);
    Ok(books)
}

/// An orchestration that panics in a critical section keeps its lock. The lock is listed and other requests wait for
/// it. After the code is fixed, a resume lets all of them complete.
#[tokio::test]
async fn a_stopped_owner_keeps_its_locks() {
    let builder = Hub::in_memory().entity::<Shelf>();
    let hub = builder.orchestration::<tidies>().open().await.unwrap();
    let client = hub.client();
    let run = client.start::<tidies>(()).instance_id("run").await.unwrap();
    assert_eq!(until_it_stops(&run.clone().untyped()).await.kind, StopKind::Panicked);
    let locks = client.admin().locks().await.unwrap();
    assert_eq!(locks.len(), 1);
    assert_eq!((locks[0].owner.as_str(), locks[0].entity.key()), ("run", "a"));

    // The signal is durable and waits until the lock is released.
    client.entity::<Shelf>("a").put().signal().await.unwrap();
    BROKEN.store(false, Ordering::Relaxed);
    run.resume("it is fixed").await.unwrap();
    assert_eq!(run.result().await.unwrap(), 1);
    assert_eq!(client.entity::<Shelf>("a").put().await.unwrap(), 3);
    assert!(client.admin().locks().await.unwrap().is_empty());
    hub.shutdown().await.unwrap();
}

#[orchestration]
async fn loops(ctx: OrchestrationContext, rounds: u32) -> Result<u32, Failure> {
    for _ in 0..rounds {
        ctx.call_activity::<polite>("evening".into()).await?;
    }
    Ok(rounds)
}

/// An orchestration whose history exceeds the limit stops, and it resumes under a higher limit.
#[tokio::test]
async fn a_history_has_a_limit() {
    let directory = tempfile::tempdir().unwrap();
    let builder = || hub(directory.path()).orchestration::<loops>();
    let small = builder().history_limit(20, 1 << 20).open().await.unwrap();
    let run = small.client().start::<loops>(30).instance_id("run").await.unwrap();
    assert_eq!(until_it_stops(&run.untyped()).await.kind, StopKind::HistoryLimit);
    small.shutdown().await.unwrap();

    let large = builder().open().await.unwrap();
    let run = large.client().orchestration::<loops>("run");
    assert_eq!(run.result().await.unwrap(), 30);
    large.shutdown().await.unwrap();
}

#[orchestration]
async fn boasts(ctx: OrchestrationContext, bytes: usize) -> Result<(), Failure> {
    ctx.set_custom_status("x".repeat(bytes));
    Ok(())
}

/// A custom status over 16 KiB fails the orchestration. The quotation marks of the JSON string count.
#[tokio::test]
async fn a_custom_status_has_a_limit() {
    let hub = Hub::in_memory().orchestration::<boasts>().open().await.unwrap();
    let limit = (16 << 10) - 2;
    hub.client()
        .start::<boasts>(limit)
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    let run = hub.client().start::<boasts>(limit + 1).await.unwrap();
    let error = run.result().await.unwrap_err();
    assert!(error.to_string().contains("16384"), "{error}");
    hub.shutdown().await.unwrap();
}

static DONE: AtomicU32 = AtomicU32::new(0);
static FAILS: AtomicBool = AtomicBool::new(true);

#[activity]
async fn does(what: String) -> u32 {
    let _ = what;
    DONE.fetch_add(1, Ordering::Relaxed) + 1
}

#[activity]
async fn fails() -> Result<(), Failure> {
    match FAILS.load(Ordering::Relaxed) {
        true => Err(Failure::message("not today")),
        false => Ok(()),
    }
}

#[orchestration]
async fn errand(ctx: OrchestrationContext) -> Result<(u32, u32), Failure> {
    let before = ctx.call_activity::<does>("the first".into()).await?;
    ctx.call_activity::<fails>(()).await?;
    let after = ctx.call_activity::<does>("the second".into()).await?;
    Ok((before, after))
}

/// A rewind repeats the failed steps in a new execution and keeps the results of the others.
#[tokio::test]
async fn a_rewind_keeps_completed_steps() {
    let builder = Hub::in_memory().activity::<does>().activity::<fails>();
    let hub = builder.orchestration::<errand>().open().await.unwrap();
    let run = hub.client().start::<errand>(()).await.unwrap();
    assert_eq!(run.result().await.unwrap_err().to_string(), "not today");
    let first = run.status().await.unwrap().unwrap();
    assert_eq!(first.status, OrchestrationStatus::Failed);

    FAILS.store(false, Ordering::Relaxed);
    run.rewind("it is another day").await.unwrap();
    assert_eq!(run.result().await.unwrap(), (1, 2));
    let second = run.status().await.unwrap().unwrap();
    assert_eq!(second.status, OrchestrationStatus::Completed);
    assert_ne!(first.execution_id, second.execution_id);
    hub.shutdown().await.unwrap();
}

#[orchestration]
async fn sleeps(ctx: OrchestrationContext, long: Duration) -> (SystemTime, SystemTime) {
    let begun = ctx.current_utc_time();
    ctx.set_custom_status("waiting");
    ctx.create_timer(long).await;
    (begun, ctx.current_utc_time())
}

/// Timers survive a restart and never fire early, whether they are due while the hub is closed or after it reopens.
#[tokio::test]
async fn timers_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let open = || hub(directory.path()).orchestration::<sleeps>().open();
    let lengths = [Duration::from_millis(1), Duration::from_millis(700)];
    let before = open().await.unwrap();
    for (number, length) in lengths.into_iter().enumerate() {
        let run = before.client().start::<sleeps>(length);
        let run = run.instance_id(number.to_string()).await.unwrap();
        until_it_waits(&run.untyped()).await;
    }
    before.shutdown().await.unwrap();

    let after = open().await.unwrap();
    for (number, length) in lengths.into_iter().enumerate() {
        let run = after.client().orchestration::<sleeps>(number.to_string());
        let (begun, ended) = run.result().await.unwrap();
        assert!(ended.duration_since(begun).unwrap() >= length);
    }
    after.shutdown().await.unwrap();
}
