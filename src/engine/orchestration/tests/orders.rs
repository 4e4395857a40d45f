//! Orders that clients and other instances send to an orchestration.

use super::children::terminate;
use super::*;
use crate::engine::message::{WaitUntil, Waiter};
use crate::model::Outcome;
use crate::model::history::Incoming;
use crate::model::orchestration::{Unregistered, UnregisteredKind};

/// Sends both orders and runs one step.
fn suspend_and_resume(stage: &mut Stage, id: &str) -> [Token; 2] {
    let reason = || "a client".to_owned();
    let tokens = [Order::Suspend { reason: reason() }, Order::Resume { reason: reason() }];
    let tokens = tokens.map(|order| stage.send(id, order));
    stage.step();
    tokens
}

/// A suspension and a resumption need no rows, so one step executes both. The history shows them.
#[test]
fn one_step_suspends_and_resumes() {
    let mut stage = Stage::open();
    stage.tell("o", begin(0)).unwrap();
    let tokens = suspend_and_resume(&mut stage, "o");
    assert!(
        tokens.iter().all(|token| stage.answers.contains_key(token)),
        "an order waits for the next step"
    );
    assert_eq!(stage.status("o"), OrchestrationStatus::Running);
    let noted: Vec<Incoming> = stage
        .turns("o")
        .into_iter()
        .skip(1)
        .flat_map(|turn| turn.incoming)
        .collect();
    let reason = || "a client".to_owned();
    assert_eq!(
        noted,
        [
            Incoming::Suspended { reason: reason() },
            Incoming::Resumed { reason: reason() }
        ]
    );
}

/// A message stops an orchestration whose code is missing. The build that has the code continues the orchestration,
/// even if no step waits for the message.
#[test]
fn a_stop_ends_with_the_build_that_has_the_code() {
    let mut stage = Stage::open();
    stage.reopen(&[orchestration_code::<moody>()]);
    stage.tell("o", Order::Start(Box::new(moody_start(1)))).unwrap();
    let late = Order::Completed {
        execution: stage.record("o").unwrap().execution,
        sequence: 99,
        outcome: Outcome::Answer(b"null".to_vec()),
    };
    stage.reopen(&[]);
    stage.deliver("other", "o", vec![late]);
    assert!(stage.record("o").unwrap().stopped.is_some());
    stage.reopen(&[orchestration_code::<moody>()]);
    assert_eq!(stage.record("o").unwrap().stopped, None);
}

/// A report about an unregistered dependency loads the code of its receiver only if it can change what is recorded.
#[test]
fn a_report_without_news_replays_nothing() {
    let mut stage = Stage::open();
    stage.tell("o", begin(0)).unwrap();
    let execution = stage.record("o").unwrap().execution;
    let missing = Unregistered {
        kind: UnregisteredKind::Entity,
        name: "stock".into(),
        instance: None,
    };
    for (execution, on, expected) in [
        (execution, None, 0),
        (ExecutionId([9; 16]), Some(missing.clone()), 0),
        (execution, Some(missing), 1),
    ] {
        stage.reopen(&[orchestration_code::<echo>()]);
        stage.steps.clear();
        let report = Order::Awaits {
            execution,
            sequence: 99,
            on,
        };
        stage.deliver("kid", "o", vec![report.clone()]);
        let replays: u64 = stage.steps.iter().map(|step| step.counts.replays).sum();
        assert_eq!(replays, expected, "{report:?}");
    }
}

/// A client that waits for a result receives the reason of the end.
#[test]
fn a_waiting_client_receives_the_reason_of_an_end() {
    for (end, text) in [
        (unwanted(1), "was canceled by its parent: `parent` no longer needs it"),
        (terminate(true), "was terminated: a client"),
    ] {
        let mut stage = Stage::open();
        stage.deliver("parent", "kid", vec![Order::Start(Box::new(wanted(0, 1)))]);
        let token = Token::of_wait(1);
        stage.core.accept(Input::Wait {
            instance: InstanceId::trusted("kid"),
            waiter: Waiter {
                token,
                until: WaitUntil::End,
            },
        });
        stage.run();
        assert!(!stage.answers.contains_key(&token));
        stage.deliver("parent", "kid", vec![end]);
        let Response::Failed(failure) = &stage.answers[&token] else {
            panic!("{:?}", stage.answers[&token]);
        };
        let CallFailure::Runtime(error) = &**failure else {
            panic!("{failure:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Terminated);
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// A start that is due begins in the step that receives it, without a timer.
#[test]
fn a_start_that_is_due_begins_at_once() {
    let mut stage = Stage::open();
    let start = StartRecord {
        at: Some(Timestamp(stage.now + 1)),
        ..start(1)
    };
    stage.send("o", Order::Start(Box::new(start)));
    stage.step();
    assert_eq!(stage.status("o"), OrchestrationStatus::Completed);
}

/// The timer of a start is removed with an orchestration that ends before it begins.
#[test]
fn a_terminated_start_leaves_no_timer() {
    let timers = |stage: &Stage| -> usize {
        let rows = (0..PARTITIONS).map(|partition| {
            let range = schema::timer::all(PartitionId(partition));
            stage.model.keys(range, usize::MAX).unwrap().len()
        });
        rows.sum()
    };
    let mut stage = Stage::open();
    let start = StartRecord {
        at: Some(Timestamp(stage.now + 1_000)),
        ..start(1)
    };
    stage.tell("o", Order::Start(Box::new(start))).unwrap();
    assert_eq!(timers(&stage), 1);
    stage.tell("o", terminate(true)).unwrap();
    assert_eq!(timers(&stage), 0);
}
