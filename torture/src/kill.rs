//! The end of a process at any moment.

use std::time::Duration;

use crate::calls::Calls;
use crate::campaign::{Course, Outcome, Place, Share, run};
use crate::load::{Plan, finish_now};
use crate::worker::{Ended, Worker};

/// Number of kills of one hub.
const KILLS: u64 = 25;

/// Kills a worker at random moments, also while its hub opens, and starts it again. After a number of kills, the rest
/// of the work is done, and the hub has exactly the effects of everything that was acknowledged.
pub(crate) fn kill(share: &Share) -> Outcome {
    run("kill", "kills", share, round)
}

/// Ends a worker by `exit` at random moments, while all of its threads work, and starts it again. This is not a kill: the
/// process runs its exit hooks and destroys its static objects, those of RocksDB among them.
pub(crate) fn exit(share: &Share) -> Outcome {
    run("exit", "exits", share, |seed, course| {
        let mut random = fastrand::Rng::with_seed(seed);
        let place = course.place();
        let mut plan = Plan {
            // Large notes fill the log quickly, so many exits come while a table is written.
            note_bytes: random.usize(10_000..40_000),
            log_bytes: 128 << 10,
            ticks: false,
            ..plan(seed, &mut random)
        };
        for _ in 0..KILLS {
            plan.exits_after = Some(random.u64(..80_000));
            let calls = Calls::lingering(Duration::from_millis(random.u64(..20)));
            let ended = Worker::start(place.path(), &plan, &calls).wait(course.patience());
            if let Ended::Refused(why) | Ended::Badly(why) = ended {
                return course.violated(seed, place, &why);
            }
            course.count(1);
            if course.is_over() {
                break;
            }
        }
        audit(seed, place, &plan, course);
    })
}

fn plan(seed: u64, random: &mut fastrand::Rng) -> Plan {
    Plan {
        clients: random.u64(2..10),
        requests: u64::MAX,
        executors: random.usize(1..4),
        log_bytes: 128 << random.u64(10..13),
        note_bytes: random.usize(..200),
        ticks: random.bool(),
        readers: random.u64(..3),
        ..Plan::small(seed)
    }
}

/// Does the rest of the work, and compares the hub with the ledger.
fn audit(seed: u64, place: Place, plan: &Plan, course: &Course) {
    match finish_now(place.path(), plan, course.patience()) {
        Ok(requests) => course.note("requests", requests),
        Err(broken) => course.violated(seed, place, &broken.to_string()),
    }
}

fn round(seed: u64, course: &Course) {
    let mut random = fastrand::Rng::with_seed(seed);
    let place = course.place();
    let plan = plan(seed, &mut random);
    // On a slow disk, more is written and not yet durable when the kill comes.
    let calls = Calls::default().with_slow_syncs(Duration::from_micros(random.u64(..8_000)));
    for _ in 0..KILLS {
        let mut worker = Worker::start(place.path(), &plan, &calls);
        let opened = if random.u64(..4) > 0 {
            let opened = worker.wait_until_open(course.patience());
            std::thread::sleep(Duration::from_micros(random.u64(..120_000)));
            opened
        } else {
            std::thread::sleep(Duration::from_micros(random.u64(..60_000)));
            Ok(())
        };
        match opened.and_then(|()| worker.kill()) {
            Ok(()) => course.count(1),
            Err(Ended::Done) => unreachable!("the requests have no end"),
            Err(Ended::Refused(why) | Ended::Badly(why)) => return course.violated(seed, place, &why),
        }
        if course.is_over() {
            break;
        }
    }
    audit(seed, place, &plan, course);
}
