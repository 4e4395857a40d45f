//! The ledger of the orders, which lies outside of the hub: a file to which the worker appends a line in one write.
//!
//! Lines of one file that is opened with `O_APPEND` have one order over all threads and processes. A line that was
//! written survives the kill of its process, because the kernel has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names one run of an activity: the life of the worker, and a number in it. No two runs have the same.
pub(crate) type Run = String;

/// The ledger of this process.
pub(crate) static BOOKS: Books = Books {
    open: OnceLock::new(),
    next: AtomicU64::new(0),
};

pub(crate) struct Books {
    open: OnceLock<(File, String)>,
    next: AtomicU64,
}

/// Where the ledger of this test lies: beside the hub, and not in it.
pub(crate) fn path(place: &Path) -> PathBuf {
    place.join("ledger")
}

impl Books {
    /// Opens the ledger for one life of the worker.
    pub(crate) fn open(&self, place: &Path, life: &str) {
        let file = OpenOptions::new().append(true).create(true).open(path(place));
        let opened = (file.expect("the ledger can be written"), life.to_owned());
        assert!(self.open.set(opened).is_ok(), "it is opened once");
    }

    fn write(&self, line: impl Display) {
        let (file, _) = self.open.get().expect("the worker opens it first");
        let line = format!("{line}\n");
        let written = { file }.write(line.as_bytes()).expect("the ledger can be written");
        assert_eq!(written, line.len(), "one line is one write");
    }

    /// An attempt begins. It names the runs on whose results the orchestration built when it asked for it.
    pub(crate) fn begin(&self, key: &str, name: &str, attempt: u32, builds_on: &[Run]) -> Run {
        let (_, life) = self.open.get().expect("the worker opens it first");
        let run = format!("{life}.{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.write(format_args!(
            "begin {key} {name} {attempt} {run} {}",
            builds_on.join(",")
        ));
        run
    }

    /// An attempt has done its work, with this effect on the money. Whether it then fails is another matter.
    pub(crate) fn done(&self, key: &str, run: &Run, cents: i64) -> Run {
        self.write(format_args!("done {key} {run} {cents}"));
        run.clone()
    }

    /// The start of an order was acknowledged.
    pub(crate) fn acknowledged(&self, order: &str) {
        self.write(format_args!("acknowledged {order}"));
    }

    /// The end of an order was told.
    pub(crate) fn ended(&self, order: &str, outcome: &str) {
        self.write(format_args!("ended {order} {outcome}"));
    }
}

/// What the ledger says of one step of an order.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) name: String,
    /// The highest attempt that began.
    pub(crate) attempt: u32,
    /// The runs that did their work.
    pub(crate) done: BTreeSet<Run>,
    /// The run whose result the orchestration went on with.
    pub(crate) recorded: Option<Run>,
    pub(crate) cents: i64,
}

/// What the ledger says, read and checked.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// By idempotency key.
    pub(crate) steps: BTreeMap<String, Step>,
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) ended: BTreeMap<String, String>,
    /// How many runs began although an earlier one of the same attempt had begun: kills that found an activity at work.
    pub(crate) repeated: usize,
    keys: BTreeMap<Run, String>,
}

impl Audit {
    /// Reads the ledger and looks for an activity that ran again although its result was recorded.
    ///
    /// A result is known to be recorded from the first line on that could not be there without it: a later step of the
    /// same order begins and names the run whose result it was given; the next attempt of the same step begins, since only
    /// a recorded failure lets it; a client was told the end of the order. From that line on no run of that step, or of
    /// the attempt before, may begin. Other runs may, and do: what was running in a kill begins again.
    pub(crate) fn read(place: &Path) -> Result<Self, String> {
        // There is no ledger before the worker has opened it once.
        let text = std::fs::read_to_string(path(place)).unwrap_or_default();
        Self::of(&text)
    }

    fn of(text: &str) -> Result<Self, String> {
        let mut audit = Self::default();
        // A worker that lives may be in the middle of the last line, which a reader can see in part.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            audit.line(line).map_err(|why| format!("{why}, in the line `{line}`"))?;
        }
        Ok(audit)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["begin", key, name, attempt, run, builds_on] => {
                let attempt = attempt.parse().map_err(|_| "no attempt")?;
                self.begin(key, name, attempt, run)?;
                builds_on
                    .split(',')
                    .filter(|run| !run.is_empty())
                    .try_for_each(|run| self.record(key, run))
            }
            ["done", key, run, cents] => {
                let step = self.steps.get_mut(key).ok_or("it never began")?;
                step.cents = cents.parse().map_err(|_| "no cents")?;
                step.done.insert(run.to_owned());
                Ok(())
            }
            ["acknowledged", order] => {
                self.acknowledged.insert(order.to_owned());
                Ok(())
            }
            ["ended", order, outcome] => match self.ended.insert(order.to_owned(), outcome.to_owned()) {
                Some(before) if before != outcome => Err(format!("it had ended as {before}")),
                _ => Ok(()),
            },
            _ => Err("half a line".to_owned()),
        }
    }

    fn begin(&mut self, key: &str, name: &str, attempt: u32, run: &str) -> Result<(), String> {
        if self.ended.contains_key(order_of(key)) {
            return Err("it ran again after the end of its order".to_owned());
        }
        let step = self.steps.entry(key.to_owned()).or_default();
        if step.recorded.is_some() {
            return Err("it ran again after its result was recorded".to_owned());
        }
        if attempt < step.attempt {
            return Err("it ran again after its failure was recorded".to_owned());
        }
        self.repeated += usize::from(attempt == step.attempt);
        step.attempt = attempt;
        name.clone_into(&mut step.name);
        match self.keys.insert(run.to_owned(), key.to_owned()) {
            None => Ok(()),
            Some(_) => Err("two runs have one name".to_owned()),
        }
    }

    /// The result of `run` was recorded before `by` was asked for.
    fn record(&mut self, by: &str, run: &str) -> Result<(), String> {
        let key = self.keys.get(run).ok_or("it builds on a run that never began")?;
        if order_of(key) != order_of(by) {
            return Err("it builds on another order's run".to_owned());
        }
        let step = self.steps.get_mut(key).ok_or("a run without a step")?;
        if !step.done.contains(run) {
            return Err("it builds on a run that never came to its end".to_owned());
        }
        match step.recorded.replace(run.to_owned()) {
            Some(before) if before != run => Err(format!("the result of {key} was that of {before} before")),
            _ => Ok(()),
        }
    }
}

/// The instance whose step this is: `instance/execution/sequence`.
pub(crate) fn order_of(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

/// The ledger of the kill test is read well: each thing that must not be is found in a small ledger that has it, and a good
/// ledger with a run that a kill cut off passes.
#[test]
fn the_audit_finds_what_must_not_be() {
    let good = "begin o/e/1 validate 1 1.0 \nbegin o/e/1 validate 1 2.0 \ndone o/e/1 2.0 0\n\
                begin o/e/2 pay 1 2.1 2.0\ndone o/e/2 2.1 7\nbegin o/e/2 pay 2 2.2 2.0\ndone o/e/2 2.2 7\nended o good\n";
    let audit = Audit::of(good).unwrap();
    assert_eq!((audit.repeated, audit.steps["o/e/2"].cents), (1, 7));
    Audit::of(&format!("{good}begin o/e")).unwrap();
    let cut = good.rfind("ended").unwrap();
    for (line, why) in [
        ("begin o/e/1 validate 1 3.0 ", "result was recorded"),
        ("begin o/e/2 pay 1 3.0 2.0", "failure was recorded"),
        ("begin o/e/3 pack 1 3.0 1.0", "never came to its end"),
        ("begin o/e/3 pack 1 3.0 9.9", "never began"),
        ("begin p/e/1 pack 1 3.0 2.0", "another order's"),
        ("begin o/e/3 pack 1 2.2 2.0", "one name"),
        ("begin o/e", "half a line"),
    ] {
        let error = Audit::of(&format!("{}{line}\n", &good[..cut])).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let error = Audit::of(&format!("{good}begin o/e/3 pack 1 3.0 2.0\n")).unwrap_err();
    assert!(error.contains("end of its order"), "{error}");
    let error = Audit::of(&format!("{good}ended o bad\n")).unwrap_err();
    assert!(error.contains("ended as good"), "{error}");
}
