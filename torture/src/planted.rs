//! Whether each campaign finds what it is meant to find.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::campaign::{Verdict, memory};

/// The faults that the library plants on demand, and the campaign that has to find each of them.
const FAULTS: [(&str, &str); 18] = [
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
    ("AppendUnfenced", "cluster"),
    ("SkipConfirm", "cluster"),
    ("RepeatUnconfirmed", "cluster"),
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
        let (patience, threads) = match campaign {
            // Nodes wait for each other, which leaves time for more of them.
            "cluster" => ("30s", "4"),
            "pressure" => ("5s", "1"),
            _ => ("5s", "2"),
        };
        let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
        command
            .env("ABIDE_PLANTED", fault)
            .arg(campaign)
            .args([
                "--seed",
                "1",
                "--enough",
                "1",
                "--patience",
                patience,
                "--threads",
                threads,
            ])
            .args(["--for", &format!("{}s", LIMIT.as_secs())])
            .arg("--directory")
            .arg(place.path())
            .stdin(Stdio::null());
        if campaign == "pressure" {
            command.args(["--cycles", "120000"]);
        }
        let (code, text) = run_within(&mut command, LIMIT * 2);
        let seconds = begin.elapsed().as_secs_f64();
        if code == Some(Verdict::Violated.code().into()) {
            println!("{fault}: found by {campaign} after {seconds:.0} s");
        } else {
            let code = code.map_or("killed".to_owned(), |code| format!("exit code {code}"));
            println!("{fault}: NOT FOUND by {campaign} in {seconds:.0} s ({code}): {text}");
            missed.push(format!("{fault} by {campaign}"));
        }
    }
    missed
}

/// Runs a program, and kills it if it does not end within the limit. Returns its exit code, unless it was killed, and what
/// it has printed.
fn run_within(command: &mut Command, limit: Duration) -> (Option<i32>, String) {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let mut stdout = child.stdout.take().expect("the output is piped");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        // What is not text is no report.
        let _ = stdout.read_to_string(&mut text);
        let _ = tell.send(text);
    });
    // The output ends with the program.
    let text = told.recv_timeout(limit);
    if text.is_err() {
        child.kill().expect("a child can be killed");
    }
    let status = child.wait().expect("a child can be waited for");
    let text = text.unwrap_or_else(|_| format!("it has not ended after {} s", limit.as_secs()));
    (status.code(), text)
}
