//! What was acknowledged, and which activities ran, in files outside of the hub.
//!
//! A line is one write, so a kill cannot split it: the kernel has the whole line or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Plan;
use super::plan::Request;

/// The names of the files outside of the hub.
pub(crate) const OUTSIDE: [&str; 2] = [LEDGER, WORLD];

const LEDGER: &str = "ledger";
const WORLD: &str = "world";

/// The outside world that activities work in: a file with a line for every attempt that began.
#[derive(Debug)]
pub(crate) struct World {
    file: File,
    life: u64,
    next: AtomicU64,
}

impl World {
    pub(super) fn open(place: &Path) -> Self {
        Self {
            file: append(&world_path(place)),
            life: fastrand::u64(..),
            next: AtomicU64::new(0),
        }
    }

    /// Records that an attempt begins, and returns its unique name.
    pub(super) fn begin(&self, key: &str) -> String {
        let run = format!("{:x}.{}", self.life, self.next.fetch_add(1, Ordering::Relaxed));
        // No test sets this clock, unlike the one that the hub reads when it opens.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        write(&self.file, &format!("{key} {run} {micros}"));
        run
    }

    /// Returns every attempt that began, by its name.
    pub(super) fn read(place: &Path) -> BTreeMap<String, Attempt> {
        let text = std::fs::read_to_string(world_path(place)).unwrap_or_default();
        let attempt = |line: &str| {
            let mut words = line.split(' ');
            let (key, run) = (words.next()?.to_owned(), words.next()?.to_owned());
            let micros = words.next()?.parse().ok()?;
            Some((run, Attempt { key, micros }))
        };
        text.lines().filter_map(attempt).collect()
    }
}

/// An attempt of an activity.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Its idempotency key.
    pub(super) key: String,
    /// The time at which it began, on the monotonic clock of the machine.
    micros: i64,
}

impl Attempt {
    /// Returns the time from this attempt to another one.
    pub(super) fn until(&self, other: &Self) -> Duration {
        Duration::from_micros(u64::try_from(other.micros - self.micros).unwrap_or_default())
    }
}

/// Returns `true` if two attempts ran in the same process.
pub(super) fn is_same_life(one: &str, other: &str) -> bool {
    let life = |run: &str| run.split_once('.').map(|(life, _)| life.to_owned());
    life(one) == life(other)
}

/// The acknowledgments, in a file that is open for more of them.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    /// The answers by client and by the number of the request.
    pub(crate) answers: BTreeMap<u64, BTreeMap<u64, String>>,
    /// The execution ids of orders whose start was acknowledged, by client and by the number of the request.
    pub(crate) started: BTreeMap<(u64, u64), String>,
    /// The orders whose payment was acknowledged, by client and by the number of the request.
    pub(crate) paid: BTreeSet<(u64, u64)>,
    /// The answers to reads: a journal, a number of notes, and the stamp of the last of them.
    pub(crate) reads: Vec<(String, u64, u64)>,
    /// Answers that differ from an earlier one to the same request.
    pub(crate) faults: Vec<String>,
}

impl Ledger {
    pub(crate) fn open(place: &Path) -> Self {
        let path = ledger_path(place);
        let mut ledger = Self {
            file: append(&path),
            answers: BTreeMap::new(),
            started: BTreeMap::new(),
            paid: BTreeSet::new(),
            reads: Vec::new(),
            faults: Vec::new(),
        };
        for line in std::fs::read_to_string(&path).unwrap_or_default().lines() {
            ledger.line(line);
        }
        ledger
    }

    fn line(&mut self, line: &str) {
        let number = |word: &str| word.parse::<u64>().unwrap_or_default();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["answered", client, n, answer] => {
                let (client, n) = (number(client), number(n));
                let before = self.answers.entry(client).or_default().insert(n, answer.to_owned());
                // A node of a cluster that was stopped records an answer late, when another node has repeated the request.
                if let Some(before) = before.filter(|before| before != answer) {
                    self.faults.push(format!(
                        "request {n} of client {client} was answered twice: {before}, then {answer}"
                    ));
                }
            }
            ["started", client, n, execution] => {
                let before = self.started.insert((number(client), number(n)), execution.to_owned());
                if before.is_some_and(|before| before != execution) {
                    self.faults.push(format!(
                        "order {client}-{n} was started twice: {execution} is the second execution"
                    ));
                }
            }
            ["paid", client, n] => {
                self.paid.insert((number(client), number(n)));
            }
            ["read", journal, length, stamp] => {
                self.reads.push((journal.to_owned(), number(length), number(stamp)));
            }
            ["stale", journal, length, called] => self.faults.push(format!(
                "a read has shown {length} notes of {journal}, of which {called} were acknowledged before it began"
            )),
            _ => self.faults.push(format!("the ledger has the line `{line}`")),
        }
    }

    /// Returns the number of requests of a client that were acknowledged. Its requests are acknowledged in order.
    pub(crate) fn acknowledged(&self, client: u64) -> u64 {
        self.answers.get(&client).map_or(0, |answers| answers.len() as u64)
    }

    /// Records the answer to the n-th request of a client.
    pub(super) fn answer(&self, client: u64, n: u64, answer: &str) {
        write(&self.file, &format!("answered {client} {n} {answer}"));
    }

    /// Records that the payment of an order was acknowledged.
    pub(super) fn pay(&self, client: u64, n: u64) {
        write(&self.file, &format!("paid {client} {n}"));
    }

    /// Records that a journal was read.
    pub(super) fn read(&self, journal: &str, length: u64, stamp: u64) {
        write(&self.file, &format!("read {journal} {length} {stamp}"));
    }

    /// Records that a read has not shown everything that was acknowledged before it began.
    pub(super) fn stale(&self, journal: &str, length: u64, called: u64) {
        write(&self.file, &format!("stale {journal} {length} {called}"));
    }

    /// Records that the start of an order was acknowledged.
    pub(super) fn start(&self, client: u64, n: u64, execution: &str) {
        write(&self.file, &format!("started {client} {n} {execution}"));
    }
}

/// Returns the length of the ledger in bytes. It grows with each acknowledgment.
pub(crate) fn ledger_bytes(place: &Path) -> u64 {
    std::fs::metadata(ledger_path(place)).map_or(0, |file| file.len())
}

/// Returns the clients with a request that was answered after the ledger had this length.
pub(crate) fn answered_since(place: &Path, bytes: u64) -> BTreeMap<u64, usize> {
    let Ok(mut ledger) = File::open(ledger_path(place)) else {
        return BTreeMap::new();
    };
    let mut text = String::new();
    let read = ledger
        .seek(SeekFrom::Start(bytes))
        .and_then(|_| ledger.read_to_string(&mut text));
    read.expect("the ledger is readable");
    let client = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        ["answered", client, ..] => client.parse().ok(),
        _ => None,
    };
    let mut answers = BTreeMap::new();
    for client in text.lines().filter_map(client) {
        *answers.entry(client).or_default() += 1;
    }
    answers
}

/// The calls that were acknowledged, also by other processes.
#[derive(Debug)]
pub(super) struct Acknowledged {
    ledger: BufReader<File>,
    /// The begin of a line that is not complete yet.
    line: String,
    plan: Plan,
    /// By client, the number of acknowledged requests and how many of them were calls.
    counts: BTreeMap<u64, (u64, u64)>,
}

impl Acknowledged {
    pub(super) fn follow(place: &Path, plan: &Plan) -> Self {
        let opened = File::open(ledger_path(place));
        Self {
            ledger: BufReader::new(opened.expect("the ledger exists")),
            line: String::new(),
            plan: plan.clone(),
            counts: BTreeMap::new(),
        }
    }

    /// Returns the number of calls of a client that are acknowledged now.
    pub(super) fn calls(&mut self, client: u64) -> u64 {
        while self.ledger.read_line(&mut self.line).is_ok_and(|bytes| bytes > 0) && self.line.ends_with('\n') {
            if let ["answered", client, n, _] = self.line.split(' ').collect::<Vec<_>>()[..]
                && let (Ok(client), Ok(n)) = (client.parse(), n.parse::<u64>())
            {
                let (requests, calls) = self.counts.entry(client).or_default();
                let new = self.plan.requests(client).skip(*requests as usize);
                let new = new.take((n + 1).saturating_sub(*requests) as usize);
                *calls += new.filter(|request| matches!(request, Request::Call { .. })).count() as u64;
                *requests = (n + 1).max(*requests);
            }
            self.line.clear();
        }
        self.counts.get(&client).map_or(0, |(_, calls)| *calls)
    }
}

fn ledger_path(place: &Path) -> PathBuf {
    place.join(LEDGER)
}

fn world_path(place: &Path) -> PathBuf {
    place.join(WORLD)
}

pub(super) fn append(path: &Path) -> File {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.unwrap_or_else(|error| panic!("{} cannot be opened: {error}", path.display()))
}

pub(super) fn write(mut file: &File, line: &str) {
    let written = file.write(format!("{line}\n").as_bytes());
    assert!(
        written.is_ok_and(|bytes| bytes == line.len() + 1),
        "the ledger cannot be written"
    );
}
