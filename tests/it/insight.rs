//! Views of a hub for operators: trees, turns, replays, activities, entities and the timeline.

use std::time::{Duration, SystemTime};

use abide::admin::MessageKind;
use abide::client::{ActivityProgress, OrchestrationTree, ReplayOutcome, StopKind};
use abide::history::HistoryStep;
use abide::prelude::*;
use abide::{ErrorKind, activity, orchestration};

use crate::fixtures::{Counter, eventually, until_it_waits};

/// Never ends by itself.
#[activity]
async fn hang() {
    std::future::pending().await
}

#[activity(limit = 1)]
async fn narrow() {
    std::future::pending().await
}

#[orchestration]
async fn leaf(_ctx: OrchestrationContext, n: u32) -> u32 {
    n
}

/// Starts two orchestrations that it waits for and one that it does not.
#[orchestration]
async fn branch(ctx: OrchestrationContext) -> Result<u32, Failure> {
    let one = ctx.call_sub_orchestration::<leaf>(1).instance_id("one");
    let two = ctx.call_sub_orchestration::<leaf>(2).instance_id("two");
    ctx.start_orchestration::<leaf>(3).instance_id("three");
    Ok(one.await? + two.await?)
}

#[orchestration]
async fn root(ctx: OrchestrationContext) -> Result<u32, Failure> {
    Ok(ctx.call_sub_orchestration::<branch>(()).instance_id("branch").await?)
}

/// Sets a custom status in each turn.
#[orchestration]
async fn steps(ctx: OrchestrationContext) -> Result<(), Failure> {
    ctx.set_custom_status("first");
    ctx.wait_for_external_event::<()>("go").label("the go").await?;
    ctx.set_custom_status("waiting");
    ctx.create_timer(Duration::from_secs(3_600)).await;
    Ok(())
}

#[orchestration]
async fn hangs(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.call_activity::<hang>(()).label("to hang").await?)
}

#[orchestration]
async fn is_narrow(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.call_activity::<narrow>(()).await?)
}

/// Locks a counter and waits for the event `go`.
#[orchestration]
async fn holds(ctx: OrchestrationContext, key: String) -> Result<(), Failure> {
    let counter = ctx.entity::<Counter>(key);
    let lock = ctx.lock_entities(&counter).await?;
    ctx.set_custom_status("waiting");
    ctx.wait_for_external_event::<()>("go").await?;
    drop(lock);
    Ok(())
}

fn builder(hub: abide::HubBuilder) -> abide::HubBuilder {
    hub.entity::<Counter>()
        .activity::<hang>()
        .activity::<narrow>()
        .orchestration::<leaf>()
        .orchestration::<branch>()
        .orchestration::<root>()
        .orchestration::<steps>()
        .orchestration::<hangs>()
        .orchestration::<is_narrow>()
        .orchestration::<holds>()
}

async fn open() -> Hub {
    builder(Hub::in_memory()).open().await.unwrap()
}

fn shape(tree: &OrchestrationTree) -> String {
    let children: Vec<String> = tree.children.iter().map(shape).collect();
    let status = tree.status.map_or("gone", OrchestrationStatus::as_str);
    let detached = if tree.is_detached { " detached" } else { "" };
    format!("{}: {status}{detached} [{}]", tree.id, children.join(", "))
}

/// A tree contains every orchestration that was started, in the order of the starts. One that was purged is shown as
/// gone, and so is one whose id another orchestration has taken.
#[tokio::test]
async fn a_tree_shows_everything_that_was_started() {
    let hub = open().await;
    let client = hub.client();
    let run = client.start::<root>(()).instance_id("root").await.unwrap();
    assert_eq!(run.result().await.unwrap(), 3);
    client.orchestration::<leaf>("three").result().await.unwrap();
    let tree = run.tree().await.unwrap().unwrap();
    assert_eq!(
        shape(&tree),
        "root: Completed [branch: Completed [one: Completed [], two: Completed [], three: Completed detached []]]"
    );
    let branch = &tree.children[0];
    assert_eq!((tree.sequence, branch.sequence), (None, Some(1)));
    assert_eq!(
        (branch.name.as_str(), branch.children[2].name.as_str()),
        ("branch", "leaf")
    );
    assert!(branch.created.unwrap() <= branch.last_change.unwrap());

    client.untyped_orchestration("one").purge().await.unwrap();
    client.untyped_orchestration("two").purge().await.unwrap();
    client
        .start::<leaf>(9)
        .instance_id("two")
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    let tree = client.untyped_orchestration("branch").tree().await.unwrap().unwrap();
    assert_eq!(
        shape(&tree),
        "branch: Completed [one: gone [], two: gone [], three: Completed detached []]"
    );
    assert!(client.untyped_orchestration("none").tree().await.unwrap().is_none());
    hub.shutdown().await.unwrap();
}

/// After each turn, the state shows the steps that were open, with their positions in the source, and the custom
/// status.
#[tokio::test]
async fn each_turn_shows_what_was_open_and_where() {
    let hub = open().await;
    let client = hub.client();
    let run = client.start::<steps>(()).await.unwrap();
    let run_untyped = run.clone().untyped();
    run.raise_event("go", ()).await.unwrap();
    until_it_waits(&run_untyped).await;

    let first = run.at_turn(0).await.unwrap();
    assert_eq!((first.turn, first.turns), (0, 2));
    assert_eq!(first.custom_status.as_deref(), Some("\"first\""));
    assert_eq!(first.replay, ReplayOutcome::Matches);
    let [step] = &first.open[..] else { panic!("{first:?}") };
    assert_eq!(step.step, HistoryStep::Event { name: "go".to_owned() });
    assert_eq!((step.sequence, step.label.as_deref()), (1, Some("the go")));
    let source = step.source.as_deref().unwrap();
    let line: usize = source
        .split("insight.rs:")
        .nth(1)
        .unwrap()
        .split(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let code = include_str!("insight.rs").lines().nth(line - 1).unwrap();
    assert!(
        code.contains(".wait_for_external_event::<()>(\"go\")"),
        "{source}: {code}"
    );

    let second = run.at_turn(1).await.unwrap();
    assert_eq!(second.custom_status.as_deref(), Some("\"waiting\""));
    assert!(matches!(second.open[..], [ref step] if matches!(step.step, HistoryStep::Timer { .. })));
    assert!(first.time <= second.time);

    let error = run.at_turn(2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains("has no turn 2; it has had 2 turns"),
        "{error}"
    );
    let error = client.untyped_orchestration("none").at_turn(0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    // The reason of a wait has a position as well.
    let waiting = run.waiting().await.unwrap().unwrap();
    let source = waiting.steps[0].source.as_deref().unwrap();
    assert!(source.contains("insight.rs:"), "{source}");

    let part = run.history_turns(1..2).await.unwrap();
    let whole = run.history().await.unwrap();
    assert_eq!(part.turns, 2);
    let second: Vec<String> = whole
        .iter()
        .filter(|event| event.turn == 1)
        .map(|event| format!("{event:?}"))
        .collect();
    let shown: Vec<String> = part.events.iter().map(|event| format!("{event:?}")).collect();
    assert_eq!(shown, second);
    assert!(run.history_turns(7..9).await.unwrap().events.is_empty());
    hub.shutdown().await.unwrap();
}

/// A replay with other code reports the first difference, and a stopped hub has no code.
#[cfg(feature = "rocksdb")]
#[tokio::test]
async fn a_replay_tells_whether_the_code_still_fits() {
    mod changed {
        use super::*;

        #[orchestration]
        pub(super) async fn steps(ctx: OrchestrationContext) -> Result<(), Failure> {
            ctx.create_timer(Duration::from_secs(1)).await;
            Ok(())
        }
    }

    let place = tempfile::tempdir().unwrap();
    let hub = builder(Hub::builder(place.path())).open().await.unwrap();
    let run = hub.client().start::<steps>(()).instance_id("s").await.unwrap();
    run.raise_event("go", ()).await.unwrap();
    until_it_waits(&run.clone().untyped()).await;
    assert_eq!(run.check_replay().await.unwrap(), ReplayOutcome::Matches);
    hub.shutdown().await.unwrap();

    for registers in [true, false] {
        let mut other = Hub::builder(place.path());
        if registers {
            other = other.orchestration::<changed::steps>();
        }
        let hub = other.open().await.unwrap();
        let run = hub.client().untyped_orchestration("s");
        let ReplayOutcome::Stops(stopped) = run.check_replay().await.unwrap() else {
            panic!("other code does not fit");
        };
        let kind = if registers {
            StopKind::NonDeterministic
        } else {
            StopKind::Unregistered
        };
        assert_eq!(stopped.kind, kind);
        // What was open is known without the code.
        let turn = run.at_turn(0).await.unwrap();
        assert!(matches!(turn.replay, ReplayOutcome::Stops(_)), "{turn:?}");
        assert!(matches!(turn.open[..], [ref step] if step.source.is_none() && step.sequence == 1));
        hub.shutdown().await.unwrap();
    }

    let stopped = Hub::inspect(place.path()).client().await.unwrap();
    let run = stopped.untyped_orchestration("s");
    assert_eq!(run.check_replay().await.unwrap(), ReplayOutcome::NoCode);
    assert_eq!(run.at_turn(1).await.unwrap().open.len(), 1);
}

/// The activities that run and those that wait are counted and listed, with what each of them waits for.
#[tokio::test]
async fn activities_are_counted_and_listed() {
    let hub = open().await;
    let client = hub.client();
    let admin = client.admin();
    client.start::<hangs>(()).instance_id("h").await.unwrap();
    for n in 0..3 {
        client
            .start::<is_narrow>(())
            .instance_id(format!("n{n}"))
            .await
            .unwrap();
    }
    let summary = eventually(async || {
        let summary = admin.activity_summary().await.unwrap();
        (summary.running == 2 && summary.waiting == 2).then_some(summary)
    })
    .await;
    assert!(summary.limit.is_some() && !summary.is_truncated);
    let counts = summary.activities.iter();
    let counts: Vec<_> = counts
        .map(|count| {
            (
                count.name.as_str(),
                count.limit,
                count.running,
                count.waiting,
                count.is_registered,
            )
        })
        .collect();
    assert_eq!(counts, [("hang", None, 1, 0, true), ("narrow", Some(1), 1, 2, true)]);

    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let page = admin
            .activities()
            .name("narrow")
            .page_size(2)
            .cursor(cursor)
            .page()
            .await
            .unwrap();
        listed.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let ahead = |progress: &ActivityProgress| match progress {
        ActivityProgress::Running => None,
        ActivityProgress::InLine { ahead, .. } => Some(*ahead),
        other => panic!("{other:?}"),
    };
    let mut places: Vec<_> = listed.iter().map(|activity| ahead(&activity.progress)).collect();
    places.sort();
    assert_eq!(places, [None, Some(0), Some(1)]);
    let page = admin.activities().name("hang").page().await.unwrap();
    let [hanging] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!(
        (hanging.instance.as_str(), hanging.sequence, hanging.attempt),
        ("h", 1, 1)
    );
    assert_eq!(hanging.label.as_deref(), Some("to hang"));
    assert!(hanging.since.unwrap() <= SystemTime::now());
    assert!(admin.activities().name("none").page().await.unwrap().items.is_empty());
    let error = admin.activities().cursor("x".to_owned()).page().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
    hub.shutdown().await.unwrap();
}

/// Everything about an entity: its state, its lock, the messages behind the lock, and its scheduled signals.
#[tokio::test]
async fn an_entity_shows_everything_that_concerns_it() {
    let hub = open().await;
    let client = hub.client();
    let id = "@counter@a".parse().unwrap();
    let before = client.admin().entity_details(&id).await.unwrap();
    assert_eq!(
        (before.state, before.is_registered, before.waiting),
        (None, Some(true), 0)
    );

    let counter = client.entity::<Counter>("a");
    counter.add(1).await.unwrap();
    let due = SystemTime::now() + Duration::from_secs(3_600);
    counter.add(3).timer_id("later").signal_at(due).await.unwrap();
    let owner = client.start::<holds>("a".into()).instance_id("owner").await.unwrap();
    until_it_waits(&owner.clone().untyped()).await;
    counter.add(2).signal().await.unwrap();
    let details = eventually(async || {
        let details = client.admin().entity_details(&id).await.unwrap();
        (details.waiting == 1).then_some(details)
    })
    .await;
    assert_eq!(details.state.as_deref(), Some(r#"{"n":1}"#));
    assert!(details.last_change.unwrap() <= SystemTime::now());
    assert_eq!(details.lock.as_ref().unwrap().owner, "owner");
    assert!(details.quarantine.is_none());
    let [message] = &details.messages[..] else {
        panic!("{details:?}")
    };
    assert_eq!(
        (message.kind, message.operation.as_deref()),
        (MessageKind::Signal, Some("add"))
    );
    assert_eq!(message.arguments.as_deref(), Some(r#"{"n":2}"#));
    let [signal] = &details.scheduled[..] else {
        panic!("{details:?}")
    };
    assert_eq!((signal.id.as_str(), signal.operation.as_str()), ("later", "add"));
    assert_eq!(signal.arguments, r#"{"n":3}"#);
    assert!(signal.due.duration_since(due).unwrap_or_default() < Duration::from_millis(1));
    hub.shutdown().await.unwrap();
}

/// Starts and ends are counted in every life of a hub, each once.
#[cfg(feature = "rocksdb")]
#[tokio::test]
async fn a_timeline_counts_every_start_and_end_once() {
    let place = tempfile::tempdir().unwrap();
    let begun = SystemTime::now();
    let mut expected = (0, 0, 0);
    for life in 0..3 {
        let hub = builder(Hub::builder(place.path())).open().await.unwrap();
        let client = hub.client();
        for n in 0..5 {
            let run = client
                .start::<leaf>(n)
                .instance_id(format!("{life}-{n}"))
                .await
                .unwrap();
            run.result().await.unwrap();
        }
        let run = client.start::<steps>(()).instance_id(format!("{life}")).await.unwrap();
        run.terminate("enough").await.unwrap();
        expected.0 += 6;
        expected.1 += 5;
        expected.2 += 1;
        let hour = Duration::from_secs(3_600);
        let timeline = client.admin().timeline(begun - hour, begun + hour, 100).await.unwrap();
        let sum = |of: fn(&abide::client::TimelineBar) -> u64| timeline.bars.iter().map(of).sum::<u64>();
        let counted = (
            sum(|bar| bar.started),
            sum(|bar| bar.completed),
            sum(|bar| bar.terminated),
        );
        assert_eq!(counted, expected, "in life {life}");
        assert!(!timeline.is_truncated && timeline.bars.len() <= 100);
        assert!(timeline.from <= begun - hour && begun + hour <= timeline.to);
        assert_eq!(timeline.bars[1].start, timeline.from + timeline.bar);
        let tiny = client
            .admin()
            .timeline(begun, begun + Duration::from_millis(1), 500)
            .await
            .unwrap();
        assert!(tiny.bars.len() <= 2 && tiny.bar == Duration::from_secs(10));
        for (from, to, bars) in [(begun, begun, 1), (begun, begun + hour, 0), (begun, begun + hour, 501)] {
            let error = client.admin().timeline(from, to, bars).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArguments);
        }
        hub.shutdown().await.unwrap();
    }
    let stopped = Hub::inspect(place.path()).client().await.unwrap();
    let hour = Duration::from_secs(3_600);
    let timeline = stopped.admin().timeline(begun - hour, begun + hour, 1).await.unwrap();
    assert_eq!(timeline.bars[0].started, expected.0);
}
