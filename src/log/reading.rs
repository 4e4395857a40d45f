//! Reads a log before it is opened, without changing anything on disk.
//!
//! A broken record has two possible causes. If a crash tore the last write, nothing after the record was durable. If
//! the disk lost durable data, a later record reveals the loss: each record names the commit that was durable when the
//! record was written, and a segment receives its first record only when all records of the previous segment are
//! durable.

use std::path::Path;

use uuid::Uuid;

use super::disk::{Directory, Disk};
use super::record::{self, ALIGN, Record};
use super::segment::{self, Begin, START};
use crate::error::Result;

/// The result of reading a log.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The newest commit of the log, or the commit after which the log was read.
    pub(crate) newest: u64,
    /// A description of the evidence that durable commits after the newest one are missing.
    pub(crate) damage: Option<String>,
    /// All segments in order.
    pub(super) segments: Vec<Found>,
    /// The checksum of the newest record.
    pub(super) previous: u32,
    /// The records of the last nonempty segment, as they were read.
    pub(super) tail: Vec<u8>,
}

impl Reading {
    /// Returns the result for a log without commits after `newest`.
    pub(crate) fn ending_with(newest: u64) -> Self {
        Self {
            newest,
            ..Self::default()
        }
    }
}

/// A segment that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) number: u64,
    /// Its last commit, or 0 if it has none.
    pub(super) last: u64,
    /// Offset of the end of its records.
    pub(super) end: usize,
    /// Behind the end are records that never became durable: a crash has torn the write before them.
    pub(super) has_leftovers: bool,
}

impl Found {
    fn empty(number: u64) -> Self {
        Self {
            number,
            last: 0,
            end: START,
            has_leftovers: false,
        }
    }
}

/// A callback that receives the number of a commit and its changes.
pub(crate) type Visitor<'a> = dyn FnMut(u64, &[u8]) -> Result<()> + 'a;

/// Passes every commit after `after` to the visitor, in order, up to the end or the first damage.
///
/// # Errors
/// Returns an error of kind `Format` if another version of Abide wrote the log, or `Corrupted` if a segment belongs to
/// another hub, and any error of the operating system or the visitor.
pub(crate) fn read(directory: &Path, hub: Uuid, after: u64, visitor: &mut Visitor<'_>) -> Result<Reading> {
    read_on(&Directory::new(directory), hub, after, visitor)
}

pub(crate) fn read_on(disk: &impl Disk, hub: Uuid, after: u64, visitor: &mut Visitor<'_>) -> Result<Reading> {
    let mut reading = Reading::ending_with(after);
    let mut last = None;
    // One buffer for all segments, because the kernel zeroes new memory.
    let mut bytes = Vec::new();
    for number in disk.list()? {
        let path = disk.path(number);
        disk.read(number, &mut bytes)?;
        let begin = segment::begin(&bytes, &path, hub, number)?;
        let scan = Scan {
            path: &path,
            number,
            bytes: &bytes,
            after,
        };
        reading.segments.push(Found::empty(number));
        if reading.damage.is_some() {
            continue;
        }
        match begin {
            Begin::Here => scan.read(&mut last, &mut reading, visitor)?,
            // The block becomes durable before the first record is written.
            Begin::Other | Begin::Broken => reading.damage = scan.damage_of_block(reading.newest),
        }
    }
    Ok(reading)
}

/// Lists the segments of a log without reading them. For logs whose commits, up to `newest`, are all kept elsewhere.
///
/// # Errors
/// Returns any error of the operating system.
pub(crate) fn skip(directory: &Path, newest: u64) -> Result<Reading> {
    let segments = Directory::new(directory).list()?.into_iter().map(Found::empty);
    Ok(Reading {
        segments: segments.collect(),
        ..Reading::ending_with(newest)
    })
}

/// The record before the current one.
#[derive(Clone, Copy)]
struct Last {
    commit: u64,
    checksum: u32,
}

/// One segment in memory.
struct Scan<'a> {
    path: &'a Path,
    number: u64,
    bytes: &'a [u8],
    /// The commit after which records are wanted.
    after: u64,
}

impl<'a> Scan<'a> {
    /// Reads the records of the segment, and searches for further records after a gap.
    fn read(&self, last: &mut Option<Last>, reading: &mut Reading, visitor: &mut Visitor<'_>) -> Result<()> {
        let mut at = START;
        while let Some(record) = self.record(at) {
            let (commit, previous) = (record.header.commit, record.header.previous);
            let is_next = match *last {
                Some(last) if last.commit > self.after => commit == last.commit + 1 && previous == last.checksum,
                // Records before the first wanted commit need not be complete.
                _ => commit <= self.after + 1,
            };
            if !is_next {
                break;
            }
            if commit > reading.newest {
                visitor(commit, record.changes)?;
                reading.newest = commit;
            }
            *last = Some(Last {
                commit,
                checksum: record.checksum,
            });
            reading.previous = record.checksum;
            at += record.size();
            if let Some(found) = reading.segments.last_mut() {
                (found.last, found.end) = (commit, at);
            }
        }
        if at > START {
            reading.tail.clear();
            // In a truncated file, the zeros after the last record may be missing.
            reading
                .tail
                .extend_from_slice(&self.bytes[START..at.min(self.bytes.len())]);
        }
        let newest = reading.newest;
        let mut has_leftovers = false;
        let mut behind = self.behind(at).inspect(|_| has_leftovers = true);
        reading.damage = behind.find_map(|(place, record)| self.evidence(at, place, &record, newest));
        drop(behind);
        if let Some(found) = reading.segments.last_mut() {
            found.has_leftovers = has_leftovers;
        }
        Ok(())
    }

    /// Returns the records from `at` on, with their places.
    fn behind(&self, at: usize) -> impl Iterator<Item = (usize, Record<'a>)> {
        let places = (at.next_multiple_of(ALIGN)..self.bytes.len()).step_by(ALIGN);
        places.filter_map(|place| Some((place, self.record(place)?)))
    }

    /// Returns the evidence, in a record behind the end `at`, that commits after `newest` were durable.
    fn evidence(&self, at: usize, place: usize, record: &Record<'_>, newest: u64) -> Option<String> {
        let header = &record.header;
        // The first record of a segment was written when all earlier records were durable.
        let durable = if place == START {
            header.commit - 1
        } else {
            header.durable
        };
        (durable > newest).then(|| {
            format!(
                "the log is damaged at byte {at} of {}: the commits {} to {durable} were durable but are missing, \
                 as the record of commit {} at byte {place} shows",
                self.path.display(),
                newest + 1,
                header.commit
            )
        })
    }

    /// Returns the evidence, in records after a broken first block, that commits after `newest` exist.
    fn damage_of_block(&self, newest: u64) -> Option<String> {
        let places = (START..self.bytes.len()).step_by(ALIGN);
        let commits = places.filter_map(|place| Some(self.record(place)?.header.commit));
        let last = commits.filter(|commit| *commit > newest).max()?;
        Some(format!(
            "the log is damaged in the first {START} bytes of {}: the commits {} to {last} follow the damage",
            self.path.display(),
            newest + 1,
        ))
    }

    fn record(&self, at: usize) -> Option<Record<'a>> {
        record::read(self.bytes.get(at..)?, self.number)
    }
}
