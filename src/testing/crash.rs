//! A scenario that is crashed at every point.

use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;

use crate::store::DiskImage;
use crate::testing::life::{Killed, Life, Plan, live};
use crate::testing::running::RunningHub;
use crate::testing::test_hub::TestHub;

/// The environment variable that selects one point.
const ONLY: &str = "ABIDE_CRASH_POINT";

/// What [`crash_everywhere`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashReport {
    /// The number of syncs of the scenario without a crash. Each of them is a point at which it was crashed.
    pub points: u64,
    /// The number of runs that were crashed.
    pub runs: u64,
}

/// Runs a scenario without a crash, and then again with a crash at every point, and checks that it has the same result.
///
/// A scenario is the main function of a program that may be killed at any time: after a crash, the hub opens again with
/// what was on disk, and the scenario runs again *from its start*. So it starts orchestrations under ids of its own,
/// and sends requests under request ids. Whatever has to hold at any time, it asserts itself.
///
/// A crash happens before a sync, which is when commits become durable and their answers leave the process. The commits
/// that were not synced are lost in one run, kept in another, and kept in part in further ones. In another run for each
/// of these, the process crashes again while it recovers.
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
/// assert!(report.points >= 2);
/// ```
///
/// # Panics
/// Panics at the first point after which the scenario panics or has another result. The message contains the point, what
/// the orchestrations waited for there, and a command that repeats only this run. Panics as well if two runs differ up
/// to the same point, because the scenario is random.
#[track_caller]
pub fn crash_everywhere<T: PartialEq + Debug>(
    hub: impl Fn() -> TestHub,
    scenario: impl AsyncFn(&RunningHub) -> T,
) -> CrashReport {
    let first = hub();
    let plan = Plan::never(first.seed, 0);
    let (expected, points) = match live(&first, DiskImage::default(), first.start_time, plan, &scenario) {
        Life::Ended { result, syncs } => (result, syncs),
        Life::Killed(_) => unreachable!("the plan kills nothing"),
    };
    let crashes = Crashes {
        hub,
        scenario,
        expected,
        points,
    };
    let mut runs = 0;
    if let Some(only) = only() {
        crashes.run(only);
        return CrashReport { points, runs: 1 };
    }
    for sync in 1..=points {
        let (mut kept, mut unsynced) = (0, 0);
        while kept <= unsynced {
            let once = CrashPoint { sync, kept, again: 0 };
            let tried = crashes.run(once);
            unsynced = tried.unsynced;
            runs += 1;
            // One of the points of the recovery, another one each time.
            if let Some(last) = tried.recovery.checked_sub(1) {
                let again = 1 + (sync + kept as u64) % (last + 1);
                crashes.run(CrashPoint { again, ..once });
                runs += 1;
            }
            kept += 1;
        }
    }
    CrashReport { points, runs }
}

/// A point at which a run crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CrashPoint {
    /// The number of the sync that does not happen. The first one is 1.
    sync: u64,
    /// The number of commits that the disk has kept although they were not synced.
    kept: usize,
    /// The number of the sync of the recovery that does not happen, or 0.
    again: u64,
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.sync, self.kept, self.again)
    }
}

impl FromStr for CrashPoint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.splitn(3, '.');
        let mut next = || numbers.next().ok_or(());
        Ok(Self {
            sync: next()?.parse().map_err(drop)?,
            kept: next()?.parse().map_err(drop)?,
            again: next()?.parse().map_err(drop)?,
        })
    }
}

fn only() -> Option<CrashPoint> {
    let text = std::env::var(ONLY).ok()?;
    match text.parse() {
        Ok(point) => Some(point),
        Err(()) => panic!("`{ONLY}={text}` is not a crash point; it looks like `{ONLY}=7.0.0`"),
    }
}

/// The runs of one scenario.
struct Crashes<H, S, T> {
    hub: H,
    scenario: S,
    /// The result without a crash.
    expected: T,
    points: u64,
}

/// What a run has shown.
struct Tried {
    /// The number of commits that were not synced at the crash.
    unsynced: usize,
    /// The number of syncs of the recovery.
    recovery: u64,
}

impl<H: Fn() -> TestHub, S: AsyncFn(&RunningHub) -> T, T: PartialEq + Debug> Crashes<H, S, T> {
    /// Runs the scenario with a crash at a point.
    #[track_caller]
    fn run(&self, point: CrashPoint) -> Tried {
        let hub = (self.hub)();
        let killed = self.kill(&hub, DiskImage::default(), hub.start_time, 0, point.sync, point);
        let (unsynced, standing) = (killed.store.unsynced(), killed.standing);
        let (mut image, mut time) = (killed.store.image(point.kept), killed.time);
        let mut lives = 1;
        if point.again > 0 {
            let killed = self.kill(&hub, image, time, 1, point.again, point);
            (image, time) = (killed.store.image(killed.store.unsynced()), killed.time);
            lives = 2;
        }
        let recovered = catch_unwind(AssertUnwindSafe(|| {
            live(&hub, image, time, Plan::never(hub.seed, lives), &self.scenario)
        }));
        let about = || {
            format!(
                "a crash at sync {} of {}, with {} of {unsynced} unsynced commits kept{}\n{standing}\
                 Repeat only this run with {ONLY}={point}",
                point.sync,
                self.points,
                point.kept,
                match point.again {
                    0 => String::new(),
                    again => format!(", and another at sync {again} of the recovery"),
                },
            )
        };
        match recovered {
            Ok(Life::Ended { result, syncs }) if result == self.expected => Tried {
                unsynced,
                recovery: syncs,
            },
            Ok(Life::Ended { result, .. }) => panic!(
                "the scenario has another result after {}\n  without a crash: {:?}\n  after the crash: {result:?}",
                about(),
                self.expected
            ),
            Ok(Life::Killed(_)) => unreachable!("the plan kills nothing"),
            Err(panic) => {
                eprintln!("the scenario panics after {}", about());
                resume_unwind(panic)
            }
        }
    }

    /// Runs the scenario until a sync, and kills it there.
    #[track_caller]
    fn kill(
        &self,
        hub: &TestHub,
        image: DiskImage,
        time: std::time::SystemTime,
        life: u64,
        sync: u64,
        point: CrashPoint,
    ) -> Killed {
        match live(
            hub,
            image,
            time,
            Plan::never(hub.seed, life).killed_at(sync),
            &self.scenario,
        ) {
            Life::Killed(killed) => killed,
            Life::Ended { .. } => panic!(
                "the scenario is not the same each time: it has ended before the crash point {point}; look for random \
                 numbers, threads, real time and iterations over a `HashMap`"
            ),
        }
    }
}
