//! A child process that runs this program. A separate process has memory that can be measured, and can be killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// The parent's handle to a child, which reads orders and writes reports, one per line.
pub(crate) struct Child {
    process: std::process::Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this program as a child. `word` selects its task and `argument` names the directory or URL to work on.
    pub(crate) fn start(word: &str, argument: impl AsRef<OsStr>) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        Self::spawn(Command::new(program).arg(word).arg(argument))
    }

    /// Like [`start`](Self::start), but with the maximum limit on open files. A shell raises the limit and then
    /// executes the program.
    pub(crate) fn start_with_many_files(word: &str, argument: impl AsRef<OsStr>) -> Self {
        const SCRIPT: &str = r#"ulimit -n "$(ulimit -Hn)"; exec "$0" "$@""#;
        let program = std::env::current_exe().expect("this program has a path");
        Self::spawn(
            Command::new("sh")
                .arg("-c")
                .arg(SCRIPT)
                .arg(program)
                .arg(word)
                .arg(argument),
        )
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command
            // Only touched memory should count. A huge page is resident as a whole.
            .env("MIMALLOC_ALLOW_THP", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts as a child");
        let orders = process.stdin.take().expect("stdin is piped");
        let reports = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Self {
            process,
            orders,
            reports,
        }
    }

    pub(crate) fn next_report(&mut self) -> String {
        let mut line = String::new();
        self.reports.read_line(&mut line).expect("the child reports");
        assert!(!line.is_empty(), "the child exited early");
        line.trim_end().to_owned()
    }

    pub(crate) fn wait_for(&mut self, report: &str) {
        assert_eq!(self.next_report(), report);
    }

    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the child reads its orders");
    }

    /// The resident set size of the child (`VmRSS`), in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the child is running");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        kib.expect("the kernel states VmRSS in kB") / 1_024.0
    }

    /// Makes the child close its hub and exit.
    pub(crate) fn close(mut self) {
        self.order("close");
        let status = self.process.wait().expect("the child exits");
        assert!(status.success(), "the child failed: {status}");
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().expect("the child can be killed");
        self.process.wait().expect("the child exits");
    }
}
