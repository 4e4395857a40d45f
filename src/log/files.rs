//! The log in files. Records are appended in memory; the thread that calls sync writes and syncs them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::disk::{Directory, Disk};
use super::record;
use super::segment::{self, START};
use super::{Log, LogStats, Reading};
use crate::error::{Error, ErrorKind, Result};

/// Maximum capacity of an empty buffer, in bytes.
const KEPT: usize = 4 << 20;

/// Size of the first segment of a log, in bytes. It is small because an open waits for it. Each later segment is twice
/// as large as the previous one.
const FIRST: usize = 256 << 10;

/// Number of unused segments that are kept for reuse.
const SPARE: usize = 2;

/// A log in a directory of its own.
///
/// Three separate locks ensure that an append never waits for the disk. `appended` is held while bytes are copied,
/// `tail` while they are written and synced, and `room` while a segment is created.
#[derive(Debug)]
pub(crate) struct FileLog<D: Disk = Directory> {
    place: Place<D>,
    appended: Mutex<Vec<u8>>,
    tail: Mutex<Tail<D>>,
    room: Mutex<Room<D>>,
    /// True if the next segment exists.
    has_next: AtomicBool,
    /// True if the next segment should be created.
    wants_room: AtomicBool,
    appended_bytes: AtomicU64,
    synced_bytes: AtomicU64,
    live_bytes: AtomicU64,
}

/// The location and size of the segments.
#[derive(Debug)]
struct Place<D> {
    disk: D,
    hub: Uuid,
    /// Full size of a segment, in bytes. The first segments are smaller.
    segment_bytes: usize,
}

type Segment<D> = segment::Segment<<D as Disk>::File>;

/// The end of the log, where the next record is written.
#[derive(Debug)]
struct Tail<D: Disk> {
    current: Segment<D>,
    at: usize,
    previous: u32,
    /// The newest durable commit.
    durable: u64,
    /// The segments before the current one that are still needed.
    full: VecDeque<Full<D>>,
    /// The buffer of the last write, kept for its memory. The two buffers alternate.
    buffer: Vec<u8>,
    /// True if a sync has begun and not succeeded. Its records may be lost, so no later sync may report them as
    /// durable.
    is_broken: bool,
}

/// A segment that receives no more records.
#[derive(Debug)]
struct Full<D: Disk> {
    segment: Segment<D>,
    /// Its last commit.
    last: u64,
    /// Size of its records, in bytes.
    bytes: u64,
    /// Other records, which never became durable, are behind them.
    has_leftovers: bool,
}

/// The segments without records.
#[derive(Debug)]
struct Room<D: Disk> {
    /// The segment after the current one.
    next: Option<Segment<D>>,
    /// Number of the next segment, whether it exists or not.
    number: u64,
    /// Size of the next segment, in bytes.
    bytes: usize,
    /// Segments that are no longer needed.
    free: Vec<Segment<D>>,
}

impl FileLog {
    /// Opens the log in `directory` after the commits that were read, or creates a log. RocksDB has the commits up to
    /// `kept`.
    ///
    /// Each open begins a new segment. The rest of the previous segment remains as a crash left it, and nothing in it
    /// can be taken for a record of this life.
    ///
    /// # Errors
    /// Returns any error of the operating system.
    pub(crate) fn open(
        directory: &Path,
        hub: Uuid,
        segment_bytes: usize,
        reading: &Reading,
        kept: u64,
    ) -> Result<Self> {
        Self::open_on(Directory::new(directory), hub, segment_bytes, reading, kept)
    }
}

impl<D: Disk> FileLog<D> {
    pub(crate) fn open_on(disk: D, hub: Uuid, segment_bytes: usize, reading: &Reading, kept: u64) -> Result<Self> {
        disk.prepare()?;
        let place = Place {
            disk,
            hub,
            segment_bytes: segment_bytes.max(2 * START),
        };
        let (mut full, mut free) = (VecDeque::new(), Vec::new());
        // A segment may hold records that never became durable, behind its own. If a power loss tore its first block while it is
        // recycled, they would look like lost ones, so it is removed instead. The segments behind the newest one with records
        // may hold such records, too.
        let newest = reading.segments.iter().rposition(|found| found.last > 0).unwrap_or(0);
        for (index, found) in reading.segments.iter().enumerate() {
            let segment = segment::Segment::open(&place.disk, found.number)?;
            if found.last > kept {
                full.push_back(Full {
                    segment,
                    last: found.last,
                    bytes: (found.end - START) as u64,
                    has_leftovers: found.has_leftovers,
                });
            } else if index < newest && !found.has_leftovers {
                free.push(segment);
            } else {
                segment.remove(&place.disk)?;
            }
        }
        if let Some(newest) = full.back() {
            newest.make_durable(&place.disk, &reading.tail)?;
        }
        let number = reading.segments.last().map_or(1, |found| found.number + 1);
        let mut room = Room {
            next: None,
            number,
            bytes: FIRST.min(place.segment_bytes),
            free,
        };
        room.make(&place, 0)?;
        let current = room.take(&place, 0)?;
        let log = Self {
            place,
            appended: Mutex::default(),
            tail: Mutex::new(Tail {
                current,
                at: START,
                // Without earlier records, the chain of checksums begins anew.
                previous: if full.is_empty() { 0 } else { reading.previous },
                durable: reading.newest,
                full,
                buffer: Vec::new(),
                is_broken: false,
            }),
            room: Mutex::new(room),
            has_next: AtomicBool::new(false),
            wants_room: AtomicBool::new(false),
            appended_bytes: AtomicU64::new(0),
            synced_bytes: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
        };
        log.tail().measure(&log.live_bytes);
        Ok(log)
    }

    fn tail(&self) -> MutexGuard<'_, Tail<D>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> MutexGuard<'_, Room<D>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn appended(&self) -> MutexGuard<'_, Vec<u8>> {
        self.appended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the records in `buffer` and makes them durable.
    fn write(&self, tail: &mut Tail<D>, buffer: &mut [u8]) -> Result<()> {
        let (mut start, mut end, mut last) = (0, 0, tail.durable);
        while end < buffer.len() {
            let (commit, size) = record::appended(&buffer[end..]);
            if tail.at + (end - start) + size > tail.current.bytes {
                tail.flush(&self.place.disk, &buffer[start..end], last)?;
                start = end;
                tail.turn_over(self.room().take(&self.place, size)?);
                self.has_next.store(false, Ordering::Relaxed);
            }
            tail.previous = record::seal(&mut buffer[end..], tail.durable, tail.current.number, tail.previous);
            end += size;
            last = commit;
        }
        tail.flush(&self.place.disk, &buffer[start..end], last)
    }
}

impl<D: Disk> Full<D> {
    /// Makes its records durable, as they were read.
    ///
    /// The process that wrote them may have been killed before the sync, so they may have been read from the page
    /// cache. After a failed sync, the kernel even considers such pages written, so the records are written again. The
    /// earlier segments are durable because each is synced before the next one is used.
    fn make_durable(&self, disk: &D, records: &[u8]) -> Result<()> {
        self.segment.write(disk, records, START)?;
        self.segment.sync(disk)?;
        disk.sync_names()
    }
}

impl<D: Disk> Tail<D> {
    /// Writes complete records at the end of the current segment and syncs them. `last` is the commit of the last
    /// record.
    fn flush(&mut self, disk: &D, records: &[u8], last: u64) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.current.write(disk, records, self.at)?;
        self.current.sync(disk)?;
        self.at += records.len();
        self.durable = last;
        Ok(())
    }

    /// Continues in `next`.
    fn turn_over(&mut self, next: Segment<D>) {
        let segment = std::mem::replace(&mut self.current, next);
        self.full.push_back(Full {
            segment,
            last: self.durable,
            bytes: (self.at - START) as u64,
            has_leftovers: false,
        });
        self.at = START;
    }

    fn measure(&self, live_bytes: &AtomicU64) {
        let full: u64 = self.full.iter().map(|full| full.bytes).sum();
        live_bytes.store(full + (self.at - START) as u64, Ordering::Relaxed);
    }
}

impl<D: Disk> Room<D> {
    /// Creates the next segment, with room for a record of this size.
    fn make(&mut self, place: &Place<D>, size: usize) -> Result<()> {
        let bytes = self.bytes.max(START + size);
        let sizes = bytes..=bytes.max(place.segment_bytes);
        let fits = self.free.iter().position(|free| sizes.contains(&free.bytes));
        let next = match fits {
            Some(index) => self.free.remove(index).recycle(&place.disk, place.hub, self.number)?,
            None => segment::Segment::create(&place.disk, place.hub, self.number, bytes)?,
        };
        self.next = Some(next);
        self.bytes = (2 * self.bytes).min(place.segment_bytes);
        Ok(())
    }

    /// Returns the next segment, which has room for a record of this size.
    fn take(&mut self, place: &Place<D>, size: usize) -> Result<Segment<D>> {
        if let Some(small) = self.next.take_if(|next| START + size > next.bytes) {
            small.remove(&place.disk)?;
        }
        if self.next.is_none() {
            self.make(place, size)?;
        }
        self.number += 1;
        Ok(self.next.take().expect("the next segment was created"))
    }

    /// Removes unused segments, except for the newest few of full size.
    fn clear(&mut self, place: &Place<D>) -> Result<()> {
        let is_usual = |free: &mut Segment<D>| free.bytes == place.segment_bytes;
        let mut removed: Vec<Segment<D>> = self.free.extract_if(.., |free| !is_usual(free)).collect();
        removed.extend(self.free.drain(..self.free.len().saturating_sub(SPARE)));
        removed.into_iter().try_for_each(|segment| segment.remove(&place.disk))
    }
}

impl<D: Disk> Log for FileLog<D> {
    fn append(&self, commit: u64, changes: &[u8]) {
        record::append(&mut self.appended(), commit, changes);
        self.appended_bytes
            .fetch_add(record::size(changes.len()) as u64, Ordering::Relaxed);
    }

    fn sync(&self) -> Result<u64> {
        let mut tail = self.tail();
        if std::mem::replace(&mut tail.is_broken, true) {
            let text = "an earlier sync of the log failed; open the hub again";
            return Err(Error::new(ErrorKind::Poisoned, text));
        }
        let mut buffer = std::mem::take(&mut tail.buffer);
        std::mem::swap(&mut *self.appended(), &mut buffer);
        self.write(&mut tail, &mut buffer)?;
        tail.is_broken = false;
        self.synced_bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        buffer.clear();
        buffer.shrink_to(KEPT);
        tail.buffer = buffer;
        tail.measure(&self.live_bytes);
        let is_time = tail.at > tail.current.bytes / 2 && !self.has_next.load(Ordering::Relaxed);
        self.wants_room.store(is_time, Ordering::Relaxed);
        Ok(tail.durable)
    }

    fn trim(&self, commit: u64) -> Result<()> {
        let mut tail = self.tail();
        let count = tail.full.partition_point(|full| full.last <= commit);
        let trimmed: Vec<Full<D>> = tail.full.drain(..count).collect();
        tail.measure(&self.live_bytes);
        drop(tail);
        let mut room = self.room();
        for full in trimmed {
            if full.has_leftovers {
                full.segment.remove(&self.place.disk)?;
            } else {
                room.free.push(full.segment);
            }
        }
        room.clear(&self.place)
    }

    fn wants_room(&self) -> bool {
        self.wants_room.load(Ordering::Relaxed)
    }

    fn make_room(&self) -> Result<()> {
        self.wants_room.store(false, Ordering::Relaxed);
        let mut room = self.room();
        if room.next.is_none() {
            room.make(&self.place, 0)?;
        }
        self.has_next.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn stats(&self) -> LogStats {
        let synced = self.synced_bytes.load(Ordering::Relaxed);
        let appended = self.appended_bytes.load(Ordering::Relaxed);
        LogStats {
            appended_bytes: appended,
            unsynced_bytes: appended.saturating_sub(synced),
            live_bytes: self.live_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Removes all segments that were read, newest first, so a crash in between leaves the beginning of the log.
///
/// # Errors
/// Returns any error of the operating system.
pub(crate) fn remove_all(directory: &Path, reading: &Reading) -> Result<()> {
    let disk = Directory::new(directory);
    if reading.segments.is_empty() {
        return Ok(());
    }
    for found in reading.segments.iter().rev() {
        disk.remove(found.number)?;
    }
    disk.sync_names()
}
