//! Jumps of the wall clock.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::calls::Calls;
use crate::campaign::{Course, Outcome, Share, run};
use crate::load::Plan;
use crate::worker::{Ended, Worker};

const DAY: i64 = 24 * 60 * 60;
const NANOS: i64 = 1_000_000_000;

/// Number of processes that have one hub, one after the other.
const LIVES: u64 = 4;

/// Sets the clock of a running hub forward and back by up to ten years, and kills the process in between. No timer is
/// early or lost, and no request id is forgotten. What was set for a time in the future is done when the clock is there.
pub(crate) fn clock(share: &Share) -> Outcome {
    run("clock", "jumps", share, one_hub)
}

fn one_hub(seed: u64, course: &Course) {
    let mut random = fastrand::Rng::with_seed(seed);
    let plan = Plan {
        clients: random.u64(2..8),
        requests: u64::MAX,
        executors: random.usize(1..3),
        ..Plan::small(seed)
    };
    let place = course.place();
    let path = place.path().join("clock");
    let file = File::create(&path).expect("a file for the clock");
    let set = |seconds: i64| {
        let nanos = seconds * NANOS;
        file.write_all_at(&nanos.to_ne_bytes(), 0)
            .expect("the clock can be set");
    };
    set(0);
    let calls = Calls::with_clock(path);
    let mut latest = 0;
    for _ in 0..LIVES {
        let mut worker = Worker::start(place.path(), &plan, &calls);
        let opened = worker.wait_until_open(course.patience());
        for _ in 0..random.u64(1..8) {
            std::thread::sleep(Duration::from_millis(random.u64(..60)));
            let far = [1, 60, 3_600, DAY, 30 * DAY, 3_650 * DAY][random.usize(..6)];
            let seconds = random.i64(-far..=far);
            set(seconds);
            latest = latest.max(seconds);
            course.count(1);
        }
        match opened.and_then(|()| worker.kill()) {
            Ok(()) => {}
            Err(Ended::Done) => unreachable!("the requests have no end"),
            Err(Ended::Refused(why) | Ended::Badly(why)) => return course.violated(seed, place, &why),
        }
    }
    // Everything that waits for the latest time is due a minute later.
    set(latest + 60);
    match Worker::finish(place.path(), &plan, &calls, course.patience()).wait(course.patience() * 2) {
        Ended::Done => {}
        Ended::Refused(why) | Ended::Badly(why) => course.violated(seed, place, &why),
    }
}
