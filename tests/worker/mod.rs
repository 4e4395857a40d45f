//! A test's own executable, run once more as a process that can be killed.
//!
//! The test starts it with a role and a directory; both sides talk in lines over pipes. The test that is named `worker`
//! in the executable is where the process begins.

// Every test that uses this module uses another part of it.
#![allow(dead_code)]

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

const ROLE: &str = "ABIDE_TEST_ROLE";
const DIRECTORY: &str = "ABIDE_TEST_DIRECTORY";

/// Marks what the worker says among what the test harness prints.
const MARK: &str = "> ";

/// What this process is to do and where, if a test started it as its worker.
pub(crate) fn role() -> Option<(String, PathBuf)> {
    let role = std::env::var(ROLE).ok()?;
    let directory = std::env::var_os(DIRECTORY)?;
    Some((role, directory.into()))
}

/// Says a line to the test. It has left this process when the call returns.
pub(crate) fn tell(line: impl Display) {
    let mut stdout = std::io::stdout().lock();
    let told = stdout.write_all(format!("{MARK}{line}\n").as_bytes());
    told.and_then(|()| stdout.flush()).expect("the test listens");
}

/// The next line that the test says; nothing when it is gone.
pub(crate) fn order() -> Option<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the test writes text");
    line.strip_suffix('\n').map(str::to_owned)
}

/// The worker's process. It is killed with the test.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    told: BufReader<ChildStdout>,
}

impl Worker {
    /// The command that starts a worker.
    pub(crate) fn command(role: &str, directory: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a test knows its executable"));
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
        let told = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Self { child, orders, told }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says a line to the worker. One that is dead does not hear it.
    pub(crate) fn say(&mut self, line: impl Display) {
        if let Some(orders) = &mut self.orders {
            let _ = orders.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// The next line of the worker; nothing when it has ended. Half a line was never said.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.told.read_line(&mut line).expect("the worker writes text") > 0 {
            if let Some((_, said)) = line.strip_suffix('\n')?.split_once(MARK) {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Waits for the worker to say this and nothing before it.
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.hear().as_deref(), Some(line));
    }

    /// Kills the worker and gives what it had said and nobody had heard.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("a child can be killed");
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// Waits for the end of the worker, which hears that nothing more will be said.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.orders = None;
        while self.hear().is_some() {}
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and that is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
