//! A worker: the executable of the test, started again as a process that can be killed.
//!
//! The test starts the worker with a role and a directory, and both exchange lines over pipes. The worker begins in the
//! test function `worker`.

// Each test file uses a part of this module.
#![allow(dead_code)]

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

const ROLE: &str = "ABIDE_TEST_ROLE";
const DIRECTORY: &str = "ABIDE_TEST_DIRECTORY";

/// Distinguishes the lines of the worker from the output of the test harness.
const MARK: &str = "> ";

/// Returns the role and the directory of this process if it is a worker.
pub(crate) fn role() -> Option<(String, PathBuf)> {
    let role = std::env::var(ROLE).ok()?;
    let directory = std::env::var_os(DIRECTORY)?;
    Some((role, directory.into()))
}

/// Sends a line to the test. The line has left this process when the call returns.
pub(crate) fn report(line: impl Display) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(format!("{MARK}{line}\n").as_bytes());
    written.and_then(|()| stdout.flush()).expect("the test reads");
}

/// Reads the next line from the test. Returns `None` if the test has ended.
pub(crate) fn order() -> Option<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the test writes text");
    line.strip_suffix('\n').map(str::to_owned)
}

/// The process of a worker. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
}

impl Worker {
    /// The command that starts a worker.
    pub(crate) fn command(role: &str, directory: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("the test has an executable"));
        command.args(["worker", "--exact", "--nocapture", "--quiet"]);
        command
            .env(ROLE, role)
            .env(DIRECTORY, directory)
            .env("RUST_BACKTRACE", "0");
        command
    }

    pub(crate) fn start(role: &str, directory: &Path) -> Self {
        Self::spawn(&mut Self::command(role, directory))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the worker starts");
        let orders = child.stdin.take();
        let reports = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, orders, reports }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line to the worker, unless it is dead.
    pub(crate) fn send(&mut self, line: impl Display) {
        if let Some(orders) = &mut self.orders {
            let _ = orders.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Reads the next complete line from the worker. Returns `None` if the worker has ended.
    pub(crate) fn next_report(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.reports.read_line(&mut line).expect("the worker writes text") > 0 {
            if let Some((_, report)) = line.strip_suffix('\n')?.split_once(MARK) {
                return Some(report.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Asserts that the next line from the worker is `line`.
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.next_report().as_deref(), Some(line));
    }

    /// Kills the worker and returns the lines that were not read yet.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("a child can be killed");
        std::iter::from_fn(|| self.next_report()).collect()
    }

    /// Closes the input of the worker and waits until it exits.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.orders = None;
        while self.next_report().is_some() {}
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Killing a worker that has already exited fails, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
