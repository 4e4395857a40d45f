//! The locks, atomics, channels and threads of the parts that hand work from one thread to another: the output gate, the
//! syncer, the inboxes and the end of a hub.
//!
//! They are those of `std`. In tests with `--cfg shuttle`, they are those of [shuttle](https://docs.rs/shuttle), which
//! runs one thread at a time and chooses at each operation which thread continues. The tests named `models` explore such
//! schedules. All other tests need `std` and do not run with `--cfg shuttle`.

#[cfg(not(all(test, shuttle)))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic, mpsc},
    thread,
};

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, atomic, mpsc},
    thread,
};

/// Runs `model` under many schedules, half of them random and half of them with few preemptions (PCT). All threads of a
/// schedule have to end, so a lost wake-up is reported as a deadlock.
///
/// The schedules are the same in each run. A failure prints its schedule; `ABIDE_SCHEDULE` runs that one alone.
/// `ABIDE_SCHEDULES` is the number of schedules.
#[cfg(all(test, shuttle))]
pub(crate) fn explore(usual: usize, model: impl Fn() + Send + Sync + Clone + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
    use shuttle::{Config, Runner};

    let mut config = Config::new();
    // A turn of an entity needs more than the usual 32 KiB.
    config.stack_size = 1 << 20;
    // It warns of relaxed atomics, which it treats as ordered ones.
    config.silence_warnings = true;
    if let Ok(schedule) = std::env::var("ABIDE_SCHEDULE") {
        Runner::new(ReplayScheduler::new_from_encoded(&schedule), config).run(model);
        return;
    }
    let schedules = std::env::var("ABIDE_SCHEDULES").map_or(usual, |schedules| schedules.parse().unwrap());
    Runner::new(RandomScheduler::new_from_seed(1, schedules / 2), config.clone()).run(model.clone());
    Runner::new(PctScheduler::new_from_seed(1, 3, schedules.div_ceil(2)), config).run(model);
}
