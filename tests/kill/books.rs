//! The ledger of the orders outside of the hub: a file to which the worker appends each line in one write.
//!
//! `O_APPEND` gives the lines one order over all threads and processes. A written line survives the kill of its
//! process, because the kernel has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The unique name of one run of an activity: the life of the worker and a number.
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

/// Returns the path of the ledger, next to the hub.
pub(crate) fn path(place: &Path) -> PathBuf {
    place.join("ledger")
}

impl Books {
    /// Opens the ledger for one life of the worker.
    pub(crate) fn open(&self, place: &Path, life: &str) {
        let file = OpenOptions::new().append(true).create(true).open(path(place));
        let opened = (file.expect("the ledger can be written"), life.to_owned());
        assert!(self.open.set(opened).is_ok(), "the ledger is opened once");
    }

    fn write(&self, line: impl Display) {
        let (file, _) = self.open.get().expect("the worker opens the ledger first");
        let line = format!("{line}\n");
        let written = { file }.write(line.as_bytes()).expect("the ledger can be written");
        assert_eq!(written, line.len(), "one line is one write");
    }

    /// Records that an attempt begins. `builds_on` names the runs whose results the orchestration had when it called
    /// the activity.
    pub(crate) fn begin(&self, key: &str, name: &str, attempt: u32, builds_on: &[Run]) -> Run {
        let (_, life) = self.open.get().expect("the worker opens the ledger first");
        let run = format!("{life}.{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.write(format_args!(
            "begin {key} {name} {attempt} {run} {}",
            builds_on.join(",")
        ));
        run
    }

    /// Records that an attempt has done its work and moved `cents`. It may still fail afterwards.
    pub(crate) fn done(&self, key: &str, run: &Run, cents: i64) -> Run {
        self.write(format_args!("done {key} {run} {cents}"));
        run.clone()
    }

    /// Records that the start of an order was acknowledged.
    pub(crate) fn acknowledged(&self, order: &str) {
        self.write(format_args!("acknowledged {order}"));
    }

    /// Records that a client received the outcome of an order.
    pub(crate) fn ended(&self, order: &str, outcome: &str) {
        self.write(format_args!("ended {order} {outcome}"));
    }
}

/// The records of one step of an order.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) name: String,
    /// The highest attempt that began.
    pub(crate) attempt: u32,
    /// The runs that have done their work.
    pub(crate) done: BTreeSet<Run>,
    /// The run whose result the orchestration received.
    pub(crate) recorded: Option<Run>,
    pub(crate) cents: i64,
}

/// The checked contents of the ledger.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// By idempotency key.
    pub(crate) steps: BTreeMap<String, Step>,
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) ended: BTreeMap<String, String>,
    /// Number of runs that repeated an attempt, because a kill interrupted the activity.
    pub(crate) repeated: usize,
    keys: BTreeMap<Run, String>,
}

impl Audit {
    /// Reads the ledger and checks that no activity ran again after its result was recorded.
    ///
    /// A result is known to be recorded from the first line that depends on it:
    ///
    /// * A later step of the same order begins and names the run whose result it received.
    /// * The next attempt of the same step begins, which requires a recorded failure.
    /// * A client receives the outcome of the order.
    ///
    /// After that line, no run of that step or of the previous attempt may begin. Other runs may, because an activity
    /// that a kill interrupted begins again.
    pub(crate) fn read(place: &Path) -> Result<Self, String> {
        // The ledger does not exist before the worker opens it.
        let text = std::fs::read_to_string(path(place)).unwrap_or_default();
        Self::of(&text)
    }

    fn of(text: &str) -> Result<Self, String> {
        let mut audit = Self::default();
        // A running worker may have written only a part of the last line.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            audit.line(line).map_err(|why| format!("{why} in the line `{line}`"))?;
        }
        Ok(audit)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["begin", key, name, attempt, run, builds_on] => {
                let attempt = attempt.parse().map_err(|_| "the attempt is not a number")?;
                self.begin(key, name, attempt, run)?;
                builds_on
                    .split(',')
                    .filter(|run| !run.is_empty())
                    .try_for_each(|run| self.record(key, run))
            }
            ["done", key, run, cents] => {
                let step = self.steps.get_mut(key).ok_or("the step never began")?;
                step.cents = cents.parse().map_err(|_| "the amount is not a number")?;
                step.done.insert(run.to_owned());
                Ok(())
            }
            ["acknowledged", order] => {
                self.acknowledged.insert(order.to_owned());
                Ok(())
            }
            ["ended", order, outcome] => match self.ended.insert(order.to_owned(), outcome.to_owned()) {
                Some(before) if before != outcome => Err(format!("the order had ended as {before}")),
                _ => Ok(()),
            },
            _ => Err("incomplete entry".to_owned()),
        }
    }

    fn begin(&mut self, key: &str, name: &str, attempt: u32, run: &str) -> Result<(), String> {
        if self.ended.contains_key(order_of(key)) {
            return Err("the step ran again after the end of its order".to_owned());
        }
        let step = self.steps.entry(key.to_owned()).or_default();
        if step.recorded.is_some() {
            return Err("the step ran again after its result was recorded".to_owned());
        }
        if attempt < step.attempt {
            return Err("the attempt ran again after its failure was recorded".to_owned());
        }
        self.repeated += usize::from(attempt == step.attempt);
        step.attempt = attempt;
        name.clone_into(&mut step.name);
        match self.keys.insert(run.to_owned(), key.to_owned()) {
            None => Ok(()),
            Some(_) => Err("two runs have the same name".to_owned()),
        }
    }

    /// Notes that the result of `run` was recorded before the step `by` was called.
    fn record(&mut self, by: &str, run: &str) -> Result<(), String> {
        let key = self.keys.get(run).ok_or("the step builds on a run that never began")?;
        if order_of(key) != order_of(by) {
            return Err("the step builds on a run of another order".to_owned());
        }
        let step = self.steps.get_mut(key).ok_or("a run without a step")?;
        if !step.done.contains(run) {
            return Err("the step builds on a run that never finished".to_owned());
        }
        match step.recorded.replace(run.to_owned()) {
            Some(before) if before != run => Err(format!("the result of {key} was previously that of {before}")),
            _ => Ok(()),
        }
    }
}

/// Returns the instance of a step key, which has the form `instance/execution/sequence`.
pub(crate) fn order_of(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

/// The audit finds each kind of violation in a small ledger, and accepts a good ledger with an interrupted run.
#[test]
fn the_audit_finds_violations() {
    let good = "begin o/e/1 validate 1 1.0 \nbegin o/e/1 validate 1 2.0 \ndone o/e/1 2.0 0\n\
                begin o/e/2 pay 1 2.1 2.0\ndone o/e/2 2.1 7\nbegin o/e/2 pay 2 2.2 2.0\ndone o/e/2 2.2 7\nended o good\n";
    let audit = Audit::of(good).unwrap();
    assert_eq!((audit.repeated, audit.steps["o/e/2"].cents), (1, 7));
    Audit::of(&format!("{good}begin o/e")).unwrap();
    let cut = good.rfind("ended").unwrap();
    for (line, why) in [
        ("begin o/e/1 validate 1 3.0 ", "result was recorded"),
        ("begin o/e/2 pay 1 3.0 2.0", "failure was recorded"),
        ("begin o/e/3 pack 1 3.0 1.0", "never finished"),
        ("begin o/e/3 pack 1 3.0 9.9", "never began"),
        ("begin p/e/1 pack 1 3.0 2.0", "another order"),
        ("begin o/e/3 pack 1 2.2 2.0", "same name"),
        ("begin o/e", "incomplete entry"),
    ] {
        let error = Audit::of(&format!("{}{line}\n", &good[..cut])).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let error = Audit::of(&format!("{good}begin o/e/3 pack 1 3.0 2.0\n")).unwrap_err();
    assert!(error.contains("end of its order"), "{error}");
    let error = Audit::of(&format!("{good}ended o bad\n")).unwrap_err();
    assert!(error.contains("ended as good"), "{error}");
}
