//! The log in files: appended in memory, written and synced by whoever syncs.

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

/// How many bytes a buffer keeps when it is empty.
const KEPT: usize = 4 << 20;

/// The first segment of a log is small, since somebody waits for it; each later one is twice as large as the one before it.
const FIRST: usize = 256 << 10;

/// How many segments are kept for others to come.
const SPARE: usize = 2;

/// A log in a directory of its own.
///
/// Three locks, each for one thing, so that an append waits for no disk: `appended` is held while bytes are copied, `tail` while
/// they are written and synced, and `room` while a segment is made.
#[derive(Debug)]
pub(crate) struct FileLog<D: Disk = Directory> {
    place: Place<D>,
    appended: Mutex<Vec<u8>>,
    tail: Mutex<Tail<D>>,
    room: Mutex<Room<D>>,
    /// Whether the next segment is there.
    has_next: AtomicBool,
    /// Whether it is time to make it.
    wants_room: AtomicBool,
    appended_bytes: AtomicU64,
    synced_bytes: AtomicU64,
    live_bytes: AtomicU64,
}

/// Where the segments are, and how large.
#[derive(Debug)]
struct Place<D> {
    disk: D,
    hub: Uuid,
    /// The size of a segment once the log has some.
    segment_bytes: usize,
}

type Segment<D> = segment::Segment<<D as Disk>::File>;

/// Where the next record goes.
#[derive(Debug)]
struct Tail<D: Disk> {
    current: Segment<D>,
    at: usize,
    previous: u32,
    /// The newest durable commit.
    durable: u64,
    /// The segments before the current one that are still needed.
    full: VecDeque<Full<D>>,
    /// What was written last, for its memory; the two buffers take turns.
    buffer: Vec<u8>,
    /// Whether a sync has begun and not ended well. What it was to write may be gone, and another one must not claim that it is
    /// there.
    is_broken: bool,
}

/// A segment that gets no more records.
#[derive(Debug)]
struct Full<D: Disk> {
    segment: Segment<D>,
    /// Its last commit.
    last: u64,
    /// The bytes of its records.
    bytes: u64,
}

/// The segments without records.
#[derive(Debug)]
struct Room<D: Disk> {
    /// The one behind the current one.
    next: Option<Segment<D>>,
    /// Its number, whether it is there or not.
    number: u64,
    /// How large it is to be.
    bytes: usize,
    /// Segments that nobody reads any more.
    free: Vec<Segment<D>>,
}

impl FileLog {
    /// Opens the log in `directory` behind what was read of it, or makes one. RocksDB has the commits up to `kept`.
    ///
    /// Each open begins a segment of its own. So the rest of the one before it is as a crash has left it, and nothing in it can be
    /// taken for a record of this life.
    ///
    /// # Errors
    /// The operating system's.
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
        for found in &reading.segments {
            let segment = segment::Segment::open(&place.disk, found.number)?;
            if found.last > kept {
                full.push_back(Full {
                    segment,
                    last: found.last,
                    bytes: (found.end - START) as u64,
                });
            } else {
                free.push(segment);
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
                // With nothing before it the chain begins anew.
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

    /// Writes the records in `buffer`, and makes them durable.
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
    /// Makes its records durable, as they were read. Whoever wrote them may have been killed before the sync, and then they were
    /// read from the page cache. After a sync that failed these pages even pass for written, so the records are written once more.
    /// The segments before this one are durable, since each is synced before there is another one.
    fn make_durable(&self, disk: &D, records: &[u8]) -> Result<()> {
        self.segment.write(disk, records, START)?;
        self.segment.sync(disk)?;
        disk.sync_names()
    }
}

impl<D: Disk> Tail<D> {
    /// Writes whole records to their place and syncs them; `last` is the commit of the last one.
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

    /// Goes on in `next`.
    fn turn_over(&mut self, next: Segment<D>) {
        let segment = std::mem::replace(&mut self.current, next);
        self.full.push_back(Full {
            segment,
            last: self.durable,
            bytes: (self.at - START) as u64,
        });
        self.at = START;
    }

    fn measure(&self, live_bytes: &AtomicU64) {
        let full: u64 = self.full.iter().map(|full| full.bytes).sum();
        live_bytes.store(full + (self.at - START) as u64, Ordering::Relaxed);
    }
}

impl<D: Disk> Room<D> {
    /// Makes the next segment, with room for a record of this size.
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

    /// The next segment, which has room for a record of this size.
    fn take(&mut self, place: &Place<D>, size: usize) -> Result<Segment<D>> {
        if let Some(small) = self.next.take_if(|next| START + size > next.bytes) {
            small.remove(&place.disk)?;
        }
        if self.next.is_none() {
            self.make(place, size)?;
        }
        self.number += 1;
        Ok(self.next.take().expect("it was made"))
    }

    /// Removes what is not worth keeping: a few segments of the usual size serve, the newest of them.
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
        let free: Vec<Segment<D>> = tail.full.drain(..count).map(|full| full.segment).collect();
        tail.measure(&self.live_bytes);
        drop(tail);
        let mut room = self.room();
        room.free.extend(free);
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

/// Removes all segments that were read, the newest first, so that a crash in between leaves the beginning of the log.
///
/// # Errors
/// The operating system's.
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
