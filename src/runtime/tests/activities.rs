//! Attempts of activities on a running hub, without an orchestration. The rows of the activities exist when the hub
//! opens. Messages to their orchestration remain as rows, because the entity type in the id of the orchestration is not
//! registered.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::activity::activity_code;
use crate::id::{ActivityKey, ExecutionId, InstanceId, PartitionId, Shard};
use crate::model::orchestration::{ActivityRecord, Order};
use crate::model::{self, Action, MessageRecord, Outcome};
use crate::schema;
use crate::store::{Batch, Reader, Store};
use crate::{
    Activity, ActivityContext,
    activity::{ActivityOptions, BoxFuture},
};

const PARTITIONS: u16 = 8;

/// An activity that returns all information about itself.
struct Introduce;

impl Activity for Introduce {
    const NAME: &'static str = "introduce";
    const OPTIONS: ActivityOptions = ActivityOptions::new();
    type Input = String;
    type Output = Vec<String>;
    type Error = NoError;

    fn run(context: ActivityContext, input: String) -> BoxFuture<Result<Vec<String>, NoError>> {
        Box::pin(async move {
            let own = [context.name(), context.instance_id(), context.idempotency_key()].map(str::to_owned);
            let attempt = context.attempt().to_string();
            Ok(own.into_iter().chain([attempt, input]).collect())
        })
    }
}

/// An activity that misbehaves as specified by its input.
struct Misbehave;

/// True if a `linger` has begun, and if it was canceled.
static BEGUN: AtomicBool = AtomicBool::new(false);
static LINGERED: AtomicBool = AtomicBool::new(false);

impl Activity for Misbehave {
    const NAME: &'static str = "misbehave";
    const OPTIONS: ActivityOptions = ActivityOptions::new().timeout(Duration::from_secs(60));
    type Input = String;
    type Output = String;
    type Error = Failure;

    fn run(context: ActivityContext, input: String) -> BoxFuture<Result<String, Failure>> {
        Box::pin(async move {
            match input.as_str() {
                "panic" => panic!("as requested"),
                "fail" => Err(Failure::message("no").non_retriable()),
                "hang" => std::future::pending().await,
                "linger" => {
                    BEGUN.store(true, Ordering::SeqCst);
                    context.canceled().await;
                    LINGERED.store(true, Ordering::SeqCst);
                    std::future::pending().await
                }
                "obey" => {
                    context.canceled().await;
                    Ok(format!("canceled: {}", context.is_canceled()))
                }
                "spin" => loop {
                    tokio::task::consume_budget().await;
                },
                "trap" => {
                    let _trap = Trap;
                    std::future::pending().await
                }
                other => panic!("unknown: {other}"),
            }
        })
    }
}

/// Panics when it is dropped.
struct Trap;

impl Drop for Trap {
    fn drop(&mut self) {
        panic!("a trap");
    }
}

/// An activity that blocks its thread until it is allowed to end.
struct Block;

static BLOCKING: AtomicUsize = AtomicUsize::new(0);
static MAY_END: AtomicBool = AtomicBool::new(false);

impl Activity for Block {
    const NAME: &'static str = "block";
    const OPTIONS: ActivityOptions = ActivityOptions::new()
        .timeout(Duration::from_millis(20))
        .limit(1)
        .blocking();
    type Input = ();
    type Output = ();
    type Error = NoError;

    fn run(context: ActivityContext, (): ()) -> BoxFuture<Result<(), NoError>> {
        Box::pin(async move {
            BLOCKING.fetch_add(1, Ordering::SeqCst);
            while !context.is_canceled() || !MAY_END.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            Ok(())
        })
    }
}

/// An activity that counts its concurrent attempts.
struct Count;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

impl Activity for Count {
    const NAME: &'static str = "count";
    const OPTIONS: ActivityOptions = ActivityOptions::new().limit(3);
    type Input = ();
    type Output = ();
    type Error = NoError;

    fn run(_: ActivityContext, (): ()) -> BoxFuture<Result<(), NoError>> {
        Box::pin(async move {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        })
    }
}

/// Returns the id of the orchestration with number `n`.
fn orchestration(n: u64) -> InstanceId {
    InstanceId::trusted(format!("@nobody@{n}"))
}

fn key(n: u64) -> ActivityKey {
    ActivityKey {
        instance: orchestration(n),
        execution: ExecutionId([7; 16]),
        sequence: n,
    }
}

fn row(n: u64) -> Vec<u8> {
    let id = orchestration(n);
    schema::activity::key(id.partition(PARTITIONS), &id, ExecutionId([7; 16]), n)
}

/// Opens a hub on `model` that finds these activities, numbered from 1.
fn open(
    model: &Arc<Model>,
    executors: usize,
    timeout: Option<Duration>,
    activities: &[(&str, &str)],
) -> (Arc<Runtime>, Threads) {
    let mut batch = Batch::default();
    for (n, (name, input)) in (1..).zip(activities) {
        let record = ActivityRecord {
            name: (*name).to_owned(),
            input: (*input).into(),
            attempt: 1,
            timeout_ms: timeout.map(|timeout| timeout.as_millis() as u64),
            asked_by: ExecutionId([7; 16]),
            started: None,
            crashes: Vec::new(),
            trace: None,
        };
        batch.put(&row(n), &model::encode(&record).unwrap());
    }
    model.write(&batch).unwrap();
    let mut registry = Registry::default();
    let codes = [
        activity_code::<Introduce>(),
        activity_code::<Misbehave>(),
        activity_code::<Block>(),
        activity_code::<Count>(),
    ];
    for code in codes {
        registry.add_activity(code).unwrap();
    }
    let config = RuntimeConfig {
        hub: "hub".into(),
        registry,
        limits: Limits {
            cancel_grace: Duration::from_millis(20),
            ..Limits::default()
        },
        partitions: PARTITIONS,
        feed: Arc::default(),
        shard: Shard::WHOLE,
        executors,
        in_flight: 100,
        held: Default::default(),
        calm_since: 1,
        clock: Clock::start(ClockRecord::default()),
        #[cfg(feature = "otel")]
        exporter: None,
        #[cfg(feature = "testing")]
        is_local: false,
        is_standby: false,
        #[cfg(feature = "cluster")]
        database: None,
    };
    let none = CommitRecord::before_the_first(PARTITIONS);
    let store = Arc::clone(model);
    Runtime::start(store, none, config, tokio::runtime::Handle::current()).unwrap()
}

/// Waits until `look` returns a value, which depends on another thread.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), looking).await;
    found.expect("the condition should hold within 30 seconds")
}

/// Returns the outcome that orchestration `n` received, if any.
fn outcome_of(model: &Model, n: u64) -> Option<Outcome> {
    let id = orchestration(n);
    let range = schema::message::of(id.partition(PARTITIONS), &id, crate::id::MessageId::MIN);
    let (_, value) = model.scan(range, 1).unwrap().pop()?;
    let record: MessageRecord = model::decode(&value, "message").unwrap();
    let Action::Order(order) = record.action else {
        panic!("{:?}", record.action)
    };
    match *order {
        Order::Completed { outcome, .. } => Some(outcome),
        other => panic!("{other:?}"),
    }
}

/// Waits for the error that orchestration `n` receives and returns its kind and text.
async fn refused(model: &Model, n: u64) -> (ErrorKind, String) {
    match until(|| outcome_of(model, n)).await {
        Outcome::Runtime(error) => (error.kind(), error.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Closes the hub and returns the number of remaining rows of activities.
fn close(runtime: &Runtime, threads: Threads, model: &Model) -> usize {
    runtime.stop(Duration::from_secs(30));
    threads.join(Duration::ZERO).unwrap();
    assert_eq!(runtime.failed(), None);
    let rows = (0..PARTITIONS).map(|n| {
        model
            .scan(schema::activity::all(PartitionId(n)), usize::MAX)
            .unwrap()
            .len()
    });
    rows.sum()
}

/// An attempt can access its own metadata, and its answer reaches the orchestration. An input that does not decode is
/// refused with its type and position.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activity_is_run_and_answers() {
    let model = Arc::new(Model::new());
    let (runtime, threads) = open(&model, 1, None, &[("introduce", "\"x\""), ("introduce", "5")]);
    let Outcome::Answer(answer) = until(|| outcome_of(&model, 1)).await else {
        panic!("{:?}", outcome_of(&model, 1))
    };
    let id = format!("@nobody@1/{}/1", ExecutionId([7; 16]));
    let expected = ["introduce", "@nobody@1", &id, "1", "x"];
    assert_eq!(serde_json::from_slice::<Vec<String>>(&answer).unwrap(), expected);
    let (kind, text) = refused(&model, 2).await;
    assert_eq!(kind, ErrorKind::InvalidArguments);
    for part in [
        "`introduce`",
        "`alloc::string::String`",
        "integer `5`",
        "line 1 column 1",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(close(&runtime, threads, &model), 0);
}

/// A panic ends only the attempt, and a returned error keeps its flag.
#[tokio::test]
async fn a_panic_ends_the_attempt_alone() {
    let model = Arc::new(Model::new());
    let (runtime, threads) = open(
        &model,
        1,
        None,
        &[("misbehave", "\"panic\""), ("misbehave", "\"fail\"")],
    );
    let (kind, text) = refused(&model, 1).await;
    assert_eq!(kind, ErrorKind::Panicked);
    assert!(text.contains("`misbehave`") && text.contains("as requested"), "{text}");
    let returned = until(|| outcome_of(&model, 2)).await;
    assert_eq!(returned, Outcome::Returned(Failure::message("no").non_retriable()));
    assert_eq!(close(&runtime, threads, &model), 0);
}

/// The timeout of the call overrides the timeout of the activity.
#[tokio::test]
async fn an_attempt_runs_no_longer_than_its_timeout() {
    let model = Arc::new(Model::new());
    let timeout = Some(Duration::from_millis(20));
    let (runtime, threads) = open(&model, 1, timeout, &[("misbehave", "\"hang\"")]);
    let (kind, text) = refused(&model, 1).await;
    assert_eq!(kind, ErrorKind::TimedOut);
    assert!(text.contains("20ms"), "{text}");
    assert_eq!(close(&runtime, threads, &model), 0);
}

/// An attempt that is always ready to go on, and so uses up the budget of its task, is dropped as well.
#[tokio::test]
async fn an_attempt_that_never_rests_ends_with_its_limit_or_its_grace() {
    let model = Arc::new(Model::new());
    let timeout = Some(Duration::from_millis(20));
    let (runtime, threads) = open(&model, 1, timeout, &[("misbehave", "\"spin\"")]);
    assert_eq!(refused(&model, 1).await.0, ErrorKind::TimedOut);
    assert_eq!(close(&runtime, threads, &model), 0);

    let model = Arc::new(Model::new());
    let (runtime, threads) = open(&model, 1, None, &[("misbehave", "\"spin\"")]);
    until(|| {
        runtime.cancel_activity(&key(1));
        outcome_of(&model, 1)
    })
    .await;
    assert_eq!(refused(&model, 1).await.0, ErrorKind::Ended);
    assert_eq!(close(&runtime, threads, &model), 0);
}

/// The hub of an attempt that a close aborts has not failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_a_close_aborts_is_no_failure() {
    let model = Arc::new(Model::new());
    let (runtime, threads) = open(&model, 1, None, &[("misbehave", "\"hang\"")]);
    until(|| runtime.activities.is_requested(&key(1)).then_some(())).await;
    runtime.stop(Duration::from_millis(1));
    let joined = tokio::task::spawn_blocking(|| threads.join(Duration::ZERO));
    joined.await.unwrap().unwrap();
    runtime.end_tasks();
    assert_eq!(runtime.attempts.wait(Duration::from_secs(30)), []);
    assert_eq!(runtime.failed(), None);
}

/// A value of the attempt that panics when it is dropped changes neither the end of the attempt nor the hub.
#[tokio::test]
async fn a_destructor_that_panics_ends_only_its_attempt() {
    let model = Arc::new(Model::new());
    let timeout = Some(Duration::from_millis(20));
    let (runtime, threads) = open(
        &model,
        1,
        timeout,
        &[("misbehave", "\"trap\""), ("misbehave", "\"fail\"")],
    );
    assert_eq!(refused(&model, 1).await.0, ErrorKind::TimedOut);
    let returned = until(|| outcome_of(&model, 2)).await;
    assert_eq!(returned, Outcome::Returned(Failure::message("no").non_retriable()));
    assert_eq!(close(&runtime, threads, &model), 0);
}

/// A canceled attempt may clean up and end by itself. Otherwise it is dropped after the grace period.
#[tokio::test]
async fn a_canceled_attempt_has_a_grace() {
    let model = Arc::new(Model::new());
    let (runtime, threads) = open(&model, 1, None, &[("misbehave", "\"obey\""), ("misbehave", "\"hang\"")]);
    for n in [1, 2] {
        // Repeat until the attempt exists and is canceled.
        until(|| {
            runtime.cancel_activity(&key(n));
            outcome_of(&model, n)
        })
        .await;
    }
    let answer = Outcome::Answer(b"\"canceled: true\"".to_vec());
    let canceled_before_it_began = matches!(outcome_of(&model, 1), Some(Outcome::Runtime(_)));
    assert!(outcome_of(&model, 1) == Some(answer) || canceled_before_it_began);
    assert_eq!(refused(&model, 2).await.0, ErrorKind::Ended);
    assert_eq!(close(&runtime, threads, &model), 0);
}

/// A blocking attempt cannot be aborted. Its timeout is reported immediately, but the next attempt begins only when it
/// has really ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_attempt_keeps_its_slot_until_it_returns() {
    let model = Arc::new(Model::new());
    let (runtime, threads) = open(&model, 1, None, &[("block", "null"); 2]);
    until(|| outcome_of(&model, 1).or_else(|| outcome_of(&model, 2))).await;
    assert!(
        BLOCKING.load(Ordering::SeqCst) <= 1,
        "two concurrent attempts would exceed the limit"
    );
    MAY_END.store(true, Ordering::SeqCst);
    for n in [1, 2] {
        assert_eq!(refused(&model, n).await.0, ErrorKind::TimedOut);
    }
    assert_eq!(close(&runtime, threads, &model), 0);
}

/// The number of concurrent attempts over all executors never exceeds the limit, and every attempt runs eventually.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_over_all_executors() {
    let model = Arc::new(Model::new());
    let (runtime, threads) = open(&model, 3, None, &[("count", "null"); 60]);
    for n in 1..=60 {
        assert_eq!(until(|| outcome_of(&model, n)).await, Outcome::Answer(b"null".to_vec()));
    }
    assert!((1..=3).contains(&MOST.load(Ordering::SeqCst)));
    assert_eq!(close(&runtime, threads, &model), 0);
}

/// A hub that closes before an attempt ends cancels the attempt and leaves a row that counts no crash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_leaves_rows_that_count_no_crash() {
    let model = Arc::new(Model::new());
    let (runtime, threads) = open(&model, 1, None, &[("misbehave", "\"linger\"")]);
    let read =
        |model: &Model| -> ActivityRecord { model::decode(&model.get(&row(1)).unwrap().unwrap(), "activity").unwrap() };
    until(|| BEGUN.load(Ordering::SeqCst).then_some(())).await;
    assert!(read(&model).started.is_some());
    runtime.stop(Duration::from_millis(1));
    let joined = tokio::task::spawn_blocking(|| threads.join(Duration::ZERO));
    joined.await.unwrap().unwrap();
    assert_eq!(read(&model).started, None);
    assert_eq!(read(&model).crashes, []);
    drop(runtime);
    until(|| LINGERED.load(Ordering::SeqCst).then_some(())).await;
}
