//! A worker: this program, started again as a process with the load, which can be killed.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::calls::Calls;
use crate::load::{self, Plan};

/// The exit code of a worker whose hub has failed with an error.
const REFUSED: i32 = 3;

/// The end of a worker.
#[derive(Debug)]
pub(crate) enum Ended {
    /// All requests are answered, and the hub is closed.
    Done,
    /// The hub reported an error.
    Refused(String),
    /// It panicked, was aborted, or did not end.
    Badly(String),
}

/// The process of a worker. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    errors: PathBuf,
}

impl Worker {
    /// Starts a worker in a place.
    pub(crate) fn start(place: &Path, plan: &Plan, calls: &Calls) -> Self {
        Self::spawn(&["worker"], place, plan, calls)
    }

    /// Starts a process that does the rest of the work in a place and checks it.
    pub(crate) fn finish(place: &Path, plan: &Plan, calls: &Calls, patience: Duration) -> Self {
        Self::spawn(&["finish", &patience.as_secs().to_string()], place, plan, calls)
    }

    fn spawn(role: &[&str], place: &Path, plan: &Plan, calls: &Calls) -> Self {
        let errors = match &plan.node {
            Some(node) => node.directory.with_extension("errors"),
            None => place.join("errors"),
        };
        let stderr = File::create(&errors).expect("the place is writable");
        let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
        command
            .args(role)
            .arg(place)
            .arg(serde_json::to_string(plan).expect("a plan is JSON"));
        calls.apply(&mut command, place);
        // A line of its input has the clients of a node rest or go on, and the end tells the node to leave.
        let stdin = if plan.node.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr);
        Self {
            child: command.spawn().expect("this program starts again"),
            errors,
        }
    }

    /// Waits until the hub of the worker is open.
    pub(crate) fn wait_until_open(&mut self, limit: Duration) -> Result<(), Ended> {
        let (tell, opened) = mpsc::channel();
        self.when_open(move |is_open| {
            let _ = tell.send(is_open);
        });
        match opened.recv_timeout(limit) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let status = self.child.wait().expect("a child can be waited for");
                Err(self.ended(status))
            }
            Err(_) => Err(Ended::Badly(format!(
                "the hub has not opened after {} s",
                limit.as_secs()
            ))),
        }
    }

    /// Calls `tell` with `true` each time that the worker begins to run the hub, and with `false` when it ends.
    pub(crate) fn when_open(&mut self, tell: impl Fn(bool) + Send + 'static) {
        let stdout = self.child.stdout.take().expect("nobody has asked before");
        // The thread ends with the worker, whose end closes the pipe.
        std::thread::spawn(move || {
            for _ in BufReader::new(stdout).lines().map_while(Result::ok) {
                tell(true);
            }
            tell(false);
        });
    }

    /// Has the clients of the worker rest, or go on if they rest.
    pub(crate) fn rest_or_go_on(&mut self) {
        if let Some(input) = &mut self.child.stdin {
            // A worker that has ended rests as well.
            let _ = input.write_all(b"\n");
        }
    }

    /// Asks the worker to close its hub.
    pub(crate) fn close(&mut self) {
        self.child.stdin = None;
    }

    /// Sends a signal such as SIGSTOP to the worker.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).expect("the worker is a child that was not waited for");
    }

    /// Returns how the worker has ended, if it has.
    pub(crate) fn try_wait(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().expect("a child can be waited for");
        status.map(|status| self.ended(status))
    }

    /// Kills the worker with SIGKILL, unless it has ended.
    pub(crate) fn kill(mut self) -> Result<(), Ended> {
        match self.child.try_wait().expect("a child can be waited for") {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    /// Waits for the end of the worker.
    pub(crate) fn wait(mut self, limit: Duration) -> Ended {
        let end = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return self.ended(status);
            }
            if Instant::now() > end {
                return Ended::Badly(format!("the worker has not ended after {} s", limit.as_secs()));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        match status.code() {
            Some(0) => Ended::Done,
            Some(REFUSED) => Ended::Refused(errors),
            _ => Ended::Badly(format!("the worker ended with {status}: {errors}")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Killing a worker that has already exited fails, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of a process that does the rest of the work.
pub(crate) fn finish(place: &Path, plan: &str, patience: Duration) -> ! {
    let plan: Plan = serde_json::from_str(plan).expect("the plan of the campaign");
    match load::finish_now(place, &plan, patience) {
        Ok(_) => std::process::exit(0),
        Err(broken) => {
            eprintln!("{broken}");
            std::process::exit(1)
        }
    }
}

/// The program of the worker.
pub(crate) fn work(place: &Path, plan: &str) -> ! {
    let plan: Plan = serde_json::from_str(plan).expect("the plan of the campaign");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads");
    match runtime.block_on(load::serve(place, &plan, || println!("open"))) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(REFUSED)
        }
    }
}
