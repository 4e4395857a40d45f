//! Whether each campaign finds what it is meant to find.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::campaign::{Verdict, memory};

/// The faults that the library plants on demand, and the campaign that has to find each of them.
const FAULTS: [(&str, &str); 15] = [
    ("AcknowledgeBeforeSync", "kill"),
    ("UnconfirmedRead", "kill"),
    ("DropInboxRow", "kill"),
    ("ReorderMessages", "kill"),
    ("ReuseBatch", "kill"),
    ("ExitDuringWrites", "exit"),
    ("SkipSync", "power"),
    ("SkipAcknowledged", "bitrot"),
    ("IgnoreFailedWrite", "eio"),
    ("IgnoreShortWrite", "full"),
    ("FollowWallClock", "clock"),
    ("LetPanicsThrough", "poison"),
    ("UnlimitedFront", "pressure"),
    ("OpenAnyFormat", "upgrade"),
    ("ForgetTimer", "programs"),
];

/// Time that each campaign has.
const LIMIT: Duration = Duration::from_secs(180);

/// Plants each fault in turn, or only the one with this name. Returns the faults that were not found.
pub(crate) fn planted(only: Option<&str>) -> Vec<String> {
    let mut missed = Vec::new();
    let wanted = |fault: &str| only.is_none_or(|only| only == fault);
    for (fault, campaign) in FAULTS.into_iter().filter(|(fault, _)| wanted(fault)) {
        let begin = Instant::now();
        let place = memory()
            .map_or_else(tempfile::tempdir, tempfile::tempdir_in)
            .expect("a directory for the hubs");
        let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
        command
            .env("ABIDE_PLANTED", fault)
            .arg(campaign)
            .args(["--seed", "1", "--enough", "1", "--patience", "5s"])
            .args(["--for", &format!("{}s", LIMIT.as_secs())])
            .arg("--directory")
            .arg(place.path())
            .stdin(Stdio::null());
        if campaign == "pressure" {
            command.args(["--threads", "1", "--cycles", "120000"]);
        }
        let output = command.output().expect("this program starts again");
        let seconds = begin.elapsed().as_secs_f64();
        if output.status.code() == Some(Verdict::Violated.code().into()) {
            println!("{fault}: found by {campaign} after {seconds:.0} s");
        } else {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            println!(
                "{fault}: NOT FOUND by {campaign} in {seconds:.0} s ({}): {text}",
                output.status
            );
            missed.push(format!("{fault} by {campaign}"));
        }
    }
    missed
}
