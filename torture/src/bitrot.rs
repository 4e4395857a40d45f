//! Files that change by themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::calls::Calls;
use crate::campaign::{Course, Outcome, Share, run};
use crate::load::{Broken, Plan, finish_now, hub};
use crate::worker::{Ended, Worker};

/// Number of damages of one hub.
const DAMAGES: u64 = 40;

/// Damages one file of a hub at a time: flipped bits, zeroed or exchanged blocks, a cut, a lost file, two files whose
/// contents are exchanged. The hub has everything that was acknowledged, or refuses to continue and says why. It never
/// continues with less.
pub(crate) fn bitrot(share: &Share) -> Outcome {
    run("bitrot", "damages", share, one_hub)
}

fn one_hub(seed: u64, course: &Course) {
    let mut random = fastrand::Rng::with_seed(seed);
    let plan = Plan {
        clients: random.u64(2..5),
        requests: random.u64(4..12),
        note_bytes: random.usize(..30_000),
        ..Plan::small(seed)
    };
    let place = course.place();
    // Half of the hubs are closed, and the others were killed.
    let is_killed = random.bool();
    let mut worker = Worker::start(place.path(), &plan, &Calls::default());
    if is_killed {
        if let Err(Ended::Refused(why) | Ended::Badly(why)) = worker.wait_until_open(course.patience()) {
            return course.violated(seed, place, &why);
        }
        std::thread::sleep(Duration::from_millis(random.u64(..200)));
        // It may have done all of its work.
        let _ = worker.kill();
    } else if let Ended::Refused(why) | Ended::Badly(why) = worker.wait(Duration::from_secs(60)) {
        return course.violated(seed, place, &why);
    }
    for _ in 0..DAMAGES {
        if course.is_over() {
            return;
        }
        let copy = course.place();
        copy_all(place.path(), copy.path());
        let damage = damage(&hub(copy.path()), &mut random);
        course.count(1);
        match finish_now(copy.path(), &plan, course.patience()) {
            Ok(_) => course.note("without consequences", 1),
            Err(Broken::Refused(_)) => course.note("refused", 1),
            Err(broken) => course.violated(seed, copy, &format!("{damage}: {broken}")),
        }
    }
}

/// Damages a random file below a directory, and says how.
fn damage(directory: &Path, random: &mut fastrand::Rng) -> String {
    let mut files = Vec::new();
    find(directory, &mut files);
    let file = files[random.usize(..files.len())].clone();
    let name = file.display();
    let mut bytes = fs::read(&file).expect("a file of the hub");
    let length = bytes.len();
    let at = random.usize(..length.max(1));
    let block = |at: usize| at / 4096 * 4096..(at / 4096 * 4096 + 4096).min(length);
    let what = match random.u32(..8) {
        _ if length == 0 => {
            bytes = vec![random.u8(..); 100];
            format!("{name}: was empty, and has 100 bytes")
        }
        0..3 => {
            bytes[at] ^= 1 << random.u32(..8);
            format!("{name}: a flipped bit in byte {at} of {length}")
        }
        3 => {
            bytes[block(at)].fill(0);
            format!("{name}: a zeroed block at byte {at} of {length}")
        }
        4 => {
            bytes.truncate(at);
            format!("{name}: cut from {length} to {at} bytes")
        }
        5 => {
            let other = random.usize(..length);
            let (one, two) = (bytes[block(at)].to_vec(), bytes[block(other)].to_vec());
            let count = one.len().min(two.len());
            let (from, to) = (block(at).start, block(other).start);
            bytes[from..from + count].copy_from_slice(&two[..count]);
            bytes[to..to + count].copy_from_slice(&one[..count]);
            format!("{name}: exchanged the blocks at bytes {from} and {to} of {length}")
        }
        6 => {
            fs::remove_file(&file).expect("a file of the hub");
            return format!("{name}: removed");
        }
        _ => {
            let other = files[random.usize(..files.len())].clone();
            if fs::read(&other).is_ok_and(|other| other == bytes) {
                return damage(directory, random);
            }
            fs::copy(&other, &file).expect("a file of the hub");
            fs::write(&other, &bytes).expect("a file of the hub");
            return format!("exchanged {name} and {}", other.display());
        }
    };
    if fs::read(&file).is_ok_and(|before| before == bytes) {
        // It was a zeroed block of zeros, or blocks that are equal.
        return damage(directory, random);
    }
    fs::write(&file, bytes).expect("a file of the hub");
    what
}

/// Appends all files below a directory that can lose data.
pub(crate) fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .expect("a directory of the hub")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort_unstable();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            find(&path, files);
        } else if !name.contains("LOG") && name != "LOCK" {
            // RocksDB's protocol and the lock files have no data.
            files.push(path);
        }
    }
}

/// Copies a directory with everything in it.
pub(crate) fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory for a copy");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}
