//! One life of a hub in a test: from its open to the end of the test, or until it is killed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Handle, Runtime as Tokio};

use crate::client::Client;
use crate::error::Result;
use crate::hub::OpenStore;
use crate::id::Shard;
use crate::model::{self, CommitRecord};
use crate::random::Seeded;
use crate::runtime::Runtime;
use crate::runtime::local::{Decisions, LocalEnd, LocalHub};
use crate::schema;
use crate::store::{DiskImage, KillableStore, Reader};
use crate::testing::open_steps::describe_open_steps;
use crate::testing::running::RunningHub;
use crate::testing::test_hub::TestHub;
use crate::testing::wakes::CountedWakes;
use crate::time::Clock;

/// The end of one life of a hub.
pub(super) enum Life<T> {
    /// The test has ended.
    Ended {
        result: T,
        /// The fingerprint of the store before each sync.
        syncs: Vec<u64>,
    },
    /// The hub was killed before a sync.
    Killed(Killed),
}

/// A hub that was killed.
pub(super) struct Killed {
    pub(super) store: Arc<KillableStore>,
    pub(super) time: SystemTime,
    runtime: Arc<Runtime>,
}

impl Killed {
    /// Describes what the orchestrations waited for.
    pub(super) fn open_steps(&self) -> String {
        describe_open_steps(&self.runtime, self.store.as_ref())
    }
}

/// The plan for one life of a hub.
pub(super) struct Plan {
    seed: u64,
    /// The number of the sync before which the hub is killed. The first one is 1.
    kill_at: Option<u64>,
}

impl Plan {
    /// A life that is not killed. Each life of a test has another number.
    pub(super) fn never(seed: u64, life: u64) -> Self {
        Self {
            seed: seed.wrapping_mul(3).wrapping_add(life),
            kill_at: None,
        }
    }

    pub(super) fn killed_at(self, sync: u64) -> Self {
        Self {
            kill_at: Some(sync),
            ..self
        }
    }
}

/// The decisions of a plan.
struct Planned {
    random: fastrand::Rng,
    kill_at: Option<u64>,
    store: Arc<KillableStore>,
    syncs: Rc<RefCell<Vec<u64>>>,
}

impl Decisions for Planned {
    fn syncs_now(&mut self) -> bool {
        self.random.bool()
    }

    fn kills(&mut self) -> bool {
        let mut syncs = self.syncs.borrow_mut();
        syncs.push(self.store.fingerprint());
        self.kill_at == Some(syncs.len() as u64)
    }
}

/// Opens a hub on the rows of an earlier life, and runs a test.
#[track_caller]
pub(super) fn run_life<T>(
    hub: &TestHub,
    image: DiskImage,
    time: SystemTime,
    plan: Plan,
    test: impl AsyncFnOnce(&RunningHub) -> T,
) -> Life<T> {
    assert!(
        Handle::try_current().is_err(),
        "a hub for tests has a tokio runtime of its own; call it from a plain `#[test]`, not from `#[tokio::test]`"
    );
    let _seeded = Seeded::new(plan.seed);
    let tokio = Background::new();
    tokio.block_on(async {
        let store = Arc::new(KillableStore::open(image));
        let syncs = Rc::new(RefCell::new(Vec::new()));
        let decisions = Planned {
            random: fastrand::Rng::with_seed(plan.seed),
            kill_at: plan.kill_at,
            store: Arc::clone(&store),
            syncs: Rc::clone(&syncs),
        };
        let opened = open(hub, &store, time, decisions);
        let (running, local) = opened.unwrap_or_else(|error| panic!("the hub of the test does not open: {error}"));
        let runtime = Arc::clone(&running.runtime);
        let task = async {
            match local.run(Arc::clone(&runtime)).await {
                LocalEnd::Killed => {}
                // The test receives the error of the hub.
                LocalEnd::Ended => std::future::pending().await,
            }
        };
        let wakes = Rc::new(Cell::new(0));
        let test = CountedWakes::new(test(&running), Rc::clone(&wakes));
        tokio::select! {
            biased;
            () = task => Life::Killed(Killed {
                time: running.now(),
                runtime: Arc::clone(&runtime),
                store,
            }),
            result = test => Life::Ended { result, syncs: syncs.take() },
            () = no_wake(hub.time_limit, &wakes) => give_up(hub.time_limit, &runtime, store.as_ref()),
        }
    })
}

/// Opens the hub.
fn open<D: Decisions>(
    hub: &TestHub,
    store: &Arc<KillableStore>,
    time: SystemTime,
    decisions: D,
) -> Result<(RunningHub, LocalHub<D>)> {
    let builder = hub.builder()?;
    let last: Option<CommitRecord> = match store.get(&schema::COMMIT)? {
        Some(row) => Some(model::decode(&row, "commit")?),
        None => None,
    };
    let last = last.unwrap_or_else(|| CommitRecord::before_the_first(builder.partition_count()));
    let opened = OpenStore {
        partitions: last.partitions,
        // Whatever an earlier life had started was running when it was killed.
        calm_since: last.next_batch,
        hub: "test".into(),
        store: Arc::clone(store) as _,
        last,
        shard: Shard::WHOLE,
        held: Vec::new(),
    };
    let clock = Clock::of_tokio(time, opened.last.clock);
    let mut prepared = builder.prepare(opened, clock)?;
    (prepared.config.executors, prepared.config.is_local) = (1, true);
    #[cfg(feature = "otel")]
    {
        (prepared.config.exporter, prepared.config.limits.spans) = (None, None);
    }
    let (runtime, local) = LocalHub::open(prepared.store, prepared.last, prepared.config, decisions)?;
    prepared.startup.begin(Client::new(&runtime), &runtime.tokio);
    let running = RunningHub {
        client: Client::new(&runtime),
        progress: local.progress(),
        calls: hub.calls.clone(),
        outside: hub.outside.clone(),
        runtime,
    };
    Ok((running, local))
}

/// Returns if the test was not woken for this long.
async fn no_wake(limit: Duration, wakes: &Cell<u64>) {
    loop {
        let before = wakes.get();
        tokio::time::sleep(limit).await;
        if wakes.get() == before {
            return;
        }
    }
}

/// Fails a test that waits for too long.
#[track_caller]
fn give_up(limit: Duration, runtime: &Runtime, store: &KillableStore) -> ! {
    if let Some(error) = runtime.failure() {
        panic!("the test waits for a hub that has failed: {error}");
    }
    let days = limit.as_secs_f64() / 86_400.0;
    panic!(
        "the test has waited for {days:.1} days of virtual time; if it waits for something that happens later, raise \
         `time_limit`, and replace activities that wait for a socket, a process or another thread, because time does \
         not wait for these\n{}",
        describe_open_steps(runtime, store)
    );
}

/// A tokio runtime with virtual time. Its drop does not wait for blocking work that a test has started.
struct Background(Option<Tokio>);

impl Background {
    fn new() -> Self {
        let built = Builder::new_current_thread().enable_all().start_paused(true).build();
        Self(Some(built.expect("the system has resources for an event loop")))
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let Some(tokio) = &self.0 else {
            unreachable!("it is present until the drop");
        };
        tokio.block_on(future)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(tokio) = self.0.take() {
            tokio.shutdown_background();
        }
    }
}
