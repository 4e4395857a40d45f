//! What the outside learns about orchestrations: their changes, counters, facts and names.

use std::time::Duration;

use super::children::{order, purge, terminate};
use super::*;
use crate::activity::activity_code;
use crate::engine::Fact;
use crate::model::Outcome;

/// An activity that a core never runs.
#[activity]
async fn mail() -> Result<(), Failure> {
    Ok(())
}

/// Calls an activity at most twice.
#[orchestration]
async fn tries(ctx: OrchestrationContext) -> Result<(), Failure> {
    let policy = RetryPolicy::new(2).first_interval(Duration::from_millis(1));
    Ok(ctx.call_activity::<mail>(()).retry(policy).await?)
}

/// Watchers receive each change of an orchestration once. The counters contain its starts and ends.
#[test]
fn watchers_receive_each_change_once() {
    use ChangeKind::{Ended, Purged, Started, Status, Stopped, Turn};
    let reason = || "a client".to_owned();
    let mut stage = Stage::open();
    stage.reopen(&[orchestration_code::<moody>()]);
    stage.tell("o", Order::Start(Box::new(moody_start(1)))).unwrap();
    stage.tell("o", Order::Suspend { reason: reason() }).unwrap();
    stage.tell("o", Order::Resume { reason: reason() }).unwrap();
    stage.reopen(&[]);
    stage.tell("o", go()).unwrap();
    stage.reopen(&[orchestration_code::<moody>()]);
    stage.tell("o", Order::Restart).unwrap();
    stage.tell("o", terminate(true)).unwrap();
    stage.tell("o", purge(true)).unwrap();
    let changes = stage.effects().filter_map(|effect| match effect {
        Effect::Changes(changes) => Some(changes),
        _ => None,
    });
    let kinds: Vec<ChangeKind> = changes.flatten().map(|change| change.kind).collect();
    let kinds: Vec<ChangeKind> = kinds.into_iter().filter(|kind| *kind != Turn).collect();
    assert_eq!(kinds, [Started, Status, Status, Stopped, Ended, Started, Ended, Purged]);
    let counts = stage.steps.iter().map(|step| &step.counts);
    let counts = counts.map(|counts| [counts.started, counts.completed, counts.failed, counts.terminated]);
    let sum = counts.fold([0; 4], |sum, counts| std::array::from_fn(|at| sum[at] + counts[at]));
    assert_eq!(sum, [2, 1, 0, 1]);
}

/// The first attempt of an activity does not count as a retry.
#[test]
fn only_a_further_attempt_is_a_retry() {
    let mut stage = Stage::open();
    let mut registry = Registry::default();
    registry.add_orchestration(orchestration_code::<tries>()).unwrap();
    registry.add_activity(activity_code::<mail>()).unwrap();
    let config = CoreConfig::of_all(PARTITIONS, registry, &Limits::default());
    stage.core = Core::open(config, &stage.model).unwrap();
    stage.tell("o", order("tries", "null")).unwrap();
    let retries = |stage: &Stage| {
        let facts = stage.steps.iter().flat_map(|step| &step.facts);
        facts
            .filter(|fact| matches!(fact, Fact::ActivityRetried { .. }))
            .count()
    };
    assert_eq!(retries(&stage), 0);
    let started = stage.effects().find_map(|effect| match effect {
        Effect::StartActivity(start) => Some((start.activity.clone(), start.attempt)),
        _ => None,
    });
    let (activity, attempt) = started.unwrap();
    stage.core.accept(Input::ActivityEnded {
        activity,
        attempt,
        ended: Outcome::Returned(Failure::message("no")).into(),
        span: None,
    });
    stage.run();
    stage.now += 1_000;
    stage.run();
    assert_eq!(retries(&stage), 1);
}

/// The store lists the names of all orchestrations that were started, with their versions.
#[test]
fn the_names_of_orchestrations_are_listed() {
    let mut stage = Stage::open();
    stage.reopen(&[orchestration_code::<echo>(), orchestration_code::<moody>()]);
    for (id, start) in [("a", start(1)), ("b", start(2)), ("c", moody_start(1))] {
        stage.tell(id, Order::Start(Box::new(start))).unwrap();
    }
    let keys = (0..PARTITIONS).flat_map(|partition| {
        let range = schema::orchestration::names(PartitionId(partition));
        stage.model.keys(range, usize::MAX).unwrap()
    });
    let names: BTreeSet<(String, String)> = keys
        .map(|key| {
            let (name, version) = schema::orchestration::name_parts(&key).unwrap();
            (name.to_owned(), version.to_owned())
        })
        .collect();
    let expected = [("echo", ""), ("moody", "2")].map(|(name, version)| (name.to_owned(), version.to_owned()));
    assert_eq!(names, BTreeSet::from(expected));
}
