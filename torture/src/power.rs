//! The loss of power at any moment.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use crate::calls::Calls;
use crate::campaign::{Course, Outcome, Share, run};
use crate::disk::{Disk, Image, LOSSES, Loss};
use crate::load::{OUTSIDE, Plan, finish_now};
use crate::recording::{self, Change};
use crate::worker::{Ended, Worker};

/// Records everything that a process writes, and opens the hub from what a disk may have after each of its calls, in
/// several ways: with everything, with nothing that was not synced, with a torn write, and with any sectors and names.
/// Each image has to open, and everything that was acknowledged before the loss has to be there. Then the same happens to
/// a process that continues from one of these images, so power is lost during and after a recovery from a loss.
pub(crate) fn power(share: &Share) -> Outcome {
    run("power", "images", share, |seed, course| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut plan = Plan {
            clients: random.u64(2..5),
            requests: random.u64(3..9),
            executors: random.usize(1..3),
            note_bytes: random.usize(..30_000),
            closes: random.bool(),
            ticks: random.u64(..4) == 0,
            readers: random.u64(..2),
            ..Plan::small(seed)
        };
        if let Some(image) = one_life(&Image::default(), &plan, &mut random, course) {
            plan.requests += 2;
            one_life(&image, &plan, &mut random, course);
        }
    })
}

/// Runs a process that finds an image, and loses the power after each of its calls. Returns one of the images that the
/// losses leave.
fn one_life(begin: &Image, plan: &Plan, random: &mut fastrand::Rng, course: &Course) -> Option<Image> {
    let seed = plan.seed;
    let (place, recordings) = (course.place(), course.place());
    begin.write(place.path()).expect("there is space for an image");
    let recording = recordings.path().join("calls");
    let calls = Calls::recorded(recording.clone()).with_slow_syncs(Duration::from_micros(random.u64(..2_000)));
    match Worker::start(place.path(), plan, &calls).wait(course.patience() * 2) {
        Ended::Done => {}
        Ended::Refused(why) | Ended::Badly(why) => {
            course.violated(seed, place, &why);
            return None;
        }
    }
    let changes = recording::read(&recording, place.path(), &begin.files());
    check_recording(begin, &changes, place.path());
    let mut disk = Disk::new(begin, &OUTSIDE);
    let (mut seen, mut chosen) = (HashSet::new(), None);
    for (index, change) in changes.iter().enumerate() {
        if !disk.apply(change) {
            continue;
        }
        for loss in LOSSES {
            if course.is_over() {
                return None;
            }
            let image = disk.lose(loss, random);
            if !seen.insert(image.hash()) {
                continue;
            }
            let lost = course.place();
            image.write(lost.path()).expect("there is space for an image");
            if let Err(broken) = finish_now(lost.path(), plan, course.patience()) {
                let what = format!("a loss of {loss:?} after call {index}, {}: {broken}", brief(change));
                course.violated(seed, lost, &what);
            }
            course.count(1);
            // Each image is chosen with the same probability.
            if random.usize(..seen.len()) == 0 {
                chosen = Some(image);
            }
        }
    }
    course.note("calls", changes.len() as u64);
    chosen
}

/// Compares the real files of a process with the recording of its calls. Panics if the recording lacks a change.
fn check_recording(begin: &Image, changes: &[Change], place: &Path) {
    let mut disk = Disk::new(begin, &OUTSIDE);
    for change in changes {
        disk.apply(change);
    }
    // RocksDB writes its log of events in another way, and no open reads it.
    let is_event_log = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().contains("LOG"))
    };
    let image = disk.lose(Loss::Nothing, &mut fastrand::Rng::new());
    let different = image.difference(place, is_event_log);
    assert_eq!(different, None, "the recording lacks a change of this file");
}

/// Describes a change without its bytes.
fn brief(change: &Change) -> String {
    let mut text = format!("{change:?}");
    if let Some(end) = text.find("bytes:") {
        text.truncate(end);
    }
    text
}
