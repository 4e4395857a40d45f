//! A faulty entity affects only itself, and the others keep answering. The hubs are in memory.
//!
//! See docs/src/guarantees.md, "Isolation".

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use abide::prelude::*;
use tokio::sync::Semaphore;

use crate::fixtures::{poll_once, refusal};

/// Synchronizes a blocking operation of one journal with its test.
struct Gate {
    /// Contains a permit for each operation that has begun.
    begun: Semaphore,
    /// Each permit lets one operation end.
    open: Semaphore,
}

impl Gate {
    /// Returns the gate of the journal with this key.
    fn of(key: &str) -> Arc<Self> {
        static GATES: LazyLock<Mutex<HashMap<String, Arc<Gate>>>> = LazyLock::new(Mutex::default);
        let mut gates = GATES.lock().unwrap();
        let gate = gates.entry(key.to_owned()).or_insert_with(|| {
            Arc::new(Gate {
                begun: Semaphore::new(0),
                open: Semaphore::new(0),
            })
        });
        gate.clone()
    }

    /// Waits until an operation has begun.
    async fn wait_until_begun(&self) {
        self.begun.acquire().await.unwrap().forget();
    }
}

#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Journal {
    notes: Vec<u32>,
}

#[operations]
impl Journal {
    pub fn note(&mut self, n: u32) -> usize {
        self.notes.push(n);
        self.notes.len()
    }

    /// Changes the state without growing it.
    pub fn hush(&mut self) {
        self.notes.clear();
    }

    pub fn fail(&mut self, ctx: &mut EntityContext, n: u32) {
        self.notes.push(n);
        ctx.entity::<Journal>("bystander").note(n).signal();
        panic!("note {n} is too much");
    }

    pub async fn endless(&mut self, ctx: &mut EntityContext) {
        self.notes.clear();
        ctx.entity::<Journal>("bystander").note(0).signal();
        std::future::pending::<()>().await;
    }

    /// Runs until the test opens the gate.
    pub async fn hold(&mut self, ctx: &mut EntityContext) {
        let gate = Gate::of(ctx.key());
        gate.begun.add_permits(1);
        gate.open.acquire().await.unwrap().forget();
    }

    /// Blocks its thread until the test opens the gate.
    pub fn block(&mut self, ctx: &mut EntityContext) {
        let gate = Gate::of(ctx.key());
        gate.begun.add_permits(1);
        futures::executor::block_on(gate.open.acquire()).unwrap().forget();
    }

    /// Sends `notes` notes to another journal.
    pub fn send(&mut self, ctx: &mut EntityContext, to: &str, notes: u32) {
        for n in 0..notes {
            ctx.entity::<Journal>(to).note(n).signal();
        }
    }
}

async fn notes(client: &Client, key: &str) -> Vec<u32> {
    let state = client.entity::<Journal>(key).state().await.unwrap();
    state.unwrap_or_default().notes
}

/// In a batch of many operations, each panicking one is rolled back and the others take effect in order.
#[tokio::test]
async fn a_panic_takes_back_one_operation_and_no_other() {
    let hub = Hub::in_memory().entity::<Journal>().open().await.unwrap();
    let client = hub.client();
    let (good, bad) = (client.entity::<Journal>("good"), client.entity::<Journal>("bad"));
    let mut calls = Vec::new();
    for n in 0..100 {
        calls.push(tokio::spawn(bad.note(n).signal()));
        calls.push(tokio::spawn(bad.fail(n).signal()));
        calls.push(tokio::spawn(good.note(n).signal()));
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let error = refusal(bad.fail(7).await);
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(
        error.to_string(),
        "`fail` of `@journal@bad` panicked: note 7 is too much"
    );
    for key in ["good", "bad"] {
        let mut notes = notes(&client, key).await;
        notes.sort_unstable();
        assert_eq!(notes, (0..100).collect::<Vec<_>>());
    }
    assert_eq!(client.entity::<Journal>("bystander").state().await.unwrap(), None);
    assert_eq!(hub.stats().failures, 101);
}

/// While an `async` operation runs, other entities keep answering.
#[tokio::test]
async fn a_running_operation_holds_up_its_own_entity_only() {
    let hub = Hub::in_memory().entity::<Journal>().open().await.unwrap();
    let client = hub.client();
    let (stuck, other) = (client.entity::<Journal>("held up"), client.entity::<Journal>("other"));
    let held = tokio::spawn(stuck.hold());
    Gate::of("held up").wait_until_begun().await;
    for n in 0..100 {
        other.note(n).await.unwrap();
    }
    assert!(!held.is_finished());
    Gate::of("held up").open.add_permits(1);
    held.await.unwrap().unwrap();
}

/// An `async` operation that never ends is stopped at its time limit. Its entity is unchanged, and the messages that
/// waited for it are processed in order.
#[tokio::test]
async fn an_endless_operation_is_stopped_at_its_limit() {
    let hub = Hub::in_memory()
        .entity::<Journal>()
        .operation_timeout(Duration::from_millis(50));
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    let stuck = client.entity::<Journal>("stuck");
    stuck.note(1).await.unwrap();
    let endless = tokio::spawn(stuck.endless());
    // The task sends its call here. So the signals follow it, and are acknowledged while they wait for its end.
    tokio::task::yield_now().await;
    for n in 2..5 {
        stuck.note(n).signal().await.unwrap();
    }
    let error = refusal(endless.await.unwrap());
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "`endless` of `@journal@stuck` ran longer than 50ms");
    assert_eq!(stuck.note(5).await.unwrap(), 5);
    assert_eq!(notes(&client, "stuck").await, [1, 2, 3, 4, 5]);
    assert_eq!(client.entity::<Journal>("bystander").state().await.unwrap(), None);
}

/// When a queue is full, requests wait, or fail with `refuse_when_full`. When the queue has room, the waiting requests
/// proceed in the order in which they were sent, and none is lost or duplicated.
#[tokio::test]
async fn a_full_queue_lets_its_clients_wait() {
    let hub = Hub::in_memory()
        .entity::<Journal>()
        .queue_limit(4)
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let (busy, other) = (client.entity::<Journal>("busy"), client.entity::<Journal>("other"));
    let held = tokio::spawn(busy.hold());
    Gate::of("busy").wait_until_begun().await;
    other.note(0).await.unwrap();
    for n in 0..4 {
        busy.note(n).signal().await.unwrap();
    }
    let error = busy.note(100).refuse_when_full().signal().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(
        error.to_string().contains("4 messages wait for `@journal@busy`"),
        "{error}"
    );
    let error = refusal(busy.note(100).refuse_when_full().await);
    assert_eq!(error.kind(), ErrorKind::Overloaded);

    let sender = busy.clone();
    let signals = tokio::spawn(async move {
        for n in 4..20 {
            sender.note(n).signal().await.unwrap();
        }
        sender.note(20).await.unwrap()
    });
    // Other entities answer meanwhile, and a message from an entity is never rejected.
    for n in 1..10 {
        other.note(n).await.unwrap();
    }
    other.send("busy", 3).await.unwrap();
    assert!(!signals.is_finished());
    Gate::of("busy").open.add_permits(1);
    held.await.unwrap().unwrap();
    assert_eq!(signals.await.unwrap(), 24);
    let notes = notes(&client, "busy").await;
    assert_eq!(notes[..4], [0, 1, 2, 3]);
    assert_eq!(notes[4..7], [0, 1, 2]);
    assert_eq!(notes[7..], (4..=20).collect::<Vec<_>>());
    busy.note(21).refuse_when_full().await.unwrap();
}

/// The hub accepts messages up to its in-flight limit. Further requests wait.
#[tokio::test]
async fn a_full_hub_lets_its_clients_wait() {
    let hub = Hub::in_memory()
        .entity::<Journal>()
        .executors(1)
        .in_flight_limit(1)
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let (busy, other) = (client.entity::<Journal>("room"), client.entity::<Journal>("other"));
    let held = tokio::spawn(busy.block());
    Gate::of("room").wait_until_begun().await;
    let error = other.note(0).refuse_when_full().signal().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(
        error.to_string().contains("the maximum number of messages in flight"),
        "{error}"
    );
    let error = refusal(other.note(0).refuse_when_full().await);
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    let sender = other.clone();
    let signals = tokio::spawn(async move {
        for n in 0..10 {
            sender.note(n).signal().await.unwrap();
        }
    });
    tokio::task::yield_now().await;
    assert!(!signals.is_finished());
    Gate::of("room").open.add_permits(1);
    held.await.unwrap().unwrap();
    signals.await.unwrap();
    assert_eq!(notes(&client, "other").await, (0..10).collect::<Vec<_>>());
}

/// Polls a call once, so that it is sent, and drops it.
async fn give_up<T>(call: impl IntoFuture<Output = T>) {
    let mut call = Box::pin(call.into_future());
    let _ = poll_once(call.as_mut()).await;
}

/// Waits for a future that has to complete soon.
async fn soon<T>(waiting: impl IntoFuture<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(30), waiting.into_future()).await;
    ended.expect("the hub has free capacity")
}

/// A call that waits for its entity uses no capacity of others, whether its client is waiting or has given up.
#[tokio::test]
async fn calls_of_a_stuck_entity_leave_the_room_to_others() {
    let hub = Hub::in_memory().entity::<Journal>().executors(1).in_flight_limit(4);
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    let (stuck, other) = (client.entity::<Journal>("calls"), client.entity::<Journal>("other"));
    let held = tokio::spawn(stuck.hold());
    Gate::of("calls").wait_until_begun().await;
    let mut waiting = tokio::task::JoinSet::new();
    // Enough calls that the hub removes those of clients that have given up.
    for n in 0..300 {
        if n % 3 == 0 {
            waiting.spawn(stuck.note(n).into_future());
        } else {
            give_up(stuck.note(n)).await;
        }
        tokio::task::yield_now().await;
    }
    for n in 1..=20 {
        assert_eq!(soon(other.note(n)).await.unwrap(), n as usize);
    }
    Gate::of("calls").open.add_permits(1);
    held.await.unwrap().unwrap();
    while let Some(answer) = soon(waiting.join_next()).await {
        answer.unwrap().unwrap();
    }
    hub.shutdown().await.unwrap();
}

/// A client that repeatedly sends a request and gives up uses neither capacity nor memory. The request takes effect
/// once, and the last client receives the result.
#[tokio::test]
async fn a_request_that_is_repeated_forever_takes_no_room() {
    let hub = Hub::in_memory().entity::<Journal>().executors(1).in_flight_limit(4);
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    let (stuck, other) = (client.entity::<Journal>("again"), client.entity::<Journal>("other"));
    let held = tokio::spawn(stuck.hold());
    Gate::of("again").wait_until_begun().await;
    for n in 1..=1_000 {
        give_up(stuck.note(7).request_id("r")).await;
        if n % 4 == 0 {
            assert_eq!(soon(other.note(n)).await.unwrap(), n as usize / 4);
        }
    }
    let waiting = hub.stats().waiting_clients;
    assert!(waiting < 200, "{waiting} clients wait, but at most one exists");
    let last = tokio::spawn(stuck.note(7).request_id("r").into_future());
    soon(other.note(0)).await.unwrap();
    Gate::of("again").open.add_permits(1);
    held.await.unwrap().unwrap();
    assert_eq!(soon(last).await.unwrap().unwrap(), 1);
    assert_eq!(notes(&client, "again").await, [7]);
    hub.shutdown().await.unwrap();
}

/// A blocked executor uses only its own capacity, whatever the clients of its instances do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_executor_leaves_their_room_to_the_others() {
    let hub = Hub::in_memory().entity::<Journal>().executors(2).in_flight_limit(4);
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    let hanging = client.entity::<Journal>("hang");
    let blocked = tokio::spawn(hanging.block());
    Gate::of("hang").wait_until_begun().await;
    for n in 0..20 {
        give_up(hanging.note(n)).await;
    }
    // Keys of both executors. The other executor answers.
    let mut calls = tokio::task::JoinSet::new();
    for key in 0..64 {
        let journal = client.entity::<Journal>(key);
        calls.spawn(async move { journal.note(key).await });
    }
    for _ in 0..8 {
        soon(calls.join_next()).await.unwrap().unwrap().unwrap();
    }
    assert!(!blocked.is_finished());
    Gate::of("hang").open.add_permits(1);
    blocked.await.unwrap().unwrap();
    while let Some(answer) = soon(calls.join_next()).await {
        answer.unwrap().unwrap();
    }
    hub.shutdown().await.unwrap();
}

/// Clients of one entity.
#[derive(Clone, Copy)]
struct Crowd {
    what: &'static str,
    /// Time that each client waits before it sends the next request, or `None` to wait forever.
    patience: Option<Duration>,
    /// Whether each client always sends the same request ID.
    same_request: bool,
}

impl Crowd {
    /// Spawns a hundred clients. Each waits until its time is over, even if it has a result.
    fn ask(self, entity: &JournalRef<Client>) -> tokio::task::JoinSet<()> {
        let mut clients = tokio::task::JoinSet::new();
        for n in 0..100_u32 {
            let entity = entity.clone();
            clients.spawn(async move {
                loop {
                    let call = entity.hush();
                    let call = if self.same_request {
                        call.request_id(n.to_string())
                    } else {
                        call
                    };
                    let answered = async {
                        let _ = call.await;
                        std::future::pending::<()>().await;
                    };
                    match self.patience {
                        Some(patience) => drop(tokio::time::timeout(patience, answered).await),
                        None => answered.await,
                    }
                }
            });
        }
        clients
    }
}

/// Measures what a stuck entity costs the others:
/// `cargo test --release --test it isolation:: -- --ignored --nocapture`.
///
/// The clients need processor time themselves, so there are two comparisons. The ratio to the rate without clients is
/// the cost of the stuck entity and its clients together. The ratio to the rate with the same clients of an entity that
/// answers is the cost of the stuck entity alone, and has to be at least 0.9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which needs an idle machine"]
async fn the_rate_beside_a_stuck_entity() {
    let hub = Hub::in_memory().entity::<Journal>().executors(1).in_flight_limit(100);
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    let (stuck, healthy) = (client.entity::<Journal>("stuck"), client.entity::<Journal>("healthy"));
    let held = tokio::spawn(stuck.hold());
    Gate::of("stuck").wait_until_begun().await;
    let crowd = |what, patience: Option<u64>, same_request| Crowd {
        what,
        patience: patience.map(Duration::from_millis),
        same_request,
    };
    for crowd in [
        crowd("that wait forever", None, false),
        crowd("that retry after 100 ms", Some(100), false),
        crowd("that retry after 100 ms with the same request ID", Some(100), true),
        crowd("that retry after 3 ms with the same request ID", Some(3), true),
    ] {
        let (mut of_alone, mut of_healthy) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            let alone = rate_of_others(&client).await;
            let mut rates = [0.0; 2];
            for (rate, entity) in rates.iter_mut().zip([&healthy, &stuck]) {
                let mut clients = crowd.ask(entity);
                *rate = rate_of_others(&client).await;
                clients.shutdown().await;
            }
            of_alone.push(rates[1] / alone);
            of_healthy.push(rates[1] / rates[0]);
        }
        println!(
            "100 clients {}: {:.2} of the rate without them, {:.2} of the rate with a healthy entity",
            crowd.what,
            median(&mut of_alone),
            median(&mut of_healthy)
        );
    }
    held.abort();
    hub.shutdown_within(Duration::ZERO).await.unwrap();
}

fn median(ratios: &mut [f64]) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Returns the number of calls per second that other entities answer.
async fn rate_of_others(client: &Client) -> f64 {
    let begun = std::time::Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64_u32 {
        let client = client.clone();
        callers.spawn(async move {
            let mut calls = 0_u32;
            while begun.elapsed() < Duration::from_millis(500) {
                client.entity::<Journal>(caller).hush().await.unwrap();
                calls += 1;
            }
            calls
        });
    }
    let calls: u32 = callers.join_all().await.into_iter().sum();
    f64::from(calls) / begun.elapsed().as_secs_f64()
}
