//! Reading a log before it is opened: nothing on disk changes.
//!
//! Where a record is broken, there are two explanations. A crash tore the last write: then nothing behind it was durable. Or the
//! disk lost what was durable: then a record behind it shows that, since each says which commit was durable when it was written,
//! and a segment gets its first record only when everything in the one before it is durable.

use std::path::Path;

use uuid::Uuid;

use super::disk::{Directory, Disk};
use super::record::{self, ALIGN, Record};
use super::segment::{self, Begin, START};
use crate::error::Result;

/// What was found in a log.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The newest commit that is there, or the one after which was read.
    pub(crate) newest: u64,
    /// What shows that durable commits are missing behind the newest one.
    pub(crate) damage: Option<String>,
    /// All segments in order.
    pub(super) segments: Vec<Found>,
    /// The checksum of the newest record.
    pub(super) previous: u32,
    /// The records of the last segment that has some, as they were read.
    pub(super) tail: Vec<u8>,
}

impl Reading {
    /// What is read of a log in which there is nothing behind commit `newest`.
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
    /// Its last commit; 0 if it has none.
    pub(super) last: u64,
    /// Where its records end.
    pub(super) end: usize,
}

impl Found {
    fn empty(number: u64) -> Self {
        Self {
            number,
            last: 0,
            end: START,
        }
    }
}

/// Takes in the number of a commit and its changes.
pub(crate) type Visitor<'a> = dyn FnMut(u64, &[u8]) -> Result<()> + 'a;

/// Shows every commit behind `after`, in order, up to the end or the first damage.
///
/// # Errors
/// The operating system's, one of the kind `Format` if another version of Abide wrote the log, and the visitor's.
pub(crate) fn read(directory: &Path, hub: Uuid, after: u64, visitor: &mut Visitor<'_>) -> Result<Reading> {
    read_on(&Directory::new(directory), hub, after, visitor)
}

pub(crate) fn read_on(disk: &impl Disk, hub: Uuid, after: u64, visitor: &mut Visitor<'_>) -> Result<Reading> {
    let mut reading = Reading::ending_with(after);
    let mut last = None;
    // One buffer for all segments, because the kernel clears whatever memory is new.
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
            // The block is durable before the first record is written.
            Begin::Other | Begin::Broken => reading.damage = scan.damage_of_block(reading.newest),
        }
    }
    Ok(reading)
}

/// The segments of a log of which nothing has to be read, because all that it holds is elsewhere, up to commit `newest`.
///
/// # Errors
/// The operating system's.
pub(crate) fn skip(directory: &Path, newest: u64) -> Result<Reading> {
    let segments = Directory::new(directory).list()?.into_iter().map(Found::empty);
    Ok(Reading {
        segments: segments.collect(),
        ..Reading::ending_with(newest)
    })
}

/// The record before the one that is read.
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
    /// The commit behind which the records are wanted.
    after: u64,
}

impl<'a> Scan<'a> {
    /// Reads the records of the segment, and looks for others behind them.
    fn read(&self, last: &mut Option<Last>, reading: &mut Reading, visitor: &mut Visitor<'_>) -> Result<()> {
        let mut at = START;
        while let Some(record) = self.record(at) {
            let (commit, previous) = (record.header.commit, record.header.previous);
            let is_next = match *last {
                Some(last) if last.commit > self.after => commit == last.commit + 1 && previous == last.checksum,
                // What is before the first commit that is wanted need not be complete.
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
            // Of a file that was cut the zeros behind the last record may be missing.
            reading
                .tail
                .extend_from_slice(&self.bytes[START..at.min(self.bytes.len())]);
        }
        reading.damage = self.damage_behind(at, reading.newest);
        Ok(())
    }

    /// What shows, from `at` on, that commits behind `newest` were durable.
    fn damage_behind(&self, at: usize, newest: u64) -> Option<String> {
        let places = (at.next_multiple_of(ALIGN)..self.bytes.len()).step_by(ALIGN);
        places.filter_map(|place| Some((place, self.record(place)?))).find_map(|(place, Record { header, .. })| {
            // What a segment begins with was written when everything before it was durable.
            let durable = if place == START { header.commit - 1 } else { header.durable };
            (durable > newest).then(|| {
                format!(
                    "the log is damaged at byte {at} of {}: the commits {} to {durable} were durable and are not there, as the \
                     record of commit {} at byte {place} shows",
                    self.path.display(),
                    newest + 1,
                    header.commit
                )
            })
        })
    }

    /// What shows, behind a first block that is broken, that there are commits behind `newest`.
    fn damage_of_block(&self, newest: u64) -> Option<String> {
        let places = (START..self.bytes.len()).step_by(ALIGN);
        let commits = places.filter_map(|place| Some(self.record(place)?.header.commit));
        let last = commits.filter(|commit| *commit > newest).max()?;
        Some(format!(
            "the log is damaged in the first {START} bytes of {}: the commits {} to {last} are behind them",
            self.path.display(),
            newest + 1,
        ))
    }

    fn record(&self, at: usize) -> Option<Record<'a>> {
        record::read(self.bytes.get(at..)?, self.number)
    }
}
