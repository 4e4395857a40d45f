//! Directories that other builds have written.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bitrot::copy_all;
use crate::calls::Calls;
use crate::campaign::{Course, Outcome, Share, run};
use crate::load::{Broken, Plan, finish_now, hub};
use crate::worker::{Ended, Worker};

/// Number of formats before the current one that a build opens. Nothing is published, so there are none yet.
const EARLIER: u64 = 0;

/// Opens a kept directory of each format that this build supports, and does the rest of its work. A directory of any
/// other format is refused, and nothing in it changes.
pub(crate) fn upgrade(share: &Share) -> Outcome {
    run("upgrade", "directories", share, |seed, course| {
        let current = current_format(course);
        let mut formats = kept();
        // The other formats are the current one with another number.
        formats.extend((0..current + 3).filter(|format| !kept().contains(format)));
        let format = formats[seed as usize % formats.len()];
        one_directory(seed, format, current, course);
    })
}

/// Makes the directory of the current format that the campaign keeps, unless it is there.
pub(crate) fn keep(place: &Path) -> Result<(), String> {
    let plan = Plan {
        clients: 4,
        requests: 30,
        executors: 2,
        note_bytes: 100,
        ticks: true,
        ..Plan::small(1)
    };
    fs::create_dir_all(place).map_err(|error| format!("cannot create {}: {error}", place.display()))?;
    match Worker::start(place, &plan, &Calls::default()).wait(Duration::from_secs(60)) {
        Ended::Done => {}
        Ended::Refused(why) | Ended::Badly(why) => return Err(why),
    }
    // No open needs these files.
    for name in ["errors", "hub/LOCK", "hub/db/LOCK", "hub/db/LOG"] {
        fs::remove_file(place.join(name)).map_err(|error| format!("cannot remove {name}: {error}"))?;
    }
    let plan = serde_json::to_string_pretty(&plan).map_err(|error| error.to_string())?;
    fs::write(place.join("plan.json"), plan + "\n").map_err(|error| error.to_string())
}

fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stores")
}

/// Returns the formats of which a directory is kept.
fn kept() -> Vec<u64> {
    let entries = fs::read_dir(stores()).into_iter().flatten().flatten();
    let mut formats: Vec<u64> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    formats.sort_unstable();
    formats
}

/// Returns the format that this build writes.
fn current_format(course: &Course) -> u64 {
    let place = course.place();
    let plan = Plan::small(0);
    finish_now(place.path(), &plan, course.patience()).expect("a new hub");
    format(&hub(place.path()))
}

fn format(hub: &Path) -> u64 {
    let document: serde_json::Value = read_format(hub);
    document["version"].as_u64().expect("a FORMAT file has a version")
}

fn read_format(hub: &Path) -> serde_json::Value {
    let text = fs::read_to_string(hub.join("FORMAT")).expect("a hub has a FORMAT file");
    serde_json::from_str(&text).expect("a FORMAT file is JSON")
}

fn one_directory(seed: u64, format: u64, current: u64, course: &Course) {
    let source = stores().join(format.to_string());
    let is_kept = source.exists();
    let source = if is_kept {
        source
    } else {
        stores().join(current.to_string())
    };
    let plan = fs::read(source.join("plan.json")).expect("the plan of a kept directory");
    let plan: Plan = serde_json::from_slice(&plan).expect("the plan of a kept directory");
    let place = course.place();
    copy_all(&source, place.path());
    if !is_kept {
        let mut document = read_format(&hub(place.path()));
        document["version"] = format.into();
        fs::write(hub(place.path()).join("FORMAT"), document.to_string()).expect("a FORMAT file");
    }
    let before = contents(&hub(place.path()));
    let is_supported = (current.saturating_sub(EARLIER)..=current).contains(&format);
    let finished = finish_now(place.path(), &plan, course.patience());
    course.count(1);
    let what = match finished {
        Ok(_) if is_supported => return course.note("opened", 1),
        Err(Broken::Refused(error)) if !is_supported && error.kind() == abide::ErrorKind::Format => {
            if contents(&hub(place.path())) == before {
                return course.note("refused", 1);
            }
            "was refused, but the directory has changed".to_owned()
        }
        Ok(_) => "was opened".to_owned(),
        Err(broken) => broken.to_string(),
    };
    course.violated(seed, place, &format!("a directory of format {format}: {what}"));
}

/// Returns the content of every file below a directory.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the hub") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push((path.clone(), fs::read(&path).expect("a file of the hub")));
            }
        }
    }
    files.sort();
    files
}
