//! One life of a hub in a test: from its open to the end of the test, or until it is killed.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::client::Client;
use crate::error::Result;
use crate::hub::OpenStore;
use crate::model::{self, CommitRecord};
use crate::random::Seeded;
use crate::runtime::local::{Decisions, LocalEnd, LocalHub};
use crate::schema;
use crate::store::{DiskImage, KillableStore, Reader};
use crate::testing::running::RunningHub;
use crate::testing::standing::standing;
use crate::testing::test_hub::TestHub;
use crate::time::Clock;

/// Virtual time without any work after which a test waits for something that cannot happen.
const HOPELESS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The end of one life of a hub.
pub(super) enum Life<T> {
    /// The test has ended.
    Ended {
        result: T,
        /// Number of syncs.
        syncs: u64,
    },
    /// The hub was killed before a sync.
    Killed(Killed),
}

/// A hub that was killed.
pub(super) struct Killed {
    pub(super) store: Arc<KillableStore>,
    pub(super) time: SystemTime,
    /// What each orchestration waited for.
    pub(super) standing: String,
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
    syncs: Rc<Cell<u64>>,
}

impl Decisions for Planned {
    fn syncs_now(&mut self) -> bool {
        self.random.bool()
    }

    fn kills(&mut self) -> bool {
        let sync = self.syncs.get() + 1;
        self.syncs.set(sync);
        self.kill_at == Some(sync)
    }
}

/// Opens a hub on the rows of an earlier life, and runs a test.
pub(super) fn live<T>(
    hub: &TestHub,
    image: DiskImage,
    time: SystemTime,
    plan: Plan,
    test: impl AsyncFnOnce(&RunningHub) -> T,
) -> Life<T> {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("the system has resources for an event loop");
    let _seeded = Seeded::new(plan.seed);
    let life = tokio.block_on(async {
        let store = Arc::new(KillableStore::open(image));
        let syncs = Rc::new(Cell::new(0));
        let decisions = Planned {
            random: fastrand::Rng::with_seed(plan.seed),
            kill_at: plan.kill_at,
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
        tokio::select! {
            biased;
            () = task => Life::Killed(Killed {
                time: running.now(),
                standing: standing(&runtime, store.as_ref()),
                store,
            }),
            result = test(&running) => Life::Ended { result, syncs: syncs.get() },
            () = despair(&running) => panic!(
                "the test waits for something that cannot happen: {HOPELESS:?} have passed without any work\n{}",
                standing(&runtime, store.as_ref())
            ),
        }
    });
    // Blocking work that a test has started ends by itself.
    tokio.shutdown_background();
    life
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
    };
    let clock = Clock::of_tokio(time, opened.last.clock);
    let mut prepared = builder.prepare(opened, clock)?;
    (prepared.config.executors, prepared.config.is_local) = (1, true);
    let (runtime, local) = LocalHub::open(prepared.store, prepared.last, prepared.config, decisions)?;
    prepared.later.begin(&runtime);
    let running = RunningHub {
        client: Client::new(&runtime),
        progress: local.progress(),
        calls: hub.calls.clone(),
        runtime,
    };
    Ok((running, local))
}

/// Returns if the hub has done nothing for a long time.
async fn despair(hub: &RunningHub) {
    loop {
        let before = hub.progress.waits();
        tokio::time::sleep(HOPELESS).await;
        if hub.progress.waits() == before {
            return;
        }
    }
}
