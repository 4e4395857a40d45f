//! The lifecycle of an orchestration from its start to its purge, over all its executions: its input, the events that
//! each execution receives, and its sub-orchestrations.
//!
//! See docs/src/guarantees.md, "Starting, ids and executions".

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use abide::prelude::*;
use abide::{
    ErrorKind, OrchestrationContext, OrchestrationHandle, OrchestrationStatus, activity, client::StopKind,
    history::HistoryEventKind, orchestration, orchestration::ReusePolicy,
};
use tokio::sync::Semaphore;

use crate::fixtures::{Counter, Shelf, until, until_it_stops};

async fn input(run: &OrchestrationHandle) -> Option<String> {
    run.status().await.unwrap().unwrap().input
}

async fn status(client: &Client, id: &str) -> OrchestrationStatus {
    client.untyped_orchestration(id).status().await.unwrap().unwrap().status
}

/// Returns its input.
#[orchestration]
async fn echo(_ctx: OrchestrationContext, word: Option<u32>) -> Option<u32> {
    word
}

/// Returns the first event `go`.
#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<String, Failure> {
    Ok(ctx.wait_for_external_event::<String>("go").await?)
}

mod broken_once {
    use super::*;

    pub(crate) static BROKEN: AtomicBool = AtomicBool::new(true);

    #[orchestration]
    pub(crate) async fn first(_ctx: OrchestrationContext, order: Option<u32>) -> Option<u32> {
        assert!(!BROKEN.load(SeqCst), "a bug in the first line");
        order
    }
}

/// An orchestration whose first turn panics shows its input and can be restarted with it, even after it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_outlives_a_first_turn_that_panics() {
    use broken_once::{BROKEN, first};
    let hub = Hub::in_memory().orchestration::<first>().open().await.unwrap();
    let client = hub.client();
    let run = client
        .start::<first>(Some(42))
        .instance_id("f")
        .tag("k", "v")
        .await
        .unwrap();
    assert_eq!(until_it_stops(&run.clone().untyped()).await.kind, StopKind::Panicked);
    assert_eq!(input(&run.clone().untyped()).await.as_deref(), Some("42"));
    let listed = client.orchestrations().fetch_input().page().await.unwrap().items;
    assert_eq!(listed[0].input.as_deref(), Some("42"));
    let created = run.status().await.unwrap().unwrap().created;
    BROKEN.store(false, SeqCst);
    let again = run.restart_as_new().await.unwrap();
    assert_eq!(again.result().await.unwrap(), Some(42));
    assert_eq!(
        again.status().await.unwrap().unwrap().tags,
        [("k".to_owned(), "v".to_owned())]
    );
    run.terminate("it hangs").await.unwrap();
    assert_eq!(input(&run.clone().untyped()).await.as_deref(), Some("42"));
    run.restart().await.unwrap();
    assert_eq!(run.result().await.unwrap(), Some(42));
    // It is the same orchestration.
    assert_eq!(run.status().await.unwrap().unwrap().created, created);
    run.purge().await.unwrap();
    assert_eq!(run.restart_as_new().await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// An orchestration that is terminated before its start time shows its input and can be restarted with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_outlives_a_start_that_never_came() {
    let hub = Hub::in_memory().orchestration::<echo>().open().await.unwrap();
    let client = hub.client();
    let hour = Duration::from_secs(3_600);
    let run = client.start::<echo>(Some(5)).after(hour).await.unwrap();
    assert_eq!(input(&run.clone().untyped()).await.as_deref(), Some("5"));
    run.suspend("wait").await.unwrap();
    assert_eq!(input(&run.clone().untyped()).await.as_deref(), Some("5"));
    run.terminate("never mind").await.unwrap();
    assert_eq!(input(&run.clone().untyped()).await.as_deref(), Some("5"));
    assert_eq!(run.restart_as_new().await.unwrap().result().await.unwrap(), Some(5));
    run.restart().await.unwrap();
    assert_eq!(run.result().await.unwrap(), Some(5));
}

mod next {
    use super::*;

    #[orchestration(name = "moves", version = "1")]
    pub(crate) async fn one(ctx: OrchestrationContext, n: u32) -> u32 {
        ctx.continue_as_new(n + 1).version("2").await
    }

    #[orchestration(name = "moves", version = "2")]
    pub(crate) async fn two(ctx: OrchestrationContext, n: u32) -> Result<(u32, String), Failure> {
        Ok((n, ctx.wait_for_external_event::<String>("go").await?))
    }
}

/// An orchestration that continues as new in a version that is not registered shows the input of the new execution.
/// A restart keeps the input, and a build with that version resumes the orchestration.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_outlives_a_missing_version() {
    let place = tempfile::tempdir().unwrap();
    let hub = Hub::builder(place.path())
        .orchestration::<next::one>()
        .open()
        .await
        .unwrap();
    let run = hub
        .client()
        .start::<next::one>(6)
        .instance_id("m")
        .await
        .unwrap()
        .untyped();
    hub.client().start::<next::one>(6).instance_id("ended").await.unwrap();
    assert_eq!(until_it_stops(&run).await.kind, StopKind::Unregistered);
    run.raise_event("go", "x").await.unwrap();
    assert_eq!(input(&run).await.as_deref(), Some("7"));
    let ended = hub.client().untyped_orchestration("ended");
    until_it_stops(&ended).await;
    ended.terminate("enough").await.unwrap();
    hub.shutdown().await.unwrap();
    let builder = Hub::builder(place.path()).orchestration::<next::one>();
    let hub = builder.orchestration::<next::two>().open().await.unwrap();
    let run = hub.client().orchestration::<next::two>("m");
    assert_eq!(run.result().await.unwrap(), (7, "x".to_owned()));
    let ended = hub.client().orchestration::<next::two>("ended");
    assert_eq!(input(&ended.clone().untyped()).await.as_deref(), Some("7"));
    ended.restart().await.unwrap();
    ended.raise_event("go", "y").await.unwrap();
    assert_eq!(ended.result().await.unwrap(), (7, "y".to_owned()));
}

/// An event does not reach an orchestration that replaces its target, unless it is raised after the replacement.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_no_later_orchestration() {
    let hub = Hub::in_memory().orchestration::<waits>().open().await.unwrap();
    let client = hub.client();
    let start = || client.start::<waits>(()).instance_id("w").reuse(ReusePolicy::Terminate);
    let run = start().await.unwrap();
    let replace = async |how: &str| {
        run.suspend("so that events wait").await.unwrap();
        for _ in 0..100 {
            run.raise_event("go", "for the one before").await.unwrap();
        }
        match how {
            "start" => drop(start().await.unwrap()),
            _ => {
                run.terminate("it is in the way").await.unwrap();
                run.restart().await.unwrap();
            }
        }
        run.raise_event("go", how).await.unwrap();
        assert_eq!(run.result().await.unwrap(), how);
    };
    replace("start").await;
    start().await.unwrap();
    replace("restart").await;
}

mod charging {
    use super::*;

    pub(crate) static KEYS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
    pub(crate) static BROKEN: AtomicBool = AtomicBool::new(true);
    static CHARGED: Semaphore = Semaphore::const_new(0);

    fn note(what: &str, ctx: &ActivityContext) {
        KEYS.lock()
            .unwrap()
            .push((what.to_owned(), ctx.idempotency_key().to_owned()));
    }

    pub(crate) fn keys(of: &str) -> Vec<String> {
        let keys = KEYS.lock().unwrap();
        keys.iter()
            .filter(|(what, _)| what == of)
            .map(|(_, key)| key.clone())
            .collect()
    }

    /// Waits for its cancellation while [`BROKEN`] is set.
    #[activity]
    pub(crate) async fn charge(ctx: ActivityContext, n: u32) -> u32 {
        note("charge", &ctx);
        CHARGED.add_permits(1);
        if BROKEN.load(SeqCst) {
            ctx.canceled().await;
        }
        n
    }

    /// Ends after `charge` has begun, since a failure cancels a `charge` that has not.
    #[activity]
    pub(crate) async fn breaks(ctx: ActivityContext) -> Result<(), Failure> {
        note("breaks", &ctx);
        CHARGED.acquire().await.unwrap().forget();
        match BROKEN.load(SeqCst) {
            true => Err(Failure::message("it broke")),
            false => Ok(()),
        }
    }

    #[activity]
    pub(crate) async fn undo(ctx: ActivityContext) {
        note("undo", &ctx);
    }

    #[activity]
    pub(crate) async fn ship(ctx: ActivityContext) {
        note("ship", &ctx);
    }

    #[orchestration]
    pub(crate) async fn sells(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
        let charged = ctx.call_activity::<charge>(n);
        if let Err(error) = ctx.call_activity::<breaks>(()).await {
            drop(charged);
            ctx.call_activity::<undo>(()).await?;
            return Err(error.into());
        }
        let charged = charged.await?;
        ctx.call_activity::<ship>(()).await?;
        Ok(charged)
    }
}

/// An activity that a rewind repeats keeps its idempotency key. An activity that the code calls instead of another one
/// has its own key, and so does every activity after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_keeps_the_idempotency_key() {
    use charging::{BROKEN, breaks, charge, keys, sells, ship, undo};
    let builder = Hub::in_memory().orchestration::<sells>().activity::<charge>();
    let builder = builder.activity::<breaks>().activity::<undo>().activity::<ship>();
    let hub = builder.open().await.unwrap();
    let run = hub.client().start::<sells>(3).await.unwrap();
    run.result().await.unwrap_err();
    run.rewind("once more").await.unwrap();
    run.result().await.unwrap_err();
    BROKEN.store(false, SeqCst);
    run.rewind("fixed").await.unwrap();
    assert_eq!(run.result().await.unwrap(), 3);
    let of = |what: &str, times: usize| {
        let keys = keys(what);
        assert_eq!(keys.len(), times, "{what}: {keys:?}");
        keys
    };
    for again in ["charge", "breaks"] {
        let keys = of(again, 3);
        assert!(keys.iter().all(|key| *key == keys[0]), "{again}: {keys:?}");
    }
    // Each rewind removes the steps after the failure, so each of these was scheduled again.
    let mut own = [
        of("undo", 2),
        of("ship", 1),
        of("charge", 3)[..1].to_vec(),
        of("breaks", 3)[..1].to_vec(),
    ]
    .concat();
    run.restart().await.unwrap();
    run.result().await.unwrap();
    own.extend([
        of("charge", 4).remove(3),
        of("breaks", 4).remove(3),
        of("ship", 2).remove(1),
    ]);
    let all = own.len();
    own.sort();
    own.dedup();
    assert_eq!(own.len(), all, "{own:?}");
}

mod families {
    use super::*;

    pub(crate) static BROKEN: AtomicBool = AtomicBool::new(true);

    #[activity]
    pub(crate) async fn repairs(of: String) -> Result<u32, Failure> {
        match BROKEN.load(SeqCst) && of != "good" {
            true => Err(Failure::message("it broke")),
            false => Ok(8),
        }
    }

    #[orchestration]
    pub(crate) async fn child(ctx: OrchestrationContext, of: String) -> Result<u32, Failure> {
        Ok(ctx.call_activity::<repairs>(of).await?)
    }

    #[orchestration]
    pub(crate) async fn parent(ctx: OrchestrationContext, id: String) -> Result<u32, Failure> {
        Ok(ctx.call_sub_orchestration::<child>(id.clone()).instance_id(id).await?)
    }

    /// Waits for the event `go`, under the ID of another orchestration.
    #[orchestration]
    pub(crate) async fn strange(ctx: OrchestrationContext) -> Result<(), Failure> {
        Ok(ctx.wait_for_external_event::<()>("go").await?)
    }

    /// Waits for a child that waits for its own child.
    #[orchestration]
    pub(crate) async fn grandparent(ctx: OrchestrationContext) -> Result<(), Failure> {
        Ok(ctx.call_sub_orchestration::<middle>(()).instance_id("middle").await?)
    }

    #[orchestration]
    pub(crate) async fn middle(ctx: OrchestrationContext) -> Result<(), Failure> {
        Ok(ctx.call_sub_orchestration::<strange>(()).instance_id("leaf").await?)
    }

    /// Waits for the event `go` and then cancels its child.
    #[orchestration]
    pub(crate) async fn gives_up(ctx: OrchestrationContext) -> Result<(), Failure> {
        let child = ctx.call_sub_orchestration::<grandparent>(()).instance_id("child");
        ctx.wait_for_external_event::<()>("go").await?;
        drop(child);
        Ok(())
    }
}

/// A parent can be rewound after its failed child was purged, rewound or restarted, or was replaced by an instance that
/// has ended. A running instance with the ID of the child blocks the rewind until it ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_is_rewound_whatever_became_of_its_child() {
    use families::{BROKEN, child, parent, repairs, strange};
    let builder = Hub::in_memory().orchestration::<parent>().orchestration::<child>();
    let hub = builder
        .orchestration::<strange>()
        .activity::<repairs>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let failed = async |id: &str| -> (OrchestrationHandle<parent>, OrchestrationHandle<child>) {
        let run = client
            .start::<parent>(id.to_owned())
            .instance_id(format!("{id}-parent"))
            .await
            .unwrap();
        run.result().await.unwrap_err();
        (run, client.orchestration::<child>(id))
    };
    let (purged, child_of_purged) = failed("purged").await;
    child_of_purged.purge().await.unwrap();
    let (replaced, _) = failed("replaced").await;
    let start = || client.start::<strange>(());
    start()
        .instance_id("replaced")
        .await
        .unwrap()
        .terminate("it ends")
        .await
        .unwrap();
    let (in_use, _) = failed("in-use").await;
    let stranger = start().instance_id("in-use").await.unwrap();
    let (rewound, rewound_alone) = failed("rewound").await;
    let (restarted, restarted_alone) = failed("restarted").await;
    let (both, child_of_both) = failed("both").await;
    let (plain, _) = failed("plain").await;

    BROKEN.store(false, SeqCst);
    rewound_alone.rewind("fixed").await.unwrap();
    assert_eq!(rewound_alone.result().await.unwrap(), 8);
    restarted_alone.restart().await.unwrap();
    assert_eq!(restarted_alone.result().await.unwrap(), 8);
    let of_child = restarted_alone.status().await.unwrap().unwrap();
    assert_eq!(of_child.parent.as_deref(), Some("restarted-parent"));
    child_of_both.rewind("fixed").await.unwrap();
    for run in [&purged, &replaced, &rewound, &restarted, &both, &plain] {
        run.rewind("fixed").await.unwrap();
        assert_eq!(run.result().await.unwrap(), 8, "{}", run.id());
    }
    in_use.rewind("fixed").await.unwrap();
    let error = in_use.result().await.unwrap_err().to_string();
    assert!(
        error.contains("an orchestration `in-use` exists and has not ended"),
        "{error}"
    );
    stranger.terminate("it is in the way").await.unwrap();
    in_use.rewind("fixed").await.unwrap();
    assert_eq!(in_use.result().await.unwrap(), 8);
}

/// An orchestration that is canceled cancels its children recursively. If a client terminates the root, all of them are
/// terminated.
#[tokio::test(flavor = "multi_thread")]
async fn children_end_as_their_parents_do() {
    use families::{gives_up, grandparent, middle, strange};
    let builder = Hub::in_memory()
        .orchestration::<gives_up>()
        .orchestration::<grandparent>();
    let hub = builder
        .orchestration::<middle>()
        .orchestration::<strange>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    for (terminates, ends, by_parent) in [
        (false, OrchestrationStatus::Canceled, true),
        (true, OrchestrationStatus::Terminated, false),
    ] {
        let run = client.start::<gives_up>(()).await.unwrap();
        let begun = async || {
            let leaf = client.untyped_orchestration("leaf").status().await.unwrap();
            leaf.is_some_and(|leaf| leaf.status == OrchestrationStatus::Running)
        };
        until(begun).await;
        match terminates {
            true => run.terminate("enough").await.unwrap(),
            false => run.raise_event("go", ()).await.unwrap(),
        }
        for id in ["child", "middle", "leaf"] {
            client.untyped_orchestration(id).result().await.unwrap_err();
            assert_eq!(status(&client, id).await, ends, "{id}");
            let history = client.untyped_orchestration(id).history().await.unwrap();
            let last = &history.last().unwrap().kind;
            assert!(
                matches!(last, HistoryEventKind::ExecutionTerminated { by_parent: by, .. } if *by == by_parent),
                "{id}: {last:?}"
            );
        }
    }
}

/// With [`ReusePolicy::RejectDuplicate`], a used ID is rejected until the instance is purged.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_runs_once_is_refused_after_its_end() {
    let hub = Hub::in_memory()
        .orchestration::<echo>()
        .orchestration::<waits>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let start = || {
        client
            .start::<echo>(Some(1))
            .instance_id("once")
            .reuse(ReusePolicy::RejectDuplicate)
    };
    let run = start().await.unwrap();
    run.result().await.unwrap();
    let before = run.status().await.unwrap().unwrap().execution_id;
    let error = start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(
        error.to_string().contains("has ended (Completed)") && error.to_string().contains("purge it"),
        "{error}"
    );
    assert_eq!(run.status().await.unwrap().unwrap().execution_id, before);
    run.purge().await.unwrap();
    start().await.unwrap().result().await.unwrap();
    client.start::<waits>(()).instance_id("lives").await.unwrap();
    let live = client
        .start::<waits>(())
        .instance_id("lives")
        .reuse(ReusePolicy::RejectDuplicate)
        .await;
    assert!(live.unwrap_err().to_string().contains("has not ended"));
}

mod spinning {
    use super::*;

    #[orchestration]
    pub(crate) async fn spins(ctx: OrchestrationContext, round: u64) -> Result<(), Failure> {
        ctx.continue_as_new(round + 1).await
    }
}

/// An orchestration that continues as new endlessly shows its input between two executions and can be suspended and
/// restarted. It neither starves other work nor blocks the shutdown of the hub.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_orchestration_leaves_room_for_others() {
    use spinning::spins;
    let hub = Hub::in_memory()
        .executors(1)
        .orchestration::<spins>()
        .entity::<Counter>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let run = client.start::<spins>(0).await.unwrap().untyped();
    let round = async || input(&run).await.unwrap().parse::<u64>().unwrap();
    // The counter gets its turns.
    for n in 1..=20 {
        assert_eq!(client.entity::<Counter>("c").add(1).await.unwrap(), n);
    }
    run.suspend("rest").await.unwrap();
    let rests_at = round().await;
    assert_eq!(round().await, rests_at);
    run.terminate("enough").await.unwrap();
    assert_eq!(round().await, rests_at);
    run.restart().await.unwrap();
    until(async || round().await > rests_at).await;
    let begun = std::time::Instant::now();
    hub.shutdown().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

mod strict {
    use super::*;

    /// Makes a request with a name or tags that break a rule.
    #[orchestration]
    pub(crate) async fn breaks(ctx: OrchestrationContext, what: String) -> Result<(), Failure> {
        let long = "x".repeat(513);
        let child = || ctx.call_sub_orchestration::<echo>(Some(1));
        match what.as_str() {
            "version of a child" => drop(child().version(long).await?),
            "tag of a child" => drop(child().tag(long, "x").await?),
            "tags of a child" => {
                let mut child = child();
                for n in 0..65 {
                    child = child.tag(format!("{n}"), "x");
                }
                child.await?;
            }
            "bytes of a child" => drop(child().tag("k", "x".repeat(16 << 10)).await?),
            "version of a start" => drop(ctx.start_orchestration::<echo>(None).version(long)),
            "tag of a start" => drop(ctx.start_orchestration::<echo>(None).tag(long, "x")),
            "bytes of a start" => drop(ctx.start_orchestration::<echo>(None).tag("k", "x".repeat(16 << 10))),
            "next version" => ctx.continue_as_new("").version(long).await,
            "event" => ctx.wait_for_external_event::<()>(long).await?,
            "sent event" => ctx.send_event("missing", long, ()),
            _ => {
                // A second tag with the same name replaces the first, so this is the maximum number of tags.
                let mut child = child().tag("0", "y");
                for n in 0..64 {
                    child = child.tag(format!("{n}"), "x");
                }
                child.instance_id("fine").await?;
                return Ok(());
            }
        }
        // A request without a result that is rejected fails the orchestration at its next await.
        ctx.create_timer(Duration::ZERO).await;
        Ok(())
    }

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(crate) struct Starter;

    #[operations]
    impl Starter {
        pub fn start(&mut self, ctx: &mut EntityContext, what: &str) {
            let long = "x".repeat(513);
            let start = ctx.start_orchestration::<echo>(None);
            match what {
                "version" => start.version(long),
                "tag" => start.tag(long, "x"),
                _ => start.tag("k", "x".repeat(16 << 10)),
            };
        }
    }
}

/// Requests of orchestrations and entities follow the same rules as requests of clients.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_orchestrations_follow_the_rules_of_clients() {
    use strict::{Starter, breaks};
    let builder = Hub::in_memory().orchestration::<breaks>().orchestration::<echo>();
    let hub = builder.entity::<Starter>().open().await.unwrap();
    let client = hub.client();
    for (what, reason) in [
        ("version of a child", "the version `xxx"),
        ("tag of a child", "the name of a tag `xxx"),
        ("tags of a child", "65 tags"),
        ("bytes of a child", "16385 bytes"),
        ("version of a start", "the version `xxx"),
        ("tag of a start", "the name of a tag `xxx"),
        ("bytes of a start", "16385 bytes"),
        ("next version", "the version `xxx"),
        ("event", "the event name `xxx"),
        ("sent event", "the event name `xxx"),
    ] {
        let run = client.start::<breaks>(what.to_owned()).await.unwrap();
        let error = run.result().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{what}: {error}");
    }
    client
        .start::<breaks>("nothing".to_owned())
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    let fine = client.untyped_orchestration("fine").status().await.unwrap().unwrap();
    assert_eq!(fine.tags.len(), 64);
    assert!(fine.tags.iter().all(|(_, value)| value == "x"));
    for (what, reason) in [
        ("version", "the version `xxx"),
        ("tag", "the name of a tag `xxx"),
        ("bytes", "16385 bytes"),
    ] {
        let error = client.entity::<Starter>("s").start(what).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{what}: {error}");
    }
    let start = client.start::<echo>(None).tag("k", "x".repeat(16 << 10));
    let error = start.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

mod lacking {
    use super::*;

    #[activity]
    pub(crate) async fn mail(n: u32) -> u32 {
        n
    }

    #[orchestration]
    pub(crate) async fn asks(ctx: OrchestrationContext, what: String) -> Result<u32, Failure> {
        match what.as_str() {
            "activity" => Ok(ctx.call_activity::<mail>(1).await?),
            "entity" => Ok(ctx.entity::<Shelf>("s").put().await?),
            "canceled" => {
                let mail = ctx.call_activity::<mail>(1);
                ctx.wait_for_external_event::<()>("go").await?;
                drop(mail);
                ctx.wait_for_external_event::<()>("end").await?;
                Ok(0)
            }
            "lacks" => Ok(ctx.call_sub_orchestration::<unknown>(()).instance_id("unknown").await?),
            what => {
                let (_, child) = what.split_once(' ').unwrap();
                let child = ctx.call_sub_orchestration::<asks>(child.to_owned());
                Ok(child.instance_id(format!("child of {what}")).await?)
            }
        }
    }

    #[orchestration]
    pub(crate) async fn unknown(_ctx: OrchestrationContext) -> u32 {
        5
    }
}

/// An unregistered type that an orchestration waits for is shown in its status, in lists, at its parents and by the
/// hub, until a build registers it.
#[tokio::test(flavor = "multi_thread")]
async fn unregistered_types_are_visible() {
    use abide::client::{Unregistered, UnregisteredKind};
    use lacking::{asks, mail, unknown};
    let place = tempfile::tempdir().unwrap();
    let lacks = || Hub::builder(place.path()).orchestration::<asks>();
    let hub = lacks().open().await.unwrap();
    let client = hub.client();
    assert!(hub.unregistered().is_empty());
    let cases = [
        ("activity", UnregisteredKind::Activity, "mail", None),
        ("entity", UnregisteredKind::Entity, "shelf", None),
        ("lacks", UnregisteredKind::Orchestration, "unknown", Some("unknown")),
        (
            "parent activity",
            UnregisteredKind::Activity,
            "mail",
            Some("child of parent activity"),
        ),
        (
            "parent parent entity",
            UnregisteredKind::Entity,
            "shelf",
            Some("child of parent entity"),
        ),
    ];
    let on = |client: &Client, id: &str| {
        let run = client.untyped_orchestration(id);
        async move { run.status().await.unwrap().unwrap().unregistered }
    };
    let shown = |on: &Unregistered| (on.kind, on.name.clone(), on.instance.clone());
    for (what, ..) in cases {
        client.start::<asks>(what.to_owned()).instance_id(what).await.unwrap();
    }
    let all_shown = async |client: &Client| {
        for (what, kind, name, instance) in cases {
            until(async || !on(client, what).await.is_empty()).await;
            let found: Vec<_> = on(client, what).await.iter().map(shown).collect();
            assert_eq!(found, [(kind, name.to_owned(), instance.map(str::to_owned))], "{what}");
        }
    };
    all_shown(&client).await;
    assert_eq!(hub.unregistered(), ["mail", "shelf", "unknown"]);
    // Three children wait like their parents, and the child of an unregistered type is stopped.
    assert_eq!(
        client.orchestrations().unregistered().page().await.unwrap().items.len(),
        cases.len() + 4
    );

    let canceled = client
        .start::<asks>("canceled".to_owned())
        .instance_id("c")
        .await
        .unwrap();
    until(async || !on(&client, "c").await.is_empty()).await;
    canceled.raise_event("go", ()).await.unwrap();
    until(async || on(&client, "c").await.is_empty()).await;
    canceled.terminate("enough").await.unwrap();
    hub.shutdown().await.unwrap();

    let builder = lacks().orchestration::<unknown>().activity::<mail>();
    let hub = builder.entity::<Shelf>().open().await.unwrap();
    for (what, ..) in cases {
        hub.client().untyped_orchestration(what).result().await.unwrap();
        assert!(on(&hub.client(), what).await.is_empty(), "{what}");
    }
    assert!(hub.unregistered().is_empty());
}

/// A call that waits in the queue of an entity is reported by a later build that lacks the type.
#[tokio::test(flavor = "multi_thread")]
async fn types_that_a_later_build_lacks_are_visible() {
    use lacking::asks;
    let place = tempfile::tempdir().unwrap();
    let lacks = || Hub::builder(place.path()).orchestration::<asks>();
    let hub = lacks().entity::<Shelf>().hold("@shelf@s").open().await.unwrap();
    let run = hub
        .client()
        .start::<asks>("entity".to_owned())
        .instance_id("e")
        .await
        .unwrap();
    assert!(run.status().await.unwrap().unwrap().unregistered.is_empty());
    hub.shutdown().await.unwrap();
    let hub = lacks().open().await.unwrap();
    let client = hub.client();
    let on = || async {
        client
            .untyped_orchestration("e")
            .status()
            .await
            .unwrap()
            .unwrap()
            .unregistered
    };
    until(async || !on().await.is_empty()).await;
    assert_eq!(on().await[0].name, "shelf");
}
