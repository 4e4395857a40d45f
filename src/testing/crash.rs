//! A scenario that is crashed at every sync.

use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;
use std::time::SystemTime;

use crate::store::DiskImage;
use crate::testing::diff::difference_of_values;
use crate::testing::life::{Killed, Life, Plan, run_life};
use crate::testing::running::RunningHub;
use crate::testing::test_hub::TestHub;

/// The environment variable that selects one run.
const ONLY: &str = "ABIDE_CRASH_POINT";

/// The result of [`crash_everywhere`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashReport {
    /// The number of syncs of the scenario without a crash. It was crashed at each of them.
    pub syncs: u64,
    /// The number of runs that were crashed.
    pub runs: u64,
}

/// Runs a scenario without a crash, and then again with a crash at every sync, and checks that it has the same result.
///
/// A scenario is the main function of a program that may be killed at any time: after a crash, the hub opens again with
/// what was on disk, and the scenario runs again *from its start*. So it starts orchestrations under ids of its own,
/// and sends requests under request ids. Whatever has to hold at any time, it asserts itself.
///
/// A sync is when commits become durable and their answers leave the process. The hub is killed before it. The commits
/// that were not synced are lost in one run, kept in another, and kept in part in further ones. In another run for each
/// of these, the hub is killed again while it recovers. What happens between two syncs is not interrupted: an activity
/// that has begun has either ended or is dropped at an await.
///
/// `hub` is called once for each run. Create the world outside of the hub in it, and pass it to
/// [`TestHub::outside`]: it then survives the crashes of its run, and no other run sees it.
///
/// ```
/// use abide::prelude::*;
/// use abide::testing::{TestHub, crash_everywhere};
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Account {
///     cents: i64,
/// }
///
/// #[operations]
/// impl Account {
///     pub fn deposit(&mut self, cents: i64) -> i64 {
///         self.cents += cents;
///         self.cents
///     }
/// }
///
/// let report = crash_everywhere(
///     || TestHub::new(|| Hub::in_memory().entity::<Account>()),
///     async |hub| {
///         let account = hub.client().entity::<Account>("alice");
///         account.deposit(500).request_id("first").await.unwrap();
///         account.deposit(1).request_id("second").await.unwrap()
///     },
/// );
/// assert!(report.syncs >= 2);
/// ```
///
/// # Panics
/// Panics at the first crash after which the scenario panics or has another result. The message names the crash, the
/// open steps at that moment, and a setting that repeats only this run: the environment variable `ABIDE_CRASH_POINT`.
/// Panics as well if two runs differ before the crash, because the scenario is random.
#[track_caller]
pub fn crash_everywhere<T: PartialEq + Debug>(
    hub: impl Fn() -> TestHub,
    scenario: impl AsyncFn(&RunningHub) -> T,
) -> CrashReport {
    let first = hub();
    let plan = Plan::never(first.seed, 0);
    let (expected, syncs) = match run_life(&first, DiskImage::default(), first.start_time, plan, &scenario) {
        Life::Ended { result, syncs } => (result, syncs),
        Life::Killed(_) => unreachable!("the plan kills nothing"),
    };
    let seed = first.seed;
    drop(first);
    let crashes = Crashes {
        hub,
        scenario,
        expected,
        syncs,
    };
    let runs = match only() {
        Some(only) if only.seed == seed => {
            crashes.run(only);
            1
        }
        Some(_) => 0,
        None => crashes.run_all(seed),
    };
    CrashReport {
        syncs: crashes.syncs.len() as u64,
        runs,
    }
}

/// A run that crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Crash {
    seed: u64,
    /// The number of the sync that does not happen. The first one is 1.
    sync: u64,
    /// The number of commits that the disk has kept although they were not synced.
    kept: usize,
    /// The number of the sync of the recovery that does not happen, or 0. If it is even, the disk has kept all commits
    /// that were not synced, otherwise none of them.
    again: u64,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}.{}.{}", self.seed, self.sync, self.kept, self.again)
    }
}

impl FromStr for Crash {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (seed, rest) = text.split_once(':').ok_or(())?;
        let [sync, kept, again] = <[&str; 3]>::try_from(rest.split('.').collect::<Vec<_>>()).map_err(drop)?;
        let crash = Self {
            seed: seed.parse().map_err(drop)?,
            sync: sync.parse().map_err(drop)?,
            kept: kept.parse().map_err(drop)?,
            again: again.parse().map_err(drop)?,
        };
        if crash.sync == 0 { Err(()) } else { Ok(crash) }
    }
}

fn only() -> Option<Crash> {
    let text = std::env::var(ONLY).ok()?;
    match text.parse() {
        Ok(crash) => Some(crash),
        Err(()) => panic!("`{ONLY}={text}` selects no run; a failed test prints a value such as `{ONLY}=0:7.0.0`"),
    }
}

/// The runs of one scenario.
struct Crashes<H, S, T> {
    hub: H,
    scenario: S,
    /// The result without a crash.
    expected: T,
    /// The fingerprint of the store before each sync without a crash.
    syncs: Vec<u64>,
}

/// The facts that a run has shown.
struct Tried {
    /// The number of commits that were not synced at the crash.
    unsynced: usize,
    /// The number of syncs of the recovery.
    recovery: u64,
}

impl<H: Fn() -> TestHub, S: AsyncFn(&RunningHub) -> T, T: PartialEq + Debug> Crashes<H, S, T> {
    /// Runs the scenario with each crash. Returns the number of runs.
    #[track_caller]
    fn run_all(&self, seed: u64) -> u64 {
        let mut runs = 0;
        for sync in 1..=self.syncs.len() as u64 {
            let (mut kept, mut unsynced) = (0, 0);
            while kept <= unsynced {
                let again = 0;
                let once = Crash {
                    seed,
                    sync,
                    kept,
                    again,
                };
                let tried = self.run(once);
                unsynced = tried.unsynced;
                runs += 1;
                // One sync of the recovery, another one each time.
                if tried.recovery > 0 {
                    let again = 1 + (sync + kept as u64) % tried.recovery;
                    self.run(Crash { again, ..once });
                    runs += 1;
                }
                kept += 1;
            }
        }
        runs
    }

    /// Runs the scenario with a crash.
    #[track_caller]
    fn run(&self, crash: Crash) -> Tried {
        let hub = (self.hub)();
        let first = self.kill(&hub, DiskImage::default(), hub.start_time, 0, crash.sync, crash);
        let unsynced = first.store.unsynced();
        let (mut image, mut time, mut lives) = (first.store.image(crash.kept), first.time, 1);
        if crash.again > 0 {
            let second = self.kill(&hub, image, time, lives, crash.again, crash);
            let kept = if crash.again.is_multiple_of(2) {
                second.store.unsynced()
            } else {
                0
            };
            (image, time, lives) = (second.store.image(kept), second.time, 2);
        }
        let recovered = catch_unwind(AssertUnwindSafe(|| {
            run_life(&hub, image, time, Plan::never(hub.seed, lives), &self.scenario)
        }));
        let about = || self.describe(crash, unsynced, &first.open_steps());
        match recovered {
            Ok(Life::Ended { result, syncs }) if result == self.expected => Tried {
                unsynced,
                recovery: syncs.len() as u64,
            },
            Ok(Life::Ended { result, .. }) => panic!(
                "the scenario has another result after {}\n`-` is the result without a crash, `+` the one after it:\n{}",
                about(),
                difference_of_values(&self.expected, &result)
            ),
            Ok(Life::Killed(_)) => unreachable!("the plan kills nothing"),
            Err(panic) => {
                eprintln!("the scenario panics after {}", about());
                resume_unwind(panic)
            }
        }
    }

    fn describe(&self, crash: Crash, unsynced: usize, open_steps: &str) -> String {
        let again = match crash.again {
            0 => String::new(),
            again => format!(", and another at sync {again} of the recovery"),
        };
        format!(
            "a crash at sync {} of {}, with {} of {unsynced} unsynced commits kept{again}\n{open_steps}Repeat only this \
             run with {ONLY}={crash}",
            crash.sync,
            self.syncs.len(),
            crash.kept
        )
    }

    /// Runs the scenario until a sync, and kills it there.
    #[track_caller]
    fn kill(&self, hub: &TestHub, image: DiskImage, time: SystemTime, life: u64, sync: u64, crash: Crash) -> Killed {
        let plan = Plan::never(hub.seed, life).killed_at(sync);
        match run_life(hub, image, time, plan, &self.scenario) {
            Life::Killed(killed) if life > 0 || self.is_as_before(&killed, sync) => killed,
            _ => panic!(
                "the scenario is not the same each time: before the crash {crash}, it differs from the first run; look \
                 for random numbers, threads, real time and iterations over a `HashMap`, and create the world outside \
                 of the hub anew for each run"
            ),
        }
    }

    /// Returns `true` if the hub has written the same as in the first run.
    fn is_as_before(&self, killed: &Killed, sync: u64) -> bool {
        self.syncs.get(sync as usize - 1) == Some(&killed.store.fingerprint())
    }
}
