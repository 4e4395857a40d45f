//! Control over the file calls of a worker, which `calls.c` carries out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A call that fails.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Which calls count: `r` reads, `w` writes, `s` syncs, `c` creations, `n` renames and removals.
    pub(crate) kinds: &'static str,
    /// The number of the call that fails, from 1. With 0, calls are only counted.
    pub(crate) number: u64,
    pub(crate) error: Errno,
    /// All later calls fail as well.
    pub(crate) later: bool,
    /// A write does half of its work before it fails.
    pub(crate) half: bool,
}

/// The error numbers of Linux.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Errno {
    Io = 5,
    NoSpace = 28,
}

/// The control over the calls of a worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    record: Option<PathBuf>,
    fault: Option<(Fault, PathBuf)>,
    /// The directory whose files count, unless it is the whole place.
    root: Option<PathBuf>,
    clock: Option<PathBuf>,
    sync_delay: Duration,
    linger: Duration,
}

impl Calls {
    /// Records all changes of files in `file`.
    pub(crate) fn recorded(file: PathBuf) -> Self {
        Self {
            record: Some(file),
            ..Self::default()
        }
    }

    /// Lets a call to a file below `root` fail. `report` receives which one that was.
    pub(crate) fn failing(fault: Fault, root: PathBuf, report: PathBuf) -> Self {
        Self {
            root: Some(root),
            fault: Some((fault, report)),
            ..Self::default()
        }
    }

    /// Adds the number in `file` to the wall clock. See [`crate::clock`].
    pub(crate) fn with_clock(file: PathBuf) -> Self {
        Self {
            clock: Some(file),
            ..Self::default()
        }
    }

    /// Makes each sync take longer, like that of a slow disk.
    pub(crate) fn with_slow_syncs(self, sync_delay: Duration) -> Self {
        Self { sync_delay, ..self }
    }

    /// Lets the other threads run for a while after an exit has destroyed the static objects of C++.
    pub(crate) fn lingering(linger: Duration) -> Self {
        Self {
            linger,
            ..Self::default()
        }
    }

    /// Sets the variables for a worker in a place.
    pub(crate) fn apply(&self, command: &mut Command, place: &Path) {
        command.env("ABIDE_CALLS_ROOT", self.root.as_deref().unwrap_or(place));
        if let Some(record) = &self.record {
            command.env("ABIDE_CALLS_RECORD", record);
        }
        if let Some((fault, report)) = &self.fault {
            let flags = [(fault.later, '+'), (fault.half, 'h')];
            let flags: String = flags
                .into_iter()
                .filter_map(|(is_set, flag)| is_set.then_some(flag))
                .collect();
            let value = format!("{}:{}:{}:{flags}", fault.kinds, fault.number, fault.error as i32);
            command.env("ABIDE_CALLS_FAIL", value).env("ABIDE_CALLS_FAILED", report);
        }
        if !self.sync_delay.is_zero() {
            command.env("ABIDE_CALLS_DELAY", self.sync_delay.as_micros().to_string());
        }
        if !self.linger.is_zero() {
            command.env("ABIDE_CALLS_LINGER", self.linger.as_micros().to_string());
        }
        if let Some(clock) = &self.clock {
            command.env("ABIDE_CALLS_CLOCK", clock);
        }
    }
}

/// The report of a worker about its calls.
#[derive(Debug)]
pub(crate) struct Report {
    /// Number of calls that counted.
    pub(crate) calls: u64,
    /// The call that failed, and its file.
    pub(crate) failed: Option<String>,
}

impl Report {
    pub(crate) fn read(report: &Path) -> Self {
        let text = std::fs::read_to_string(report).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default().trim();
        let (number, failed) = line.split_once(' ').unwrap_or((line, ""));
        Self {
            calls: number.parse().unwrap_or_default(),
            failed: failed.strip_prefix("failed: ").map(str::to_owned),
        }
    }
}
