//! The hub for tests: virtual time, replaced activities, seeds, and crashes at every point.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use abide::ErrorKind;
use abide::prelude::*;
use abide::testing::{Mock, RunningHub, TestHub, crash_everywhere, outline};

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
    assert!(text.contains("waits for something that cannot happen"), "{text}");
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
fn a_scenario_survives_a_crash_at_every_point() {
    for seed in 0..20 {
        let report = crash_everywhere(|| hub().seed(seed), moves_money);
        assert!(report.points >= 3, "{report:?}");
        assert!(report.runs >= 2 * report.points, "{report:?}");
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
    assert!(text.contains("without a crash: 5"), "{text}");
    assert!(text.contains("after the crash: 10"), "{text}");
    assert!(text.contains("waits for the event `go` at tests/testing.rs:"), "{text}");
    assert!(text.contains("ABIDE_CRASH_POINT="), "{text}");
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

/// What the outside world saw before a crash is still seen after it: an activity may run twice, but its orchestration
/// has one result.
#[test]
fn the_outside_world_survives_a_crash() {
    let most = std::cell::Cell::new(0);
    crash_everywhere(hub, async |hub| {
        let start = hub.client().start::<subscription>(9).instance_id("s").request_id("s");
        let result = start.await.unwrap().result().await.unwrap();
        let calls = hub.calls::<charge>();
        assert!(!calls.is_empty() && calls.iter().all(|cents| *cents == 9));
        most.set(most.get().max(calls.len()));
        result
    });
    assert!(
        most.get() >= 2,
        "a crash after the charge and before its result is durable repeats it"
    );
}
