//! A core on the model store, with its activities driven by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::engine::code::{ActivityCode, ActivityFuture, Attempt};
use crate::engine::core::{Core, CoreConfig};
use crate::engine::message::Input;
use crate::engine::step::Step;
use crate::engine::{Limits, Registry};
use crate::failure::{Cause, Failure};
use crate::id::{ExecutionId, InstanceId};
use crate::store::records::MessageRecord;
use crate::store::{Batch, Model, Store};
use crate::time::Timestamp;

/// An activity of which only the name and the limit count here: a core never runs it.
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
        unreachable!("a core runs no activity")
    }
}

/// A hub of one core, without threads.
struct Stage {
    model: Model,
    core: Core,
    now: u64,
    batch: u64,
}

impl Stage {
    /// Opens a core on `model` that knows `mail` and, one at a time, `print`.
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

    /// The process dies here, and another one opens what it left.
    fn crash(self, limits: &Limits) -> Self {
        Self {
            now: self.now + 1_000,
            batch: self.batch,
            ..Self::open(self.model.crash(usize::MAX), limits)
        }
    }

    /// The hub fails, its process lets go of it, and another one opens what it left.
    fn fail(self, limits: &Limits) -> Self {
        let known = [Known("mail", None), Known("print", Some(1))];
        Self {
            now: self.now + 1_000,
            batch: self.batch,
            ..Self::open_with(self.model.crash(usize::MAX), limits, &known, 0)
        }
    }

    /// The hub is closed while activities run, and opened again.
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

    /// What an orchestration's turn does: it asks for activities in one commit. Tells what begins.
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
            request_activity(request, &mut self.core.stage(&mut step, &self.model).1).unwrap();
        }
        self.write(&step.batch);
        begun(&step)
    }

    /// What an orchestration's turn does when its futures are dropped.
    fn drop(&mut self, sequence: u64) -> Vec<String> {
        self.batch += 1;
        let mut step = self.core.new_step(Timestamp(self.now), self.batch);
        drop_activity(&key(sequence), &mut self.core.stage(&mut step, &self.model).1).unwrap();
        self.write(&step.batch);
        step.outputs.iter().map(|output| format!("{output:?}")).collect()
    }

    fn end(&mut self, sequence: u64, ended: ActivityEnd) -> Vec<u64> {
        self.core.accept(Input::ActivityEnded {
            activity: key(sequence),
            attempt: 1,
            ended,
        });
        self.run()
    }

    fn answer(&mut self, sequence: u64) -> Vec<u64> {
        self.end(sequence, ActivityEnd::Answer(b"true".to_vec()))
    }

    /// Steps until there is nothing to do. Tells what begins.
    fn run(&mut self) -> Vec<u64> {
        let mut all = Vec::new();
        while self.core.has_work(Timestamp(self.now)) {
            self.now += 1;
            self.batch += 1;
            let step = self
                .core
                .step(Timestamp(self.now), self.batch, &self.model, u64::MAX)
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
        let key = keys::activity(partition, &activity.instance, activity.execution, activity.sequence);
        let row = self.model.get(&key).unwrap()?;
        Some(records::decode(&row, "activity").unwrap())
    }

    /// What the orchestration was told, in order, with the sequences.
    fn told(&self) -> Vec<(u64, StepOutcome)> {
        let told = self.orders().into_iter().map(|order| {
            let Order::Completed { sequence, outcome, .. } = order else {
                panic!("{order:?}")
            };
            (sequence, outcome)
        });
        told.collect()
    }

    fn orders(&self) -> Vec<Order> {
        let range = keys::messages(orchestration().partition(4));
        let rows = self.model.scan(range, usize::MAX).unwrap();
        let orders = rows.into_iter().map(|(_, value)| {
            let record: MessageRecord = records::decode(&value, "message").unwrap();
            let Action::Order(order) = record.action else {
                panic!("{:?}", record.action)
            };
            *order
        });
        orders.collect()
    }
}

/// Nobody registers what it names, so that everything that it is told stays as a row.
fn orchestration() -> InstanceId {
    InstanceId::trusted("@nobody@here")
}

fn key(sequence: u64) -> ActivityKey {
    ActivityKey {
        instance: orchestration(),
        execution: ExecutionId([7; 16]),
        sequence,
    }
}

fn begun(step: &Step) -> Vec<u64> {
    let begun = step.outputs.iter().filter_map(|output| match output {
        Output::StartActivity { activity, input, .. } => {
            assert_eq!(*input, activity.sequence.to_string().into_bytes());
            Some(activity.sequence)
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

/// What finds a slot begins in the commit that asks for it and is recorded as started; the rest waits in its order.
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

/// Every end becomes the outcome of the step, with all that is known of a failure.
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
    stage.end(2, ActivityEnd::Returned(failure.clone()));
    stage.end(3, ActivityEnd::Runtime(error.clone()));
    stage.end(4, ActivityEnd::Answer(vec![b'1'; 65]));
    stage.end(5, ActivityEnd::Returned(Failure::message("x".repeat(65))));
    let told = stage.told();
    assert_eq!(told[0], (1, StepOutcome::Answer(b"true".to_vec())));
    assert_eq!(told[1], (2, StepOutcome::Returned(failure)));
    assert_eq!(told[2], (3, StepOutcome::Runtime(error)));
    for (_, outcome) in &told[3..] {
        assert!(matches!(outcome, StepOutcome::Runtime(error) if error.kind() == ErrorKind::TooLarge));
    }
}

/// A cancelled activity is told to stop, its row goes at once, and its slot when it has ended; its end is told to nobody.
#[test]
fn a_dropped_activity_ends_unheard() {
    let mut stage = Stage::open(Model::new(), &narrow(1));
    stage.request("mail", 1..=3);
    assert_eq!(stage.drop(2), Vec::<String>::new(), "one that waits is only forgotten");
    assert_eq!(stage.drop(1).len(), 1);
    assert_eq!((stage.row(1), stage.row(2)), (None, None));
    assert_eq!(stage.core.running(), 0, "nobody waits for it");
    assert_eq!(stage.run(), NONE, "it still has its slot");
    assert_eq!(stage.answer(1), [3]);
    assert_eq!(stage.answer(1), NONE, "an end that comes twice changes nothing");
    assert_eq!(stage.told(), []);
}

/// What is asked for and dropped before its commit never begins, and takes no slot.
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
    let ctx = &mut stage.core.stage(&mut step, &stage.model).1;
    request_activity(request, ctx).unwrap();
    drop_activity(&key(1), ctx).unwrap();
    assert!(step.outputs.is_empty());
    stage.write(&step.batch);
    assert_eq!(stage.row(1), None);
    assert_eq!(stage.request("mail", [2]), [2]);
}

/// One that ran out of time and cannot be ended is told of at once, and keeps its slot until it is really gone.
#[test]
fn a_lingering_activity_keeps_its_slot() {
    let mut stage = Stage::open(Model::new(), &narrow(1));
    stage.request("mail", 1..=2);
    let late = || Error::new(ErrorKind::TimedOut, "late");
    assert_eq!(stage.end(1, ActivityEnd::Lingers(late())), NONE);
    assert_eq!(stage.told(), [(1, StepOutcome::Runtime(late()))]);
    assert_eq!(stage.row(1), None);
    assert_eq!(stage.answer(1), [2]);
    assert_eq!(stage.told().len(), 1);
}

/// A line that is longer than memory allows is read from the rows, and an activity at its own limit delays no other.
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

/// The same holds for what the last life left, and for all of it together with what is new.
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

/// What was running in a crash is counted when it begins again, what only waited is not, and after the limit it ends with an
/// error that names all that is known.
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
    let [(1, StepOutcome::Runtime(error))] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(error.kind(), ErrorKind::Poisonous);
    let text = error.to_string();
    for part in ["`mail`", "`@nobody@here`", "5 times"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for time in known {
        assert!(text.contains(&time.to_string()), "{time}: {text}");
    }
}

/// What was running in two crashes may be what brought the process down: of those one runs at a time, others beside it.
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
    // The one that brings the process down gains a crash; those that have not begun gain none.
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [1, 4]);
    let crashes = [1, 2, 4].map(|sequence| stage.row(sequence).unwrap().crashes.len());
    assert_eq!(crashes, [3, 1, 1]);
    assert_eq!(stage.answer(1), [2]);
    assert_eq!(stage.answer(4), NONE);
    assert_eq!(stage.answer(2), [3]);
}

/// A crash before what was running begins again adds nothing: it was not running.
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

/// A hub that was closed while activities ran did not crash, however often.
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
    assert_eq!(stage.answer(1), NONE, "nothing begins any more");
    assert_eq!(stage.request("mail", [3]), NONE);
    let mut stage = stage.close(&limits);
    assert_eq!(stage.run(), [2]);
    assert_eq!(stage.answer(2), [3]);
}

/// A hub that failed and was let go of by its process did not crash, however often; what it left is as if it had not begun,
/// also if a later life does not come to it before it crashes.
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
    // The second one of the last life waits for its turn when that life crashes, and has nothing to do with it.
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [1]);
    assert_eq!([1, 2].map(|n| stage.row(n).unwrap().crashes.len()), [1, 0]);
    // What ran when the hub failed is known to be innocent once the row was read, although it waits.
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

/// The same holds for what a later life does not take into memory, because the line is long or its build does not know it.
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

/// What ends because the hub closes has neither ended nor crashed: its row stays, and the next open runs it again.
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
        ["cancel activity @nobody@here/07070707070707070707070707070707/2"]
    );
    assert_eq!(stage.end(2, ActivityEnd::Abandoned), NONE);
    assert_eq!(stage.core.running(), 0);
    assert_eq!(stage.told(), []);
    let mut stage = stage.crash(&limits);
    assert_eq!(stage.run(), [1, 3]);
    assert_eq!(stage.row(1).unwrap().crashes, []);
}

/// What is not registered waits as a row and delays nothing, until a build knows it.
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
    // A build that finds them tells who waits, which the one that was asked for them notes itself.
    let is_told = |order: &Order| matches!(order, Order::Awaits { on: Some(on), .. } if on.name == "fax");
    assert_eq!(stage.orders().iter().filter(|order| is_told(order)).count(), 2);
    assert_eq!(stage.drop(2), Vec::<String>::new());
    let mut stage = Stage::open_with(stage.model, &limits, &[Known("fax", None)], u64::MAX);
    assert_eq!(stage.run(), [1]);
}
