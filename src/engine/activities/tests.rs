//! A core on the model store. The tests control its activities.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::engine::code::{ActivityCode, ActivityFuture, Attempt};
use crate::engine::core::{Core, CoreConfig};
use crate::engine::core_step::CoreStep;
use crate::engine::message::Input;
use crate::engine::{Limits, Registry};
use crate::failure::{Cause, Failure};
use crate::id::{ExecutionId, InstanceId};
use crate::model::MessageRecord;
use crate::store::{Batch, Model, Store};
use crate::time::Timestamp;

/// An activity with only a name and a limit, because a core never runs it.
struct Known(&'static str, Option<usize>);

impl ActivityCode for Known {
    fn name(&self) -> &str {
        self.0
    }
    fn limit(&self) -> Option<usize> {
        self.1
    }
    fn timeout(&self) -> Option<Duration> {
        None
    }
    fn is_blocking(&self) -> bool {
        false
    }
    fn check_input(&self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
    fn run(&self, _: Vec<u8>, _: Attempt) -> ActivityFuture {
        unreachable!("a core does not run activities")
    }
}

/// A hub with one core and no threads.
struct Stage {
    model: Model,
    core: Core,
    now: u64,
    batch: u64,
}

impl Stage {
    /// Opens a core on `model` with the activities `mail` and `print`. `print` is limited to one at a time.
    fn open(model: Model, limits: &Limits) -> Self {
        Self::open_with(model, limits, &[Known("mail", None), Known("print", Some(1))], u64::MAX)
    }

    fn open_with(model: Model, limits: &Limits, known: &[Known], calm_since: u64) -> Self {
        let mut registry = Registry::default();
        for Known(name, limit) in known {
            registry.add_activity(Arc::new(Known(name, *limit))).unwrap();
        }
        let config = CoreConfig {
            calm_since,
            ..CoreConfig::of_all(4, registry, limits)
        };
        let core = Core::open(config, &model).unwrap();
        Self {
            model,
            core,
            now: 1_000,
            batch: 1,
        }
    }

    /// Simulates a crash of the process and an open by another one.
    fn crash(self, limits: &Limits) -> Self {
        Self {
            now: self.now + 1_000,
            batch: self.batch,
            ..Self::open(self.model.crash(usize::MAX), limits)
        }
    }

    /// Simulates a failure of the hub after which its process releases it, and an open by another process.
    fn fail(self, limits: &Limits) -> Self {
        let known = [Known("mail", None), Known("print", Some(1))];
        Self {
            now: self.now + 1_000,
            batch: self.batch,
            ..Self::open_with(self.model.crash(usize::MAX), limits, &known, 0)
        }
    }

    /// Closes the hub while activities run, and opens it again.
    fn close(mut self, limits: &Limits) -> Self {
        self.core.begin_no_more_activities();
        assert!(!self.core.activities().has_work(&Limits::default()));
        if let Some(step) = self.core.leave(Timestamp(self.now), 90, &self.model).unwrap() {
            assert!(step.outputs.is_empty());
            self.write(&step.batch);
        }
        self.crash(limits)
    }

    fn write(&self, batch: &Batch) {
        self.model.write(batch).unwrap();
    }

    /// Simulates the turn of an orchestration that requests activities in one commit. Returns the activities that
    /// start.
    fn request(&mut self, name: &str, sequences: impl IntoIterator<Item = u64>) -> Vec<u64> {
        self.batch += 1;
        let mut step = self.core.new_step(Timestamp(self.now), self.batch);
        for sequence in sequences {
            let request = ActivityRequest {
                asked_by: ExecutionId([7; 16]),
                activity: key(sequence),
                name: name.to_owned(),
                input: sequence.to_string().into(),
                attempt: 1,
                timeout: None,
            };
            request_activity(request, &mut self.core.split(&mut step, &self.model).1).unwrap();
        }
        self.write(&step.batch);
        begun(&step)
    }

    /// Simulates the turn of an orchestration that drops its futures.
    fn drop(&mut self, sequence: u64) -> Vec<String> {
        self.batch += 1;
        let mut step = self.core.new_step(Timestamp(self.now), self.batch);
        drop_activity(&key(sequence), &mut self.core.split(&mut step, &self.model).1).unwrap();
        self.write(&step.batch);
        step.outputs.iter().map(|output| format!("{output:?}")).collect()
    }

    fn end(&mut self, sequence: u64, ended: impl Into<ActivityEnd>) -> Vec<u64> {
        self.core.accept(Input::ActivityEnded {
            span: None,
            activity: key(sequence),
            attempt: 1,
            ended: ended.into(),
        });
        self.run()
    }

    fn answer(&mut self, sequence: u64) -> Vec<u64> {
        self.end(sequence, Outcome::Answer(b"true".to_vec()))
    }

    /// Runs steps until there is no work left. Returns the activities that start.
    fn run(&mut self) -> Vec<u64> {
        let mut all = Vec::new();
        while self.core.has_work(Timestamp(self.now)) {
            self.now += 1;
            self.batch += 1;
            let step = self
                .core
                .step(Timestamp(self.now), self.batch, &self.model, u64::MAX, usize::MAX)
                .unwrap();
            if !step.batch.is_empty() {
                self.write(&step.batch);
            }
            all.extend(begun(&step));
        }
        all
    }

    fn row(&self, sequence: u64) -> Option<ActivityRecord> {
        let activity = key(sequence);
        let partition = activity.instance.partition(4);
        let key = schema::activity::key(partition, &activity.instance, activity.execution, activity.sequence);
        let row = self.model.get(&key).unwrap()?;
        Some(model::decode(&row, "activity").unwrap())
    }

    /// Returns the outcomes that the orchestration received, in order, with the sequences.
    fn told(&self) -> Vec<(u64, Outcome)> {
        let told = self.orders().into_iter().map(|order| {
            let Order::Completed { sequence, outcome, .. } = order else {
                panic!("{order:?}")
            };
            (sequence, outcome)
        });
        told.collect()
    }

    fn orders(&self) -> Vec<Order> {
        let range = schema::message::all(orchestration().partition(4));
        let rows = self.model.scan(range, usize::MAX).unwrap();
        let orders = rows.into_iter().map(|(_, value)| {
            let record: MessageRecord = model::decode(&value, "message").unwrap();
            let Action::Order(order) = record.action else {
                panic!("{:?}", record.action)
            };
            *order
        });
        orders.collect()
    }
}

/// An instance whose type is not registered, so all messages to it remain rows.
fn orchestration() -> InstanceId {
    InstanceId::trusted("@unregistered@here")
}

fn key(sequence: u64) -> ActivityKey {
    ActivityKey {
        instance: orchestration(),
        execution: ExecutionId([7; 16]),
        sequence,
    }
}

fn begun(step: &CoreStep) -> Vec<u64> {
    let begun = step.outputs.iter().filter_map(|output| match output {
        Output::Effect(Effect::StartActivity(start)) => {
            assert_eq!(start.input, start.activity.sequence.to_string().into_bytes());
            Some(start.activity.sequence)
        }
        _ => None,
    });
    begun.collect()
}

const NONE: [u64; 0] = [];

fn narrow(activities: usize) -> Limits {
    Limits {
        activities,
        ..Limits::default()
    }
}

/// Activities with a slot start in the commit that requests them and are recorded as started. The others wait in order.
#[test]
fn activities_begin_as_slots_become_free() {
    let mut stage = Stage::open(Model::new(), &narrow(2));
    assert_eq!(stage.request("mail", 1..=5), [1, 2]);
    let started = |stage: &Stage| {
        (1..=5)
            .map(|n| stage.row(n).map(|row| row.started.is_some()))
            .collect::<Vec<_>>()
    };
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(started(&stage), [yes, yes, no, no, no]);
    assert_eq!(stage.core.running(), 2);
    assert_eq!(stage.answer(2), [3]);
    assert_eq!(started(&stage), [yes, None, yes, no, no]);
    assert_eq!(stage.answer(1), [4]);
    assert_eq!(stage.answer(4), [5]);
    assert_eq!(stage.answer(3), NONE);
    assert_eq!(stage.answer(5), NONE);
    assert_eq!(started(&stage), [None; 5]);
    let sequences: Vec<u64> = stage.told().into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(sequences, [2, 1, 4, 3, 5]);
    assert_eq!(stage.core.running(), 0);
}

/// Every end becomes the outcome of the step, with all details of a failure.
#[test]
fn an_end_is_told_whole() {
    let limits = Limits {
        payload_bytes: 64,
        ..Limits::default()
    };
    let mut stage = Stage::open(Model::new(), &limits);
    stage.request("mail", 1..=5);
    let failure = Failure {
        error_type: "Refused".into(),
        details: Some("{}".into()),
        causes: vec![Cause::message("why")],
        ..Failure::message("no").non_retriable()
    };
    let error = Error::new(ErrorKind::Panicked, "oh");
    stage.answer(1);
    stage.end(2, Outcome::Returned(failure.clone()));
    stage.end(3, Outcome::Runtime(error.clone()));
    stage.end(4, Outcome::Answer(vec![b'1'; 65]));
    stage.end(5, Outcome::Returned(Failure::message("x".repeat(65))));
    let told = stage.told();
    assert_eq!(told[0], (1, Outcome::Answer(b"true".to_vec())));
    assert_eq!(told[1], (2, Outcome::Returned(failure)));
    assert_eq!(told[2], (3, Outcome::Runtime(error)));
    for (_, outcome) in &told[3..] {
        assert!(matches!(outcome, Outcome::Runtime(error) if error.kind() == ErrorKind::TooLarge));
    }
}

/// A canceled activity is asked to stop. Its row is removed immediately, and its slot is released when it has ended.
/// The orchestration does not receive its end.
#[test]
fn a_dropped_activity_ends_unheard() {
    let mut stage = Stage::open(Model::new(), &narrow(1));
    stage.request("mail", 1..=3);
    assert_eq!(
        stage.drop(2),
        Vec::<String>::new(),
        "a waiting activity is only removed"
    );
    assert_eq!(stage.drop(1).len(), 1);
    assert_eq!((stage.row(1), stage.row(2)), (None, None));
    assert_eq!(stage.core.running(), 0, "its result is not needed");
    assert_eq!(stage.core.occupied(), 1, "it still runs");
    assert_eq!(stage.run(), NONE, "it still holds its slot");
    assert_eq!(stage.answer(1), [3]);
    assert_eq!(stage.core.occupied(), 1, "the next one runs");
    assert_eq!(stage.answer(1), NONE, "a second end has no effect");
    assert_eq!(stage.told(), []);
}

/// An activity that is requested and dropped in one commit never starts and takes no slot.
#[test]
fn what_is_dropped_within_its_step_never_begins() {
    let mut stage = Stage::open(Model::new(), &narrow(1));
    let mut step = stage.core.new_step(Timestamp(1), 1);
    let request = ActivityRequest {
        asked_by: ExecutionId([7; 16]),
        activity: key(1),
        name: "mail".into(),
        input: b"1".to_vec(),
        attempt: 1,
        timeout: None,
    };
    let ctx = &mut stage.core.split(&mut step, &stage.model).1;
    request_activity(request, ctx).unwrap();
    drop_activity(&key(1), ctx).unwrap();
    assert!(step.outputs.is_empty());
    stage.write(&step.batch);
    assert_eq!(stage.row(1), None);
    assert_eq!(stage.request("mail", [2]), [2]);
}

/// An activity that exceeded its time limit and cannot be stopped is reported immediately. It keeps its slot until its
/// actual end.
#[test]
fn a_lingering_activity_keeps_its_slot() {
    let mut stage = Stage::open(Model::new(), &narrow(1));
    stage.request("mail", 1..=2);
    let late = || Error::new(ErrorKind::TimedOut, "late");
    assert_eq!(stage.end(1, ActivityEnd::Lingers(late())), NONE);
    assert_eq!(stage.told(), [(1, Outcome::Runtime(late()))]);
    assert_eq!(stage.row(1), None);
    assert_eq!(stage.answer(1), [2]);
    assert_eq!(stage.told().len(), 1);
}

/// A line that exceeds its limit in memory is read from the rows. An activity at its own limit does not delay others.
#[test]
fn a_long_line_is_read_from_rows() {
    let limits = Limits {
        activities_in_memory: 4,
        page: 3,
        ..narrow(2)
    };
    let mut stage = Stage::open(Model::new(), &limits);
    assert_eq!(stage.request("print", 1..=40), [1]);
    assert_eq!(stage.core.activities().waiting.len(), 4);
    assert_eq!(stage.request("mail", 41..=60), [41]);
    let mut running = BTreeSet::from([1, 41]);
    let (mut printed, mut mailed) = (0, 0);
    while let Some(next) = running.pop_first() {
        *(if next <= 40 { &mut printed } else { &mut mailed }) += 1;
        running.extend(stage.answer(next));
        assert!(stage.core.activities().waiting.len() <= 8);
        assert!(running.iter().filter(|number| **number <= 40).count() <= 1);
    }
    assert_eq!((printed, mailed), (40, 20));
    assert_eq!(stage.told().len(), 60);
}

/// The same is true for the rows of the last life, also in combination with new ones.
#[test]
fn an_open_goes_on_with_all_rows() {
    let limits = Limits {
        activities_in_memory: 4,
        page: 3,
        ..narrow(2)
    };
    let mut stage = Stage::open(Model::new(), &limits);
    stage.request("print", 1..=20);
    stage.request("mail", 21..=40);
    let mut stage = stage.crash(&limits);
    let mut running: BTreeSet<u64> = stage.run().into_iter().collect();
    running.extend(stage.request("mail", 41..=45));
    while let Some(next) = running.pop_first() {
        running.extend(stage.answer(next));
    }
    let mut told: Vec<u64> = stage.told().into_iter().map(|(sequence, _)| sequence).collect();
    told.sort_unstable();
    assert_eq!(told, (1..=45).collect::<Vec<u64>>());
}

/// A crash counts for each activity that was running, when it starts again, and not for waiting ones. After the limit,
/// an activity fails with an error that contains all known details.
#[test]
fn crashes_are_counted_until_an_activity_is_poisonous() {
    let limits = narrow(1);
    let mut stage = Stage::open(Model::new(), &limits);
    assert_eq!(stage.request("mail", 1..=2), [1]);
    for crashes in 1..limits.crashes {
        stage = stage.crash(&limits);
        assert_eq!(stage.run(), [1]);
        assert_eq!(stage.row(1).unwrap().crashes.len(), crashes);
        assert_eq!(stage.row(2).unwrap().crashes, []);
    }
    let known = stage.row(1).unwrap().crashes;
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [2]);
    assert_eq!(stage.row(1), None);
    let told = stage.told();
    let [(1, Outcome::Runtime(error))] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(error.kind(), ErrorKind::Poisonous);
    let text = error.to_string();
    for part in ["`mail`", "`@unregistered@here`", "5 times"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for time in known {
        assert!(text.contains(&time.to_string()), "{time}: {text}");
    }
}

/// Activities that were running during two crashes are suspects. Suspects run one at a time, concurrently with other
/// activities.
#[test]
fn suspects_of_two_crashes_run_one_at_a_time() {
    let limits = narrow(4);
    let mut stage = Stage::open(Model::new(), &limits);
    assert_eq!(stage.request("mail", 1..=3), [1, 2, 3]);
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [1, 2, 3]);
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [1]);
    assert_eq!(stage.request("mail", [4]), [4]);
    // The crash counts for the running suspect and not for those that have not started.
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [1, 4]);
    let crashes = [1, 2, 4].map(|sequence| stage.row(sequence).unwrap().crashes.len());
    assert_eq!(crashes, [3, 1, 1]);
    assert_eq!(stage.answer(1), [2]);
    assert_eq!(stage.answer(4), NONE);
    assert_eq!(stage.answer(2), [3]);
}

/// A crash before the activity starts again does not count, because the activity was not running.
#[test]
fn a_crash_counts_once() {
    let limits = narrow(1);
    let mut stage = Stage::open(Model::new(), &limits);
    stage.request("mail", [1]);
    for _ in 0..9 {
        stage = stage.crash(&limits);
    }
    stage.run();
    assert_eq!(stage.row(1).unwrap().crashes.len(), 1);
}

/// Closing a hub while activities run never counts as a crash.
#[test]
fn a_clean_close_is_no_crash() {
    let limits = narrow(1);
    let mut stage = Stage::open(Model::new(), &limits);
    assert_eq!(stage.request("mail", 1..=2), [1]);
    for _ in 0..9 {
        stage = stage.close(&limits);
        assert_eq!(stage.row(1).unwrap().started, None);
        assert_eq!(stage.run(), [1]);
        assert_eq!(stage.row(1).unwrap().crashes, []);
    }
    stage.core.begin_no_more_activities();
    assert_eq!(stage.answer(1), NONE, "no further activity starts");
    assert_eq!(stage.request("mail", [3]), NONE);
    let mut stage = stage.close(&limits);
    assert_eq!(stage.run(), [2]);
    assert_eq!(stage.answer(2), [3]);
}

/// A failure of a hub that its process released never counts as a crash. Its activities count as not started, even if a
/// later life crashes before it reaches them.
#[test]
fn a_failure_of_the_hub_is_no_crash() {
    let limits = narrow(1);
    let mut stage = Stage::open(Model::new(), &limits);
    assert_eq!(stage.request("mail", 1..=2), [1]);
    for _ in 0..9 {
        stage = stage.fail(&limits);
        assert_eq!(stage.run(), [1]);
        assert_eq!(stage.row(1).unwrap().crashes, []);
    }
    // The second activity of the last life waits when this life crashes, so the crash does not count for it.
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [1]);
    assert_eq!([1, 2].map(|n| stage.row(n).unwrap().crashes.len()), [1, 0]);
    // An activity that ran when the hub failed is cleared once its row was read, although it still waits.
    let wide = narrow(2);
    let mut stage = Stage::open(Model::new(), &wide);
    assert_eq!(stage.request("mail", 1..=2), [1, 2]);
    let mut stage = stage.fail(&limits);
    assert_eq!(stage.run(), [1]);
    assert_eq!(stage.row(2).unwrap().started, None);
    let mut stage = stage.crash(&wide);
    assert_eq!(stage.run(), [1, 2]);
    assert_eq!([1, 2].map(|n| stage.row(n).unwrap().crashes.len()), [1, 0]);
}

/// The same is true for activities that a later life does not load into memory. Either the line is too long, or the
/// build does not register them.
#[test]
fn a_failure_of_the_hub_is_no_crash_for_rows_behind_the_line() {
    let wide = narrow(8);
    let short = Limits {
        activities_in_memory: 1,
        page: 2,
        ..narrow(1)
    };
    let mail = [Known("mail", None)];
    let mut stage = Stage::open(Model::new(), &wide);
    assert_eq!(stage.request("mail", 1..=6), [1, 2, 3, 4, 5, 6]);
    assert_eq!(stage.request("print", [7]), [7]);
    let mut stage = Stage::open_with(stage.model.crash(usize::MAX), &short, &mail, 0);
    assert_eq!(stage.run(), [1]);
    let started = (2..=7).filter(|n| stage.row(*n).unwrap().started.is_some());
    assert_eq!(started.collect::<Vec<u64>>(), NONE);
    let mut stage = stage.crash(&wide);
    assert_eq!(stage.run(), [1, 2, 3, 4, 5, 6, 7]);
    let crashes = (1..=7).map(|n| stage.row(n).unwrap().crashes.len());
    assert_eq!(crashes.collect::<Vec<_>>(), [1, 0, 0, 0, 0, 0, 0]);
}

/// An activity that is abandoned because the hub closes has neither ended nor crashed. Its row remains, and the next
/// open runs it again.
#[test]
fn what_is_abandoned_stays_to_be_done() {
    let limits = narrow(2);
    let mut stage = Stage::open(Model::new(), &limits);
    assert_eq!(stage.request("mail", 1..=3), [1, 2]);
    stage.core.begin_no_more_activities();
    assert_eq!(stage.end(1, ActivityEnd::Abandoned), NONE);
    assert_eq!(stage.core.running(), 1);
    assert_eq!(
        stage.drop(2),
        ["cancel activity @unregistered@here/07070707070707070707070707070707/2"]
    );
    assert_eq!(stage.end(2, ActivityEnd::Abandoned), NONE);
    assert_eq!(stage.core.running(), 0);
    assert_eq!(stage.told(), []);
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [1, 3]);
    assert_eq!(stage.row(1).unwrap().crashes, []);
}

/// An unregistered activity waits as a row until a build registers it, and delays no other activity.
#[test]
fn an_unregistered_activity_waits_for_a_build() {
    let limits = narrow(1);
    let mut stage = Stage::open(Model::new(), &limits);
    assert_eq!(stage.request("fax", 1..=2), NONE);
    assert_eq!(stage.request("mail", [3]), [3]);
    assert_eq!(stage.answer(3), NONE);
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), NONE);
    assert_eq!(stage.row(1).map(|row| row.started), Some(None));
    // A build that finds the rows notifies the orchestrations. The build that received the requests records this
    // itself.
    let is_told = |order: &Order| matches!(order, Order::Awaits { on: Some(on), .. } if on.name == "fax");
    assert_eq!(stage.orders().iter().filter(|order| is_told(order)).count(), 2);
    assert_eq!(stage.drop(2), Vec::<String>::new());
    let mut stage = Stage::open_with(stage.model, &limits, &[Known("fax", None)], u64::MAX);
    assert_eq!(stage.run(), [1]);
}
