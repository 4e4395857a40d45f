//! The hub for tests: virtual time, replaced activities, seeds, and crashes at every sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use abide::ErrorKind;
use abide::client::StopKind;
use abide::history::{ActivityOutcome, HistoryEventKind, RecordedHistory, activities};
use abide::prelude::*;
use abide::testing::{Mock, RunningHub, TestHub, assert_history, assert_replays, crash_everywhere, outline, replay};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Account {
    cents: i64,
}

#[operations]
impl Account {
    pub fn deposit(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }

    pub fn withdraw(&mut self, cents: i64) -> Result<i64, Failure> {
        if self.cents < cents {
            return Err(Failure::message("insufficient funds"));
        }
        self.cents -= cents;
        Ok(self.cents)
    }

    pub fn balance(&self) -> i64 {
        self.cents
    }

    /// Sends the message on, until it has been at as many accounts.
    pub fn pass_on(&mut self, ctx: &mut EntityContext, left: u32) {
        self.cents += 1;
        if left > 0 {
            ctx.entity::<Account>((left - 1).to_string()).pass_on(left - 1).signal();
        }
    }

    pub async fn deposit_slowly(&mut self, cents: i64) -> i64 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.cents += cents;
        self.cents
    }
}

#[activity(retry(max_attempts = 3, first_interval = "1h"))]
async fn charge(cents: u64) -> Result<String, Failure> {
    Err(Failure::message(format!("no provider takes {cents} cents")))
}

/// Returns whether it runs on the same thread as the caller of the hub.
#[activity(blocking)]
fn thread() -> String {
    format!("{:?}", std::thread::current().id())
}

#[orchestration]
async fn subscription(ctx: OrchestrationContext, cents: u64) -> Result<String, Failure> {
    ctx.create_timer(30 * DAY).await;
    Ok(ctx.call_activity::<charge>(cents).label("the first month").await?)
}

/// Returns the times after three timers.
#[orchestration]
async fn ticks(ctx: OrchestrationContext) -> Vec<SystemTime> {
    let mut times = Vec::new();
    for days in 1..=3 {
        ctx.create_timer(days * DAY).await;
        times.push(ctx.current_utc_time());
    }
    times
}

#[orchestration]
async fn asks_for_the_thread(ctx: OrchestrationContext) -> Result<String, Failure> {
    Ok(ctx.call_activity::<thread>(()).await?)
}

#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<u32, Failure> {
    ctx.set_custom_status("waiting");
    Ok(ctx.wait_for_external_event::<u32>("go").await?)
}

/// Moves money, and puts it back if the charge fails.
#[orchestration]
async fn transfer(ctx: OrchestrationContext, cents: i64) -> Result<i64, Failure> {
    ctx.entity::<Account>("alice").withdraw(cents).await?;
    ctx.create_timer(DAY).await;
    ctx.call_activity::<charge>(1).await?;
    Ok(ctx.entity::<Account>("bob").deposit(cents).await?)
}

/// Holds the lock of an account forever.
#[orchestration]
async fn holds(ctx: OrchestrationContext) -> Result<(), Failure> {
    let _lock = ctx.lock_entities(&ctx.entity::<Account>("carol")).await?;
    Ok(ctx.wait_for_external_event::<()>("never").await?)
}

/// Locks two accounts, and gives up to lock the one that another orchestration holds.
#[orchestration]
async fn locks(ctx: OrchestrationContext) -> Result<(), Failure> {
    let (alice, bob) = (ctx.entity::<Account>("alice"), ctx.entity::<Account>("bob"));
    let lock = ctx.lock_entities((&alice, &bob)).await?;
    alice.deposit(1).await?;
    drop(lock);
    let held = Box::pin(ctx.lock_entities(&ctx.entity::<Account>("carol")));
    futures::future::select(held, Box::pin(ctx.create_timer(DAY))).await;
    Ok(())
}

/// Panics when it is dropped after it has exploded.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Bomb {
    is_armed: bool,
    explodes: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.explodes && !std::thread::panicking() {
            panic!("the state explodes");
        }
    }
}

#[operations]
impl Bomb {
    pub fn arm(&mut self) {
        self.is_armed = true;
    }

    pub fn explode(&mut self, ctx: &mut EntityContext) {
        self.explodes = self.is_armed;
        ctx.delete_state();
    }
}

/// Takes three seconds to notice that it is canceled.
#[activity]
async fn cleans_up(ctx: ActivityContext) {
    ctx.canceled().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
}

/// Gives up an activity after a minute.
#[orchestration]
async fn abandons(ctx: OrchestrationContext) {
    let timer = ctx.create_timer(Duration::from_secs(60));
    let activity = ctx.call_activity::<cleans_up>(()).into_future();
    futures::future::select(Box::pin(timer), Box::pin(activity)).await;
}

fn hub() -> TestHub {
    TestHub::new(|| {
        // A scenario that waits for weeks repeats its requests after a crash.
        Hub::in_memory()
            .request_retention(100 * DAY)
            .entity::<Account>()
            .activity::<charge>()
            .activity::<thread>()
            .orchestration::<subscription>()
            .orchestration::<ticks>()
            .orchestration::<asks_for_the_thread>()
            .orchestration::<waits>()
            .orchestration::<transfer>()
            .orchestration::<locks>()
            .orchestration::<holds>()
    })
    .mock::<charge>(|cents| Ok(format!("charged {cents}")))
}

/// A timer of thirty days takes no time, and the clock of the hub shows that they have passed.
#[test]
fn a_long_timer_fires_at_once() {
    hub().run(async |hub| {
        let before = hub.now();
        let run = hub.client().start::<subscription>(900).await.unwrap();
        assert_eq!(run.result().await.unwrap(), "charged 900");
        let passed = hub.now().duration_since(before).unwrap();
        assert!(
            (30 * DAY..30 * DAY + Duration::from_secs(1)).contains(&passed),
            "{passed:?}"
        );
    });
}

/// While time passes, each timer fires at its time.
#[test]
fn timers_that_are_due_on_the_way_fire_at_their_times() {
    let begin = SystemTime::UNIX_EPOCH + 1_000 * DAY;
    hub().start_time(begin).run(async |hub| {
        let run = hub.client().start::<ticks>(()).await.unwrap();
        hub.advance(10 * DAY).await;
        assert!(run.status().await.unwrap().unwrap().status.is_terminal());
        let times = run.result().await.unwrap();
        let days = times.iter().map(|time| time.duration_since(begin).unwrap());
        for (passed, days) in days.zip([1, 3, 6]) {
            assert!(
                (days * DAY..days * DAY + Duration::from_secs(1)).contains(&passed),
                "{passed:?}"
            );
        }
    });
}

/// A test can jump from timer to timer.
#[test]
fn a_jump_ends_at_the_next_timer() {
    hub().run(async |hub| {
        assert_eq!(hub.jump_to_next_timer().await, None);
        let run = hub.client().start::<ticks>(()).await.unwrap();
        for _ in 0..3 {
            assert!(!run.status().await.unwrap().unwrap().status.is_terminal());
            let due = hub.jump_to_next_timer().await.unwrap();
            assert!(due <= hub.now() && hub.now() < due + Duration::from_secs(1));
        }
        assert_eq!(hub.jump_to_next_timer().await, None);
        run.result().await.unwrap();
    });
}

/// An idle hub has processed all messages, and has waited for activities and `async` operations.
#[test]
fn an_idle_hub_has_done_everything() {
    hub().run(async |hub| {
        let client = hub.client();
        client.entity::<Account>("100").pass_on(100).signal().await.unwrap();
        client
            .entity::<Account>("slow")
            .deposit_slowly(5)
            .signal()
            .await
            .unwrap();
        let run = client.start::<asks_for_the_thread>(()).await.unwrap();
        hub.run_until_idle().await;
        assert_eq!(client.entity::<Account>("0").balance().await.unwrap(), 1);
        assert_eq!(client.entity::<Account>("slow").balance().await.unwrap(), 5);
        assert!(run.status().await.unwrap().unwrap().status.is_terminal());
        // Blocking activities run on the thread of the test as well.
        assert_eq!(
            run.result().await.unwrap(),
            format!("{:?}", std::thread::current().id())
        );
    });
}

/// A replaced activity fails, takes time and is retried as the test says, and its calls are recorded.
#[test]
fn a_replaced_activity_fails_and_takes_time() {
    let mock = Mock::<charge>::new(|cents| Ok(format!("charged {cents}")));
    let mock = mock.failing(2, || Failure::message("busy")).delay(DAY);
    hub().mock_with(mock).run(async |hub| {
        let begin = hub.now();
        let run = hub.client().start::<subscription>(7).instance_id("s").await.unwrap();
        assert_eq!(run.result().await.unwrap(), "charged 7");
        assert_eq!(hub.calls::<charge>(), [7, 7, 7]);
        assert!(hub.calls::<thread>().is_empty());
        assert!(hub.now() >= begin + 33 * DAY);
        let expected = r#"
started: subscription 7
1 timer: 2592000s
1 done: null
2 activity charge (the first month): 7
2 failed: busy
3 timer: 3600s
3 done: null
2 activity charge (the first month), attempt 2: 7
2 failed: busy
4 timer: 3600s
4 done: null
2 activity charge (the first month), attempt 3: 7
2 done: "charged 7"
completed: "charged 7"
"#;
        assert_eq!(outline(&run.history().await.unwrap()), expected.trim_start());
    });
}

/// Returns everything that a run shows: the ids that were generated, the times, and the histories.
async fn shown(hub: &RunningHub) -> String {
    let client = hub.client();
    let runs = [
        client.start::<subscription>(1).await.unwrap(),
        client.start::<subscription>(2).await.unwrap(),
    ];
    client.entity::<Account>("50").pass_on(50).signal().await.unwrap();
    let mut shown = String::new();
    for run in runs {
        run.result().await.unwrap();
        shown.push_str(run.id());
        shown.push_str(&format!("{:?}", run.history().await.unwrap()));
    }
    shown
}

/// The same seed gives the same run, with the same ids at the same times. Another seed gives another one.
#[test]
fn a_seed_determines_the_run() {
    let first = hub().seed(7).run(shown);
    assert_eq!(hub().seed(7).run(shown), first);
    assert_ne!(hub().seed(8).run(shown), first);
}

/// A wait for a condition ends with the change that meets it, and fails if the orchestration ends before.
#[test]
fn a_condition_is_waited_for() {
    hub().run(async |hub| {
        let run = hub.client().start::<waits>(()).await.unwrap();
        let info = run.wait_for_custom_status("waiting").await.unwrap();
        assert_eq!(info.custom_status.as_deref(), Some("\"waiting\""));
        run.raise_event("go", 7).await.unwrap();
        let ended = run.wait_until(|info| info.status.is_terminal()).await.unwrap();
        assert_eq!(ended.output.as_deref(), Some("7"));
        let never = run.wait_until(|_| false).await.unwrap_err();
        assert_eq!(never.kind(), ErrorKind::Ended, "{never}");
    });
}

/// The release of granted locks is an event of its own. Locks that were not granted are canceled.
#[test]
fn a_history_shows_the_release_of_locks() {
    hub().run(async |hub| {
        hub.client().start::<holds>(()).await.unwrap();
        hub.run_until_idle().await;
        let run = hub.client().start::<locks>(()).await.unwrap();
        run.result().await.unwrap();
        let history = run.history().await.unwrap();
        assert_history(
            &history,
            r#"
                started: locks null
                1 lock @account@alice, @account@bob
                1 done: null
                2 call @account@alice.deposit: {"cents":1}
                2 done: 1
                1 released
                3 lock @account@carol
                4 timer: 86400s
                4 done: null
                3 canceled
                completed: null
            "#,
        );
        let is_release = |kind: &HistoryEventKind| matches!(kind, HistoryEventKind::LockReleased { sequence: 1, .. });
        let releases: Vec<_> = history.iter().filter(|event| is_release(&event.kind)).collect();
        assert_eq!(releases.len(), 1);
        let json = serde_json::to_value(releases[0]).unwrap();
        assert_eq!(json["event"], "LockReleased", "{json}");
    });
}

/// A history that differs from the expected one is shown with the lines that differ.
#[test]
fn an_unexpected_history_is_shown_as_a_difference() {
    let text = panic_of(|| {
        hub().run(async |hub| {
            let run = hub.client().start::<subscription>(7).await.unwrap();
            run.result().await.unwrap();
            assert_history(
                &run.history().await.unwrap(),
                r#"
                    started: subscription 7
                    1 timer: 2592000s
                    1 done: null
                    2 activity charge (the first month): 8
                    2 done: "charged 7"
                    completed: "charged 7"
                "#,
            );
        });
    });
    assert!(
        text.contains("the history is not as expected; `-` is expected"),
        "{text}"
    );
    let expected = "\n- 2 activity charge (the first month): 8\n+ 2 activity charge (the first month): 7\n  2 done";
    assert!(text.contains(expected), "{text}");
}

/// Histories of the same seed are equal, and those of different inputs are not.
#[test]
fn histories_are_compared() {
    let history = |cents| {
        hub().run(async move |hub| {
            let run = hub.client().start::<subscription>(cents).await.unwrap();
            run.result().await.unwrap();
            run.history().await.unwrap()
        })
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

/// A history tells the calls of an activity: their inputs, their attempts and the outcomes of these.
#[test]
fn a_history_tells_the_calls_of_an_activity() {
    let busy = Mock::<charge>::new(|cents| Ok(format!("charged {cents}")));
    let busy = busy.failing(1, || Failure::message("busy")).delay(DAY);
    hub().mock_with(busy).run(async |hub| {
        let run = hub.client().start::<subscription>(7).await.unwrap();
        let calls = async || activities(&run.history().await.unwrap(), "charge");
        hub.advance(Duration::from_secs(1)).await;
        assert_eq!(calls().await, []);
        hub.advance(30 * DAY).await;
        let [call] = <[_; 1]>::try_from(calls().await).unwrap();
        assert_eq!((call.attempts, &call.outcome), (1, &ActivityOutcome::Pending));
        hub.advance(DAY).await;
        let [call] = <[_; 1]>::try_from(calls().await).unwrap();
        let ActivityOutcome::Failed {
            failure: Some(failure),
            error: None,
        } = call.outcome
        else {
            panic!("{call:?}");
        };
        assert_eq!(failure.message, "busy");
        run.result().await.unwrap();
        let [call] = <[_; 1]>::try_from(calls().await).unwrap();
        assert_eq!(
            (call.input.as_str(), call.label.as_deref()),
            ("7", Some("the first month"))
        );
        let result = "\"charged 7\"".to_owned();
        assert_eq!(
            (call.attempts, call.outcome),
            (2, ActivityOutcome::Completed { result })
        );
        assert_eq!(activities(&run.history().await.unwrap(), "other"), []);
    });
    let builder = || Hub::in_memory().orchestration::<abandons>().activity::<cleans_up>();
    TestHub::new(builder).run(async |hub| {
        let run = hub.client().start::<abandons>(()).await.unwrap();
        run.result().await.unwrap();
        let [call] = <[_; 1]>::try_from(activities(&run.history().await.unwrap(), "cleans_up")).unwrap();
        assert_eq!(call.outcome, ActivityOutcome::Canceled);
    });
}

/// The rates of a tax office.
struct Rates(u64);

#[activity]
async fn tax(rates: Resource<Rates>, cents: u64) -> u64 {
    cents * rates.0 / 100
}

#[orchestration]
async fn taxes(ctx: OrchestrationContext, cents: u64) -> Result<u64, Failure> {
    Ok(ctx.call_activity::<tax>(cents).await?)
}

/// A resource of a test replaces the one of the builder, or is added, and survives crashes.
#[test]
fn a_resource_is_replaced() {
    let builder = || Hub::in_memory().activity::<tax>().orchestration::<taxes>();
    let scenario = async |hub: &RunningHub| {
        let start = hub.client().start::<taxes>(100).instance_id("t").request_id("t");
        start.await.unwrap().result().await.unwrap()
    };
    let replaced = move || TestHub::new(move || builder().resource(Rates(19))).resource(Rates(7));
    assert_eq!(replaced().run(scenario), 7);
    assert_eq!(TestHub::new(builder).resource(Rates(8)).run(scenario), 8);
    crash_everywhere(replaced, scenario);
    let text = panic_of(|| TestHub::new(builder).run(async |hub| _ = scenario(hub).await));
    assert!(text.contains("`tax` needs the resource"), "{text}");
}

/// Returns the text of the panic of `test`.
fn panic_of(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the test panics");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}

/// A test that waits for something that cannot happen fails, and says what the orchestrations wait for and where.
#[test]
fn a_hopeless_wait_is_reported() {
    let text = panic_of(|| {
        hub().run(async |hub| {
            let run = hub.client().start::<waits>(()).instance_id("w").await.unwrap();
            run.result().await.unwrap();
        });
    });
    assert!(text.contains("has waited for 366.0 days of virtual time"), "{text}");
    assert!(text.contains("`w` (waits) is Running"), "{text}");
    assert!(text.contains("waits for the event `go` at tests/testing.rs:"), "{text}");
}

/// A hub whose configuration is wrong does not open.
#[test]
fn an_invalid_hub_is_refused() {
    let text = panic_of(|| {
        let hub = TestHub::new(|| Hub::in_memory().entity::<Account>().entity::<Account>());
        hub.run(async |_| ());
    });
    assert!(text.contains("two entities are registered as `account`"), "{text}");
}

/// Moves money once, whatever happens, and returns both balances and the result.
async fn moves_money(hub: &RunningHub) -> (i64, i64, i64) {
    let client = hub.client();
    let (alice, bob) = (client.entity::<Account>("alice"), client.entity::<Account>("bob"));
    alice.deposit(100).request_id("salary").await.unwrap();
    let start = client.start::<transfer>(30).instance_id("t").request_id("t");
    let result = start.await.unwrap().result().await.unwrap();
    let (alice, bob) = (alice.balance().await.unwrap(), bob.balance().await.unwrap());
    assert_eq!(alice + bob, 100, "money is neither made nor lost");
    (alice, bob, result)
}

/// A scenario whose requests have ids has the same result after a crash at any point, whichever commits were lost, and
/// after another crash while it recovers.
#[test]
fn a_scenario_survives_a_crash_at_every_sync() {
    for seed in 0..20 {
        let report = crash_everywhere(|| hub().seed(seed), moves_money);
        assert!(report.syncs >= 3, "{report:?}");
        assert!(report.runs >= 2 * report.syncs, "{report:?}");
    }
}

/// A request without an id that is repeated after a crash counts twice. The first point at which it does is reported,
/// with what was open and a way to repeat it.
#[test]
fn a_request_that_counts_twice_is_found() {
    let text = panic_of(|| {
        crash_everywhere(hub, async |hub| {
            let account = hub.client().entity::<Account>("a");
            hub.client()
                .start::<waits>(())
                .instance_id("w")
                .request_id("w")
                .await
                .unwrap();
            account.deposit(5).await.unwrap();
            account.balance().await.unwrap()
        });
    });
    assert!(text.contains("another result after a crash at sync "), "{text}");
    assert!(text.contains("`-` is the result without a crash"), "{text}");
    assert!(text.contains("\n- 5\n+ 10\n"), "{text}");
    assert!(text.contains("waits for the event `go` at tests/testing.rs:"), "{text}");
    assert!(text.contains("ABIDE_CRASH_POINT=0:"), "{text}");
}

/// A scenario that is random cannot be crashed at a point.
#[test]
fn a_random_scenario_is_reported() {
    let runs = std::cell::Cell::new(0);
    let text = panic_of(|| {
        crash_everywhere(hub, async |hub| {
            runs.set(runs.get() + 1);
            if runs.get() == 1 {
                hub.client().entity::<Account>("a").deposit(5).await.unwrap();
            }
        });
    });
    assert!(text.contains("the scenario is not the same each time"), "{text}");
}

/// A scenario that writes something else in each run is noticed, although it has as many syncs.
#[test]
fn a_run_that_differs_from_the_first_is_reported() {
    let runs = std::cell::Cell::new(0);
    let text = panic_of(|| {
        crash_everywhere(hub, async |hub| {
            runs.set(runs.get() + 1);
            let account = hub.client().entity::<Account>(runs.get().to_string());
            account.deposit(5).await.unwrap();
        });
    });
    assert!(text.contains("it differs from the first run"), "{text}");
}

/// The books of a payment provider, outside of the hub.
type Books = Arc<Mutex<Vec<u64>>>;

/// The world outside of the hub survives the crashes of its run, and each run has its own. An activity may run twice, but
/// its orchestration has one result.
#[test]
fn the_outside_world_survives_a_crash() {
    let most = std::cell::Cell::new(0);
    let hub = || {
        let books = Books::default();
        let provider = Arc::clone(&books);
        let charge = move |cents| {
            provider.lock().unwrap().push(cents);
            Ok(format!("charged {cents}"))
        };
        hub().mock::<charge>(charge).outside(books)
    };
    crash_everywhere(hub, async |hub| {
        let start = hub.client().start::<subscription>(9).instance_id("s").request_id("s");
        let result = start.await.unwrap().result().await.unwrap();
        let booked = hub.outside::<Books>().lock().unwrap().clone();
        assert!(!booked.is_empty() && booked.iter().all(|cents| *cents == 9));
        assert_eq!(hub.calls::<charge>(), booked);
        most.set(most.get().max(booked.len()));
        result
    });
    assert!(
        most.get() >= 2,
        "a crash after the charge and before its result is durable repeats it"
    );
}

/// A state whose drop panics ends the hub. Everyone who waits for it receives the error.
#[test]
fn a_hub_that_fails_tells_its_test() {
    let hub = || TestHub::new(|| Hub::in_memory().entity::<Bomb>().entity::<Account>());
    hub().run(async |hub| {
        let client = hub.client();
        client.entity::<Bomb>("b").arm().await.unwrap();
        client.entity::<Account>("a").deposit(1).await.unwrap();
        let exploded = client.entity::<Bomb>("b").explode().await.unwrap_err();
        assert_eq!(Error::from(exploded).kind(), ErrorKind::Poisoned);
        let refused = client.entity::<Account>("a").deposit(1).await.unwrap_err();
        assert_eq!(Error::from(refused).kind(), ErrorKind::Poisoned);
    });
    let text = panic_of(|| {
        hub().run(async |hub| {
            let _ = hub.client().entity::<Bomb>("b").arm().await;
            let _ = hub.client().entity::<Bomb>("b").explode().await;
            hub.run_until_idle().await;
        });
    });
    assert!(text.contains("the hub of the test has failed"), "{text}");
}

/// An activity whose result is no longer needed still holds its slot, so the hub is not idle.
#[test]
fn an_idle_hub_has_no_abandoned_activities() {
    let builder = || Hub::in_memory().orchestration::<abandons>().activity::<cleans_up>();
    TestHub::new(builder).run(async |hub| {
        let run = hub.client().start::<abandons>(()).await.unwrap();
        run.result().await.unwrap();
        let ended = hub.now();
        hub.run_until_idle().await;
        assert!(
            hub.now().duration_since(ended).unwrap() >= Duration::from_secs(3),
            "{:?}",
            hub.now()
        );
    });
}

/// Time that passes does not wait for activities that take longer.
#[test]
fn an_advance_ends_at_its_time() {
    let slow = Mock::<charge>::new(|_| Ok(String::new())).delay(100 * DAY);
    hub().mock_with(slow).run(async |hub| {
        let run = hub.client().start::<subscription>(7).await.unwrap();
        hub.advance(31 * DAY).await;
        assert_eq!(hub.calls::<charge>(), [7]);
        assert!(!run.status().await.unwrap().unwrap().status.is_terminal());
        hub.run_until_idle().await;
        assert!(run.status().await.unwrap().unwrap().status.is_terminal());
    });
}

/// A schedule that fires forever does not keep a hopeless test alive.
#[test]
fn a_test_that_waits_beside_a_schedule_is_reported() {
    let text = panic_of(|| {
        hub().time_limit(30 * DAY).run(async |hub| {
            let every = Recurrence::Every(DAY);
            hub.client()
                .schedules()
                .create::<ticks>("daily", every, ())
                .await
                .unwrap();
            hub.client().start::<waits>(()).await.unwrap().result().await.unwrap();
        });
    });
    assert!(text.contains("has waited for 30.0 days"), "{text}");
}

/// A hub for tests refuses to run inside another tokio runtime, and says where to call it.
#[tokio::test]
async fn a_hub_inside_tokio_is_refused() {
    let text = panic_of(|| hub().run(async |_| ()));
    assert!(text.contains("plain `#[test]`"), "{text}");
}

/// The same orchestration in a build that calls another activity.
mod changed {
    use abide::prelude::*;

    #[activity]
    pub(super) async fn bill(cents: u64) -> u64 {
        cents
    }

    #[orchestration]
    pub(super) async fn subscription(ctx: OrchestrationContext, cents: u64) -> Result<u64, Failure> {
        ctx.create_timer(std::time::Duration::from_secs(30 * 24 * 60 * 60))
            .await;
        Ok(ctx.call_activity::<bill>(cents).await?)
    }
}

fn recorded() -> RecordedHistory {
    hub().run(async |hub| {
        let run = hub.client().start::<subscription>(7).instance_id("s").await.unwrap();
        run.result().await.unwrap();
        run.recorded_history().await.unwrap()
    })
}

/// A recorded history survives as JSON, fits the code that recorded it, and tells how other code differs.
#[test]
fn a_recorded_history_tells_whether_a_build_fits() {
    let json = serde_json::to_string(&recorded()).unwrap();
    let history: RecordedHistory = serde_json::from_str(&json).unwrap();
    assert_eq!(history, recorded());
    assert_eq!((history.instance_id(), history.name()), ("s", "subscription"));

    let same = || Hub::in_memory().orchestration::<subscription>();
    assert_replays(
        same(),
        &format!("{json}\n\n{{\"instanceId\":\"s\",\"recorded\":{json}}}\n"),
    );
    let other = || Hub::in_memory().orchestration::<changed::subscription>();
    let [mismatch] = <[_; 1]>::try_from(replay(other(), [history]).unwrap()).unwrap();
    assert_eq!(mismatch.stopped.kind, StopKind::NonDeterministic);
    let text = panic_of(|| assert_replays(other(), &json));
    assert!(text.contains("does not fit 1 of 1 recorded histories"), "{text}");
    assert!(text.contains("`s` (subscription) would stop"), "{text}");
    let text = panic_of(|| assert_replays(Hub::in_memory(), &json));
    assert!(
        text.contains("no orchestration is registered as `subscription`"),
        "{text}"
    );
}

/// A history that this build cannot read is an error that names it, and not a mismatch.
#[test]
fn an_unreadable_history_is_named() {
    let same = || Hub::in_memory().orchestration::<subscription>();
    let json = serde_json::to_value(recorded()).unwrap();
    let mut older = json.clone();
    older["storedFormat"] = 1.into();
    let mut damaged = json.clone();
    damaged["turns"][0] = "AQ==".into();
    let mut no_base64 = json;
    no_base64["turns"][0] = "?".into();
    for (document, kind) in [
        (older, ErrorKind::Format),
        (damaged, ErrorKind::Corrupted),
        (no_base64, ErrorKind::Corrupted),
    ] {
        let history: RecordedHistory = serde_json::from_value(document).unwrap();
        let error = replay(same(), [history]).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    for (lines, expected) in [("", "no histories"), ("{}", "line 1"), ("\nno", "line 2")] {
        let text = panic_of(|| assert_replays(same(), lines));
        assert!(text.contains(expected), "{text}");
    }
}

/// The program of the README, and its test.
mod readme {
    use abide::prelude::*;
    use abide::testing::{TestHub, crash_everywhere};

    use super::Account;

    #[activity]
    async fn send_receipt(text: String) {
        println!("{text}");
    }

    #[derive(Serialize, Deserialize)]
    struct Transfer {
        from: String,
        to: String,
        cents: i64,
    }

    #[orchestration]
    async fn transfer(ctx: OrchestrationContext, order: Transfer) -> Result<(), Failure> {
        let (from, to) = (ctx.entity::<Account>(&order.from), ctx.entity::<Account>(&order.to));
        let lock = ctx.lock_entities((&from, &to)).await?;
        from.withdraw(order.cents).await?;
        to.deposit(order.cents).await?;
        drop(lock);
        ctx.call_activity::<send_receipt>(format!("{} received {} cents", order.to, order.cents))
            .await?;
        Ok(())
    }

    #[test]
    fn a_transfer_happens_once_whenever_it_crashes() {
        let hub = || Hub::in_memory().entity::<Account>().orchestration::<transfer>();
        let hub = move || TestHub::new(hub).mock::<send_receipt>(|_text| Ok(()));
        crash_everywhere(hub, async |hub| {
            let alice = hub.client().entity::<Account>("alice");
            alice.deposit(500).request_id("salary").await.unwrap();
            let order = Transfer {
                from: "alice".into(),
                to: "bob".into(),
                cents: 200,
            };
            let start = hub.client().start::<transfer>(order).instance_id("t").request_id("t");
            start.await.unwrap().result().await.unwrap();
            let left = alice.deposit(0).await.unwrap();
            assert_eq!(left, 300);
            left
        });
    }
}
