//! File calls that fail: broken disks and full disks.

use std::time::Duration;

use crate::calls::{Calls, Errno, Fault, Report};
use crate::campaign::{Course, Outcome, Place, Share, run};
use crate::load::{Plan, finish_now, hub};
use crate::worker::{Ended, Worker};

/// Time after which a worker hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets each call of a run fail once: every read, write and sync, and every creation, rename and removal of a file. The
/// hub continues or reports the error. Opened again, it has everything that was acknowledged.
pub(crate) fn eio(share: &Share) -> Outcome {
    run("eio", "failed calls", share, |seed, course| {
        let plan = plan(seed);
        let fault = |number| Fault {
            kinds: "rwscn",
            number,
            error: Errno::Io,
            later: false,
            half: number % 3 == 0,
        };
        let Some(calls) = attempt(seed, &plan, fault(0), course) else {
            return;
        };
        // In any order, so that a short run has calls from everywhere. Two runs do not make the same calls, so some
        // numbers are beyond the end.
        let mut numbers: Vec<u64> = (1..=calls + calls / 10).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut numbers);
        for number in numbers {
            if course.is_over() {
                return;
            }
            attempt(seed, &plan, fault(number), course);
        }
        course.note("runs with every call", 1);
    })
}

/// Lets the disk be full from a random call on. Opened with space again, the hub has everything that was acknowledged.
pub(crate) fn full(share: &Share) -> Outcome {
    run("full", "full disks", share, |seed, course| {
        let mut random = fastrand::Rng::with_seed(seed);
        let plan = plan(seed);
        let mut fault = Fault {
            kinds: "wsc",
            number: 0,
            error: Errno::NoSpace,
            later: true,
            half: false,
        };
        let Some(calls) = attempt(seed, &plan, fault.clone(), course) else {
            return;
        };
        for _ in 0..10 {
            if course.is_over() {
                return;
            }
            fault.number = random.u64(1..=calls.max(1));
            // Sometimes there is space again at once.
            fault.later = random.bool();
            fault.half = random.bool();
            attempt(seed, &plan, fault.clone(), course);
        }
    })
}

fn plan(seed: u64) -> Plan {
    let mut random = fastrand::Rng::with_seed(seed);
    Plan {
        clients: random.u64(2..5),
        requests: random.u64(4..10),
        executors: random.usize(1..3),
        note_bytes: random.usize(..30_000),
        closes: random.u64(..4) == 0,
        ..Plan::small(seed)
    }
}

/// Runs a worker whose calls fail, and opens its hub again without failures. Returns the number of calls, or `None`
/// after a violation.
fn attempt(seed: u64, plan: &Plan, fault: Fault, course: &Course) -> Option<u64> {
    let place = course.place();
    let report = place.path().join("report");
    let is_counting = fault.number == 0;
    let calls = Calls::failing(fault, hub(place.path()), report.clone());
    let ended = Worker::start(place.path(), plan, &calls).wait(PATIENCE);
    let report = Report::read(&report);
    let failed = report.failed.as_deref().unwrap_or("nothing failed");
    let violated = |place: Place, what: String| {
        course.violated(seed, place, &format!("call {}, {failed}: {what}", report.calls));
        None
    };
    match ended {
        Ended::Done if report.failed.is_some() => course.note("times unharmed", 1),
        Ended::Done => {}
        Ended::Refused(_) if report.failed.is_some() => course.note("times refused", 1),
        Ended::Refused(why) | Ended::Badly(why) => return violated(place, why),
    }
    if !is_counting && report.failed.is_some() {
        course.count(1);
    }
    match finish_now(place.path(), plan, course.patience()) {
        Ok(_) => Some(report.calls),
        Err(broken) => violated(place, broken.to_string()),
    }
}
