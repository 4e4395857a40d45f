//! The cost of an operation: calls, signals and forwarded signals.

use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use abide::prelude::*;
use tokio::sync::watch;

use crate::hubs;
use crate::load::{Load, closed_loop};
use crate::random::{Random, mix};

/// The smallest entity with a state.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Counter {
    total: i64,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: i64) -> i64 {
        self.total += n;
        self.total
    }

    /// Sends one to another counter, where it lands.
    pub fn launch(&mut self, context: &mut EntityContext, key: u64) {
        context.entity::<Self>(key).land().signal();
    }

    /// Adds one, and tells this process, before that is durable.
    pub fn land(&mut self) {
        self.total += 1;
        LANDED.send_replace(self.total);
    }

    pub fn total(&self) -> i64 {
        self.total
    }
}

/// The total of the counter on which something has landed last.
pub(crate) static LANDED: LazyLock<watch::Sender<i64>> = LazyLock::new(watch::Sender::default);

/// The kind of request that a measurement makes.
#[derive(Clone, Copy)]
pub(crate) enum Request {
    /// An operation whose result is awaited.
    Call,
    /// The same, in a recorded trace.
    #[cfg(feature = "otel")]
    TracedCall,
    /// An operation whose durable acknowledgment is awaited.
    Signal,
}

/// Runs `callers` tasks that each send a request to a random counter of `entities` and wait.
pub(crate) async fn counters(
    client: &Client,
    request: Request,
    callers: usize,
    entities: u64,
    warm_up: Duration,
    measured: Duration,
) -> Load {
    closed_loop(callers, warm_up, measured, |caller| {
        let client = client.clone();
        let mut random = Random::new(caller as u64);
        move || {
            let add = client.entity::<Counter>(random.below(entities)).add(1);
            async move {
                match request {
                    Request::Call => drop(add.await.expect("the call succeeds")),
                    #[cfg(feature = "otel")]
                    Request::TracedCall => {
                        let _: i64 = hubs::spans::traced(add.into_future()).await.expect("the call succeeds");
                    }
                    Request::Signal => add.signal().await.expect("the signal is acknowledged"),
                }
            }
        }
    })
    .await
}

/// Signals each of `entities` counters once, with `callers` requests in flight, so that all of them exist.
pub(crate) async fn touch_all(client: &Client, entities: u64, callers: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let client = client.clone();
        tasks.spawn(async move {
            for key in (caller..entities).step_by(callers as usize) {
                let add = client.entity::<Counter>(key).add(1);
                add.signal().await.expect("the signal is acknowledged");
            }
        });
    }
    tasks.join_all().await;
}

/// Forwards every signal to a relay that is most likely in another partition.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Relay {
    passed: u64,
}

/// Number of signals that the relays forwarded. It is outside their state, so that reading it costs no message.
static PASSED: AtomicU64 = AtomicU64::new(0);
/// Stops the relays from forwarding, so that the hub becomes idle.
static REST: AtomicBool = AtomicBool::new(false);

const RELAYS: u64 = 1_000;

#[operations]
impl Relay {
    pub fn pass(&mut self, context: &mut EntityContext, at: u64) {
        self.passed += 1;
        PASSED.fetch_add(1, Ordering::Relaxed);
        if !REST.load(Ordering::Relaxed) {
            let next = mix(at ^ (self.passed << 32)) % RELAYS;
            context.entity::<Relay>(next).pass(next).signal();
        }
    }
}

/// Number of signals per second that entities send each other, with `tokens` signals circulating.
///
/// The clock stops when a call returns that was made after the last counted signal. Commits are totally ordered, so
/// every counted signal is durable by then.
pub(crate) async fn forwarded_per_s(directory: &Path, tokens: u64, warm_up: Duration, measured: Duration) -> f64 {
    let hub = hubs::open(directory).await;
    let client = hub.client();
    let mut started = tokio::task::JoinSet::new();
    for token in 0..tokens {
        let at = mix(token) % RELAYS;
        started.spawn(client.entity::<Relay>(at).pass(at).signal());
    }
    while let Some(signal) = started.join_next().await {
        signal.expect("the task ends").expect("the signal is acknowledged");
    }
    tokio::time::sleep(warm_up).await;
    let begin = Instant::now();
    let before = PASSED.load(Ordering::Relaxed);
    tokio::time::sleep(measured).await;
    let passed = PASSED.load(Ordering::Relaxed) - before;
    let fence = client.entity::<Counter>("fence").add(1);
    fence.await.expect("the call succeeds");
    let per_s = passed as f64 / begin.elapsed().as_secs_f64();
    REST.store(true, Ordering::Relaxed);
    hub.shutdown().await.expect("the hub closes");
    per_s
}
