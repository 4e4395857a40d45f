//! What all campaigns have in common: how long they run, what they count, and how they report.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The length of a campaign and its seeds.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Share {
    /// Runs for this time, for example `10m`.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// Runs until this many cycles are done.
    #[arg(long, value_name = "N")]
    cycles: Option<u64>,
    /// Runs this number of cases to their ends. A case is a hub with its own work.
    #[arg(long, value_name = "N")]
    cases: Option<u64>,
    /// The first seed. Each case takes the next one.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Number of violations after which the campaign stops.
    #[arg(long, value_name = "N", default_value_t = 5)]
    enough: usize,
    /// Time after which work that does not end counts as lost.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    patience: Duration,
    /// Number of cases at the same time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Directory for the hubs. A directory in memory is fastest.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Space that the hubs of a short run need, in bytes.
const SPACE: u64 = 1 << 30;

impl Share {
    pub(crate) fn cycles(&self) -> Option<u64> {
        self.cycles
    }

    /// A share for a number of cycles, at most for a time.
    pub(crate) fn of(cycles: u64, time: Duration) -> Self {
        Self {
            time: Some(time),
            cycles: Some(cycles),
            cases: None,
            seed: None,
            enough: 5,
            patience: Duration::from_secs(30),
            threads: 2,
            directory: None,
        }
    }

    /// Runs one case at a time, because its times count.
    pub(crate) fn alone(self) -> Self {
        Self { threads: 1, ..self }
    }

    /// Keeps the hubs in memory if this system has a file system there. Syncs take no time then.
    pub(crate) fn in_memory(self) -> Self {
        Self {
            directory: memory().map(Path::to_owned),
            ..self
        }
    }
}

/// Returns the directory of a file system in memory, if this system has one with enough space.
pub(crate) fn memory() -> Option<&'static Path> {
    let directory = Path::new("/dev/shm");
    let system = rustix::fs::statvfs(directory).ok()?;
    (system.f_bavail * system.f_frsize >= SPACE).then_some(directory)
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(parsed).map_err(|error| error.to_string())
}

/// The course of a campaign, which all cases share.
#[derive(Debug)]
pub(crate) struct Course {
    name: &'static str,
    end: Option<Instant>,
    cycles: Option<u64>,
    enough: usize,
    patience: Duration,
    directory: Option<PathBuf>,
    done: AtomicU64,
    is_stopped: AtomicBool,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    violations: Mutex<Vec<String>>,
    /// Number of cases in which the campaign itself has panicked.
    panics: AtomicU64,
    bar: ProgressBar,
}

impl Course {
    /// Counts cycles that are done.
    pub(crate) fn count(&self, cycles: u64) {
        let done = self.done.fetch_add(cycles, Ordering::Relaxed) + cycles;
        self.bar.set_position(done);
    }

    /// Counts something besides the cycles.
    pub(crate) fn note(&self, what: &'static str, number: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what).or_default() += number;
    }

    /// Returns `true` when the campaign should end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
            || self.end.is_some_and(|end| Instant::now() >= end)
            || self
                .cycles
                .is_some_and(|cycles| self.done.load(Ordering::Relaxed) >= cycles)
    }

    /// Returns the time after which work that does not end is lost.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Creates a directory for a case.
    pub(crate) fn place(&self) -> Place {
        let mut builder = tempfile::Builder::new();
        builder.prefix("abide-torture-");
        let directory = match &self.directory {
            Some(directory) => builder.tempdir_in(directory),
            None => builder.tempdir(),
        };
        Place {
            directory: directory.expect("a directory for the hub"),
        }
    }

    /// Records a violation and keeps the place as it is.
    pub(crate) fn violated(&self, seed: u64, mut place: Place, what: &str) {
        place.directory.disable_cleanup(true);
        let kept = place.path();
        self.record(format!(
            "seed {seed}: {what}\n  kept in {}\n  once more: abide-torture {} --seed {seed} --cases 1",
            kept.display(),
            self.name
        ));
    }

    /// Records that the campaign itself is wrong.
    fn panicked(&self, seed: u64, panic: &str) {
        let name = self.name;
        self.bar
            .suspend(|| eprintln!("{name}: seed {seed}: the campaign panicked, which it must not: {panic}"));
        self.panics.fetch_add(1, Ordering::Relaxed);
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    fn record(&self, violation: String) {
        let name = self.name;
        self.bar.suspend(|| eprintln!("{name}: {violation}"));
        let mut violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        violations.push(violation);
        if violations.len() >= self.enough {
            self.is_stopped.store(true, Ordering::Relaxed);
        }
    }
}

/// The directory of a case, which is removed at its end, unless the case panics.
#[derive(Debug)]
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.directory.disable_cleanup(true);
            eprintln!("kept in {}", self.path().display());
        }
    }
}

/// The result of a campaign.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
}

/// The verdict of a campaign on the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Clean,
    Violated,
    /// The campaign panicked or did nothing, so it says nothing about the library.
    Invalid,
}

impl Verdict {
    /// Returns the exit code of this program after a campaign. No other end of the program has one of them: a wrong
    /// command line has 2, and a panic 101.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Violated => 10,
            Self::Invalid => 11,
        }
    }
}

/// Runs cases until the share is used up. `unit` names what a cycle is, in the plural.
pub(crate) fn run(name: &'static str, unit: &str, share: &Share, case: impl Fn(u64, &Course) + Sync) -> Outcome {
    let bar = match share.cycles {
        Some(cycles) => ProgressBar::new(cycles),
        None => ProgressBar::no_length(),
    };
    let style = "{prefix} {elapsed_precise} {wide_bar} {human_pos} {msg}";
    bar.set_style(ProgressStyle::with_template(style).expect("a template"));
    bar.set_prefix(name);
    bar.set_message(unit.to_owned());
    let begin = Instant::now();
    let course = Course {
        name,
        end: share.time.map(|time| begin + time),
        cycles: share.cycles,
        enough: share.enough,
        patience: share.patience,
        directory: share.directory.clone(),
        done: AtomicU64::new(0),
        is_stopped: AtomicBool::new(false),
        counts: Mutex::default(),
        violations: Mutex::default(),
        panics: AtomicU64::new(0),
        bar,
    };
    let first = share.seed.unwrap_or_else(|| fastrand::u64(..1 << 40));
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..share.threads.max(1) {
            scope.spawn(|| {
                while !course.is_over() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if share.cases.is_some_and(|cases| seed >= first + cases) {
                        break;
                    }
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| case(seed, &course))) {
                        course.panicked(seed, text(panic.as_ref()));
                    }
                }
            });
        }
    });
    course.bar.finish_and_clear();
    let (cycles, violations) = (course.done.into_inner(), course.violations.into_inner());
    let violations = violations.unwrap_or_else(PoisonError::into_inner).len();
    let panics = course.panics.into_inner();
    let verdict = match (violations, cycles, panics) {
        (1.., _, _) => Verdict::Violated,
        (0, 1.., 0) => Verdict::Clean,
        _ => Verdict::Invalid,
    };
    let mut summary = format!(
        "{name}: {cycles} {unit} in {:.0} s from seed {first}, {violations} violations",
        begin.elapsed().as_secs_f64()
    );
    for (what, number) in course.counts.into_inner().unwrap_or_else(PoisonError::into_inner) {
        summary += &format!(", {number} {what}");
    }
    summary += &match verdict {
        Verdict::Clean => {
            let bound = 3.0 / cycles as f64;
            format!("; at 95 % confidence, fewer than {bound:.1e} of them break a promise")
        }
        Verdict::Violated => String::new(),
        Verdict::Invalid => format!("; this is not a success: {panics} panics of the campaign"),
    };
    println!("{summary}");
    Outcome { name, verdict }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
