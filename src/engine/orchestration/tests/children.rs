//! Sub-orchestrations, and the rows through which their parents find them.

use super::*;

/// Waits for a number of concurrent children in each of a number of executions. Fails without children.
#[orchestration]
async fn family(ctx: OrchestrationContext, sizes: (u32, u32)) -> Result<(), Failure> {
    let (executions, children) = sizes;
    let calls: Vec<_> = (1..=children).map(|n| ctx.call_sub_orchestration::<echo>(n)).collect();
    for call in calls {
        call.await?;
    }
    match executions {
        0 | 1 if children == 0 => Err(Failure::message("no child")),
        0 | 1 => Ok(()),
        _ => ctx.continue_as_new((executions - 1, children)).await,
    }
}

/// Waits for the child `kid`, which waits for the event `go`.
#[orchestration]
async fn single(ctx: OrchestrationContext) -> Result<u32, Failure> {
    Ok(ctx.call_sub_orchestration::<echo>(0).instance_id("kid").await?)
}

/// Waits for a `single`, so `kid` is a child of a child.
#[orchestration]
async fn elder(ctx: OrchestrationContext) -> Result<u32, Failure> {
    Ok(ctx.call_sub_orchestration::<single>(()).instance_id("middle").await?)
}

/// Waits for a child that fails, and retries it.
#[orchestration]
async fn insists(ctx: OrchestrationContext) -> Result<(), Failure> {
    let policy = RetryPolicy::new(3).first_interval(std::time::Duration::from_millis(1));
    let child = ctx.call_sub_orchestration::<family>((0, 0)).instance_id("kid");
    Ok(child.retry(policy).await?)
}

/// Runs a number of children, and waits for an event when they have ended.
#[orchestration]
async fn patient(ctx: OrchestrationContext, children: u32) -> Result<(), Failure> {
    for child in 1..=children {
        ctx.call_sub_orchestration::<echo>(child).await?;
    }
    ctx.wait_for_external_event::<()>("go").await?;
    Ok(())
}

/// Runs a child `kid` in each execution. The child has a child of its own.
#[orchestration]
async fn twice(ctx: OrchestrationContext, executions: u32) -> Result<(), Failure> {
    ctx.call_sub_orchestration::<family>((1, 1)).instance_id("kid").await?;
    match executions {
        0 | 1 => Ok(()),
        _ => ctx.continue_as_new(executions - 1).await,
    }
}

fn open() -> Stage {
    let mut stage = Stage::open();
    stage.reopen(&[
        orchestration_code::<echo>(),
        orchestration_code::<family>(),
        orchestration_code::<single>(),
        orchestration_code::<elder>(),
        orchestration_code::<insists>(),
        orchestration_code::<twice>(),
        orchestration_code::<patient>(),
    ]);
    stage
}

pub(super) fn order(name: &str, input: &str) -> Order {
    Order::Start(Box::new(StartRecord {
        name: name.into(),
        input: input.into(),
        ..StartRecord::default()
    }))
}

pub(super) fn purge(children: bool) -> Order {
    Order::Purge { children, seen: None }
}

pub(super) fn terminate(children: bool) -> Order {
    Order::Terminate {
        reason: "a client".into(),
        children,
    }
}

impl Stage {
    /// Returns the parent and the child of each child row.
    fn children(&self) -> Vec<(String, String)> {
        let rows = (0..PARTITIONS).flat_map(|partition| {
            let range = schema::child::all(PartitionId(partition));
            self.model.keys(range, usize::MAX).unwrap()
        });
        rows.map(|key| {
            let (parent, child, _) = schema::child::parts(&key).unwrap();
            (parent.to_owned(), child.to_owned())
        })
        .collect()
    }

    /// Returns the number of orchestrations.
    fn orchestrations(&self) -> usize {
        let rows = (0..PARTITIONS).map(|partition| {
            let range = schema::orchestration::with_prefix(PartitionId(partition), "");
            self.model.keys(range, usize::MAX).unwrap().len()
        });
        rows.sum()
    }

    /// Advances the time past the waits between three attempts.
    fn pass(&mut self) {
        for _ in 0..2 {
            self.now += 1_000;
            self.run();
        }
    }
}

/// A purge with children reaches the children of every execution, including those before continuing as new and before a
/// restart. No rows are left.
#[test]
fn a_purge_reaches_the_children_of_every_execution() {
    let mut stage = open();
    stage.tell("parent", order("family", "[3,2]")).unwrap();
    stage.tell("parent", Order::Restart).unwrap();
    stage.tell("other", order("family", "[2,1]")).unwrap();
    assert_eq!(stage.status("parent"), OrchestrationStatus::Completed);
    // The restart runs one execution, with the input of the last one.
    assert_eq!(stage.orchestrations(), 1 + 8 + 1 + 2);
    stage.tell("parent", purge(true)).unwrap();
    assert_eq!(stage.orchestrations(), 1 + 2);
    let left: BTreeSet<String> = stage.children().into_iter().map(|(parent, _)| parent).collect();
    assert_eq!(left, BTreeSet::from(["other".to_owned()]));
    stage.tell("other", purge(false)).unwrap();
    assert_eq!((stage.orchestrations(), stage.children()), (2, Vec::new()));
}

/// Children are purged together with their own children.
#[test]
fn a_purge_reaches_the_children_of_children() {
    let mut stage = open();
    stage.tell("parent", order("elder", "null")).unwrap();
    stage.tell("kid", go()).unwrap();
    stage.tell("parent", purge(true)).unwrap();
    assert_eq!((stage.orchestrations(), stage.children()), (0, Vec::new()));
}

/// Children that exceed one step are purged page by page, and so are their rows if the children remain.
#[test]
fn many_children_are_purged_page_by_page() {
    let page = Limits::default().page;
    for with_children in [true, false] {
        let mut stage = open();
        stage.tell("parent", order("family", "[2,300]")).unwrap();
        assert_eq!(stage.children().len(), 600);
        stage.send("parent", purge(with_children));
        while stage.core.has_work(Timestamp(stage.now)) {
            let before = (stage.children().len(), stage.orchestrations());
            stage.step();
            let gone = (before.0 - stage.children().len(), before.1 - stage.orchestrations());
            assert!(
                gone.0 <= page && gone.1 <= page + 1,
                "{gone:?} rows were removed in one step"
            );
        }
        let left = if with_children { 0 } else { 600 };
        assert_eq!((stage.orchestrations(), stage.children().len()), (left, 0));
    }
}

/// The row of a child is removed with it: when a client purges the child, and when another orchestration takes its id.
#[test]
fn a_child_takes_its_row_along() {
    let mut stage = open();
    stage.tell("parent", order("single", "null")).unwrap();
    let row = vec![("parent".to_owned(), "kid".to_owned())];
    assert_eq!(stage.children(), row);
    stage.tell("kid", go()).unwrap();
    assert_eq!(stage.children(), row);
    stage.tell("kid", purge(false)).unwrap();
    assert_eq!(stage.children(), []);

    stage.tell("parent", Order::Restart).unwrap();
    assert_eq!(stage.children(), row);
    stage.tell("kid", go()).unwrap();
    stage.tell("kid", begin(7)).unwrap();
    assert_eq!(stage.children(), []);
    stage.tell("parent", purge(true)).unwrap();
    assert_eq!(stage.status("kid"), OrchestrationStatus::Completed);
}

/// An orchestration that replaces another one has none of its children, even if all of this happens in one step.
#[test]
fn children_are_not_inherited() {
    let mut stage = open();
    stage.tell("parent", order("twice", "2")).unwrap();
    let parents: Vec<String> = stage.children().into_iter().map(|(parent, _)| parent).collect();
    assert_eq!(
        BTreeSet::from_iter(parents),
        BTreeSet::from(["kid".into(), "parent".into()])
    );
    assert_eq!(stage.children().len(), 2);
    stage.tell("parent", purge(true)).unwrap();
    assert_eq!((stage.orchestrations(), stage.children()), (1, Vec::new()));
}

/// A child that was restarted or retried is still the child of its parent, and has one row.
#[test]
fn a_child_that_begins_again_stays_a_child() {
    let mut stage = open();
    stage.tell("parent", order("single", "null")).unwrap();
    stage.tell("kid", go()).unwrap();
    stage.tell("kid", Order::Restart).unwrap();
    stage.tell("kid", go()).unwrap();
    assert_eq!(stage.children().len(), 1);
    stage.tell("parent", purge(true)).unwrap();
    assert_eq!((stage.orchestrations(), stage.children()), (0, Vec::new()));

    stage.tell("parent", order("insists", "null")).unwrap();
    stage.pass();
    assert_eq!(stage.status("parent"), OrchestrationStatus::Failed);
    assert_eq!(stage.children().len(), 1);
    stage.tell("parent", purge(true)).unwrap();
    assert_eq!((stage.orchestrations(), stage.children()), (0, Vec::new()));
}

/// A child that continues as new stays a child, and so does its restart by a client.
#[test]
fn a_child_that_continues_as_new_stays_a_child() {
    let mut stage = open();
    let start = StartRecord {
        name: "family".into(),
        input: b"[2,1]".to_vec(),
        ..wanted(0, 1)
    };
    stage.deliver("parent", "kid", vec![Order::Start(Box::new(start))]);
    assert_eq!(stage.status("kid"), OrchestrationStatus::Completed);
    let parent = wanted(0, 1).parent;
    assert_eq!(
        (stage.start_of("kid").input, stage.start_of("kid").parent),
        (b"[1,1]".to_vec(), parent.clone())
    );
    stage.tell("kid", Order::Restart).unwrap();
    assert_eq!(stage.record("kid").unwrap().parent, parent);
}

/// A parent could not start a child, because the child of its earlier execution ran. After a rewind, it starts a child
/// of its own and does not take the result of the other one.
#[test]
fn a_rewound_parent_does_not_take_the_result_of_an_earlier_execution() {
    use OrchestrationStatus::{Completed, Failed, Running};
    let mut stage = open();
    stage.tell("parent", order("single", "null")).unwrap();
    stage.tell("parent", terminate(false)).unwrap();
    stage.tell("parent", Order::Restart).unwrap();
    stage.tell("kid", go()).unwrap();
    let statuses = |stage: &Stage| (stage.status("parent"), stage.status("kid"));
    assert_eq!(statuses(&stage), (Failed, Completed));
    let rewind = Order::Rewind {
        reason: "the id is free".into(),
        start: None,
    };
    stage.tell("parent", rewind).unwrap();
    assert_eq!(statuses(&stage), (Running, Running));
    stage.tell("kid", go()).unwrap();
    assert_eq!(statuses(&stage), (Completed, Completed));
}

/// A rewind keeps the children of the parent, whatever their state, with one row each.
#[test]
fn a_rewound_parent_keeps_its_children() {
    for purged_first in [false, true] {
        let mut stage = open();
        stage.tell("parent", order("insists", "null")).unwrap();
        stage.pass();
        if purged_first {
            stage.tell("kid", purge(false)).unwrap();
            assert_eq!(stage.children(), []);
        }
        let rewind = Order::Rewind {
            reason: "fixed".into(),
            start: None,
        };
        stage.tell("parent", rewind).unwrap();
        stage.pass();
        assert_eq!(stage.status("kid"), OrchestrationStatus::Failed);
        assert_eq!(stage.children().len(), 1);
        stage.tell("parent", purge(true)).unwrap();
        assert_eq!((stage.orchestrations(), stage.children()), (0, Vec::new()));
    }
}

/// A purge does not affect the children of an earlier orchestration with the same id. This is true even if the later
/// one has requested the same child and was refused.
#[test]
fn a_purge_leaves_the_children_of_an_earlier_life() {
    for purged in [true, false] {
        let mut stage = open();
        stage.tell("parent", order("single", "null")).unwrap();
        stage.tell("parent", terminate(false)).unwrap();
        if purged {
            stage.tell("parent", purge(false)).unwrap();
        }
        // This replaces the first parent, if it still exists.
        stage.tell("parent", order("single", "null")).unwrap();
        assert_eq!(stage.status("parent"), OrchestrationStatus::Failed);
        assert_eq!(stage.children(), []);
        stage.tell("kid", go()).unwrap();
        stage.tell("parent", purge(true)).unwrap();
        assert_eq!(stage.status("kid"), OrchestrationStatus::Completed);
        stage.tell("kid", purge(false)).unwrap();
        assert_eq!((stage.orchestrations(), stage.children()), (0, Vec::new()));
    }
}

/// A restarted parent cannot start a child while the child of its earlier execution runs. A purge of the parent finds
/// that child.
#[test]
fn a_refused_start_does_not_hide_the_child_of_an_earlier_execution() {
    let mut stage = open();
    stage.tell("parent", order("single", "null")).unwrap();
    stage.tell("parent", terminate(false)).unwrap();
    stage.tell("parent", Order::Restart).unwrap();
    assert_eq!(stage.status("parent"), OrchestrationStatus::Failed);
    stage.tell("kid", go()).unwrap();
    stage.tell("parent", purge(true)).unwrap();
    assert_eq!((stage.orchestrations(), stage.children()), (0, Vec::new()));
}

/// The purge of an earlier attempt of a child keeps the row of the next attempt, which the parent has already started.
#[test]
fn a_late_word_of_a_former_attempt_leaves_the_next_one() {
    let mut stage = open();
    stage.tell("parent", order("single", "null")).unwrap();
    let first = stage.record("kid").unwrap().start_order.unwrap();
    stage.tell("parent", terminate(true)).unwrap();
    stage.tell("parent", Order::Restart).unwrap();
    let row = stage.children();
    stage.deliver("kid", "parent", vec![Order::ChildGone { start: first }]);
    assert_eq!((stage.children(), row.len()), (row.clone(), 1));
    // An order of an earlier parent to the child is not for the current child.
    stage.tell("kid", go()).unwrap();
    stage.deliver("parent", "kid", vec![Order::PurgeChild { start: first }]);
    assert_eq!(stage.status("kid"), OrchestrationStatus::Completed);
}

/// A start that is canceled before it was processed leaves a row only if the child could begin.
#[test]
fn a_start_that_is_taken_back_has_a_row_if_it_began() {
    for (taken, rows) in [(true, 0), (false, 1)] {
        let mut stage = open();
        stage.tell("parent", order("family", "[1,1]")).unwrap();
        stage.tell("parent", terminate(true)).unwrap_err();
        assert_eq!(stage.children().len(), 1);
        if taken {
            stage.tell("kid", begin(0)).unwrap();
        }
        stage.start_and_take_back("parent", "kid");
        assert_eq!(stage.children().len(), 1 + rows);
    }
}

impl Stage {
    /// Simulates a parent that starts a child and cancels it immediately, in the commit of another core.
    fn start_and_take_back(&mut self, parent: &str, child: &str) {
        let order = MessageId {
            batch: self.batch + 1,
            index: 0,
        };
        let start = StartRecord {
            parent: Some(Parent {
                instance: parent.into(),
                ..wanted(0, 1).parent.unwrap()
            }),
            order: Some(order),
            ..start(0)
        };
        let (parent, child) = (InstanceId::trusted(parent), InstanceId::trusted(child));
        let mut batch = Batch::default();
        batch.put(
            &schema::child::key(parent.partition(PARTITIONS), &parent, &child, order),
            &[],
        );
        self.model.write(&batch).unwrap();
        let cancel = Order::CancelChild {
            parent: start.parent.clone().unwrap(),
            reason: None,
            terminated: false,
        };
        self.deliver(
            parent.as_str(),
            child.as_str(),
            vec![Order::Start(Box::new(start)), cancel],
        );
    }
}

/// An order that takes more than one step of the core is completed even if the hub crashes in between. Without a crash,
/// its client receives a response. Examples are a purge and a start that replaces another orchestration.
#[test]
fn an_order_that_takes_several_steps_is_carried_out_in_full() {
    let replace = |reuse| Order::Start(Box::new(StartRecord { reuse, ..start(1) }));
    let orders = [
        (purge(true), 0),
        (purge(false), 600),
        (replace(ReusePolicy::Error), 601),
        (replace(ReusePolicy::Terminate), 601),
    ];
    for ((order, left), goes_down) in orders.iter().flat_map(|order| [(order, false), (order, true)]) {
        let mut stage = open();
        stage.tell("parent", self::order("family", "[2,300]")).unwrap();
        let token = stage.send("parent", order.clone());
        stage.step();
        assert!((1..600).contains(&stage.children().len()) && !stage.answers.contains_key(&token));
        if goes_down {
            stage.reopen(&[orchestration_code::<echo>()]);
        } else {
            stage.run();
        }
        assert_eq!(
            (stage.children().len(), stage.orchestrations()),
            (0, *left),
            "{order:?}"
        );
        assert_eq!(stage.answers.contains_key(&token), !goes_down, "{order:?}");
    }
}

/// The same is true for a start that replaces a suspended orchestration with waiting events. The new orchestration does
/// not receive these events.
#[test]
fn a_suspended_orchestration_with_many_children_is_replaced_in_full() {
    let in_its_place = StartRecord {
        reuse: ReusePolicy::Terminate,
        ..start(0)
    };
    for goes_down in [false, true] {
        let mut stage = open();
        stage.tell("parent", order("patient", "600")).unwrap();
        assert_eq!(stage.children().len(), 600);
        stage.tell("parent", Order::Suspend { reason: String::new() }).unwrap();
        for _ in 0..3 {
            stage.tell("parent", go()).unwrap();
        }
        let token = stage.send("parent", Order::Start(Box::new(in_its_place.clone())));
        stage.step();
        assert!((1..600).contains(&stage.children().len()));
        if goes_down {
            stage.reopen(&[orchestration_code::<echo>()]);
        } else {
            stage.run();
        }
        assert_eq!(stage.answers.contains_key(&token), !goes_down);
        assert_eq!((stage.children().len(), stage.orchestrations()), (0, 601));
        let record = stage.record("parent").unwrap();
        assert_eq!(
            (record.name.as_str(), record.status),
            ("echo", OrchestrationStatus::Running)
        );
        stage.tell("parent", go()).unwrap();
        assert_eq!(stage.status("parent"), OrchestrationStatus::Completed);
    }
}

/// No message overtakes an order that takes several steps. A restart that arrives in between is for the orchestration
/// that begins.
#[test]
fn an_order_that_takes_several_steps_is_not_passed() {
    let mut stage = open();
    stage.tell("parent", order("patient", "600")).unwrap();
    stage.tell("parent", go()).unwrap();
    let started = stage.send("parent", begin(0));
    stage.step();
    assert!((1..600).contains(&stage.children().len()));
    let error = stage.tell("parent", Order::Restart).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongState);
    assert!(matches!(stage.answers[&started], Response::Answer(_)));
    assert_eq!(
        (stage.record("parent").unwrap().name.as_str(), stage.children()),
        ("echo", vec![])
    );
}
