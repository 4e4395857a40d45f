//! The rows of the newest commits, until the base below has them.
//!
//! A *front* holds the newest value of every key that was changed since the front began, in key order. The changes of
//! one key are merged into one, and a row that was inserted and deleted leaves no trace. Older values are kept only
//! while a snapshot may read them.

mod fronts;
mod merge;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use smallvec::SmallVec;

pub(in crate::store) use fronts::Fronts;
pub(in crate::store) use view::View;

use super::Change;

/// Approximate memory of a row without its value: its slot in a tree whose nodes are two thirds full, and an
/// allocation.
const ROW_BYTES: usize = 176;

/// Number of shards of a front. With shards, a reader of one partition does not wait for a write to another.
const SHARDS: usize = 64;

/// Maximum number of unused bytes in the memory of a value after the value is replaced.
const SLACK: usize = 64;

/// The rows of a run of commits.
pub(in crate::store) struct Front {
    shards: [RwLock<Shard>; SHARDS],
    /// The newest commit.
    commit: AtomicU64,
    /// Approximate memory of all rows, in bytes.
    bytes: AtomicUsize,
    rows: AtomicUsize,
    changes: AtomicU64,
}

/// A key stored inline in the nodes of the tree. Most keys fit, so a search does not follow a pointer for each key that
/// it compares.
type Key = SmallVec<[u8; 56]>;

type Shard = BTreeMap<Key, Row>;

/// The newest value of a key, and older values that a snapshot may read.
#[derive(Debug)]
struct Row {
    /// The commit that wrote the value.
    commit: u64,
    /// The value, or `None` if the key was deleted.
    value: Option<Vec<u8>>,
    /// True if neither an older front nor the base has the key, so a deletion need not be written there.
    is_new: bool,
    before: Option<Box<Row>>,
}

/// The commits at which snapshots are open, with the number of snapshots for each.
#[derive(Debug, Default)]
pub(super) struct OpenSnapshots(BTreeMap<u64, usize>);

impl OpenSnapshots {
    pub(super) fn open(&mut self, commit: u64) {
        *self.0.entry(commit).or_default() += 1;
    }

    pub(super) fn close(&mut self, commit: u64) {
        if let Some(count) = self.0.get_mut(&commit) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&commit);
            }
        }
    }

    /// Returns `true` if a snapshot reads a value that was written by commit `from` and replaced by commit `until`.
    fn show(&self, from: u64, until: u64) -> bool {
        !self.0.is_empty() && from < until && self.0.range(from..until).next().is_some()
    }
}

impl Row {
    /// Returns the newest value as of a commit. The outer `None` means that this front has no value for it.
    fn as_of(&self, commit: u64) -> Option<Option<&[u8]>> {
        let mut row = Some(self);
        while let Some(version) = row {
            if version.commit <= commit {
                return Some(version.value.as_deref());
            }
            row = version.before.as_deref();
        }
        None
    }

    /// Removes the older versions that no snapshot reads.
    fn prune(&mut self, open: &OpenSnapshots) {
        let mut until = self.commit;
        let mut rest = self.before.take();
        let mut end = &mut self.before;
        while let Some(mut row) = rest {
            rest = row.before.take();
            if open.show(row.commit, until) {
                until = row.commit;
                end = &mut end.insert(row).before;
            }
        }
    }

    /// Returns the memory of all versions without the key.
    fn bytes(&self) -> usize {
        let mut bytes = 0;
        let mut row = Some(self);
        while let Some(version) = row {
            bytes += ROW_BYTES + version.value.as_ref().map_or(0, Vec::capacity);
            row = version.before.as_deref();
        }
        bytes
    }

    fn set_value(&mut self, value: Option<&[u8]>) {
        match (&mut self.value, value) {
            (Some(old), Some(new)) if old.capacity() <= 2 * new.len() + SLACK => {
                old.clear();
                old.extend_from_slice(new);
            }
            (old, new) => *old = new.map(<[u8]>::to_vec),
        }
    }
}

/// The effect of a commit on the size of a front.
#[derive(Default)]
struct Growth {
    bytes: usize,
    rows: usize,
    freed_bytes: usize,
    freed_rows: usize,
}

impl Front {
    /// Creates a front for the commits after `commit`.
    pub(super) fn behind(commit: u64) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            commit: AtomicU64::new(commit),
            bytes: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
        }
    }

    /// Applies the changes of a commit that is newer than all previous ones. There is only one writer at a time, and no
    /// snapshot may be opened during the call. Replaced values are kept if an open snapshot reads them.
    fn apply<'a>(&self, commit: u64, changes: impl Iterator<Item = Change<'a>>, open: &OpenSnapshots) {
        let mut growth = Growth::default();
        let mut count = 0;
        let mut held: Option<(usize, RwLockWriteGuard<'_, Shard>)> = None;
        for change in changes {
            count += 1;
            let (key, value) = change.parts();
            let wanted = shard_of(key);
            let shard = match &mut held {
                Some((index, shard)) if *index == wanted => shard,
                held => {
                    // Release the previous lock first.
                    *held = None;
                    &mut held.insert((wanted, self.write(wanted))).1
                }
            };
            let is_new = matches!(change, Change::Insert { .. });
            set(shard, key, value, is_new, commit, open, &mut growth);
        }
        drop(held);
        self.bytes.fetch_add(growth.bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(growth.freed_bytes, Ordering::Relaxed);
        self.rows.fetch_add(growth.rows, Ordering::Relaxed);
        self.rows.fetch_sub(growth.freed_rows, Ordering::Relaxed);
        self.changes.fetch_add(count, Ordering::Relaxed);
        self.commit.store(commit, Ordering::Release);
    }

    /// Returns the value of a key as of a commit. The outer `None` means that this front has no value for it.
    fn get(&self, key: &[u8], commit: u64) -> Option<Option<Vec<u8>>> {
        let shard = self.read(shard_of(key));
        shard.get(key)?.as_of(commit).map(|value| value.map(<[u8]>::to_vec))
    }

    /// Passes the rows that the base must write to `show`, in key order. Deletions of rows that the base never had are
    /// omitted. No changes may be applied during the call.
    pub(in crate::store) fn for_each(&self, mut show: impl FnMut(&[u8], Option<&[u8]>)) {
        for (prefix, index) in self.prefixes() {
            let shard = self.read(index);
            let rows = shard.range::<[u8], _>((Bound::Included(&prefix[..]), Bound::Unbounded));
            for (key, row) in rows.take_while(|(key, _)| prefix_of(key) == &prefix[..]) {
                if row.value.is_some() || !row.is_new {
                    show(key, row.value.as_deref());
                }
            }
        }
    }

    /// Returns the distinct shard-determining prefixes of the keys, in order, each with its shard.
    fn prefixes(&self) -> Vec<(Key, usize)> {
        let mut prefixes = Vec::new();
        for index in 0..SHARDS {
            let shard = self.read(index);
            let mut next = shard.keys().next();
            while let Some(key) = next {
                let prefix = Key::from_slice(prefix_of(key));
                next = behind(&prefix).and_then(|start| {
                    let mut rows = shard.range::<[u8], _>((Bound::Included(&start[..]), Bound::Unbounded));
                    rows.next().map(|(key, _)| key)
                });
                prefixes.push((prefix, index));
            }
        }
        prefixes.sort_unstable();
        prefixes
    }

    /// Returns the newest commit.
    pub(in crate::store) fn commit(&self) -> u64 {
        self.commit.load(Ordering::Acquire)
    }

    /// Returns the approximate memory of all rows, in bytes.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of keys.
    pub(in crate::store) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Returns the number of applied changes.
    pub(in crate::store) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Ignores poisoning: only the allocator could panic within a shard, which leaves the shard unchanged.
    fn read(&self, index: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[index].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, index: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[index].write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front")
            .field("commit", &self.commit())
            .field("rows", &self.rows())
            .finish_non_exhaustive()
    }
}

/// Returns the shard of a key. The first two bytes determine the shard; in the keys of the store, they name the
/// partition.
fn shard_of(key: &[u8]) -> usize {
    match *key {
        [high, low, ..] => usize::from(u16::from_be_bytes([high, low])) % SHARDS,
        _ => 0,
    }
}

/// Returns the prefix of a key that determines its shard.
fn prefix_of(key: &[u8]) -> &[u8] {
    &key[..key.len().min(2)]
}

/// Returns the lower bound of the keys after those with this prefix, if such keys can exist.
fn behind(prefix: &[u8]) -> Option<Key> {
    match *prefix {
        [high, low] => {
            let next = u16::from_be_bytes([high, low]).checked_add(1)?;
            Some(Key::from_slice(&next.to_be_bytes()))
        }
        _ => Some(prefix.iter().copied().chain([0]).collect()),
    }
}

/// Returns the shards that may contain keys of a range: one shard or all.
fn shards_of(range: &Range<Vec<u8>>) -> Range<usize> {
    // The end may be the first key after the partition.
    let is_one = range.start.len() >= 2
        && (range.end.starts_with(&range.start[..2]) || is_behind(&range.end, &range.start[..2]));
    if is_one {
        let shard = shard_of(&range.start);
        shard..shard + 1
    } else {
        0..SHARDS
    }
}

/// Returns `true` if `end` is the first key of the shard after that of `prefix`, and no one-byte key precedes it.
fn is_behind(end: &[u8], prefix: &[u8]) -> bool {
    let next = u16::from_be_bytes([prefix[0], prefix[1]]).checked_add(1);
    next.is_some_and(|next| end == next.to_be_bytes() && next % 256 != 0)
}

fn set(
    shard: &mut Shard,
    key: &[u8],
    value: Option<&[u8]>,
    is_new: bool,
    commit: u64,
    open: &OpenSnapshots,
    growth: &mut Growth,
) {
    // One search serves all cases.
    let mut entry = match shard.entry(Key::from_slice(key)) {
        Entry::Occupied(entry) => entry,
        Entry::Vacant(entry) => {
            let row = Row {
                commit,
                value: value.map(<[u8]>::to_vec),
                is_new,
                before: None,
            };
            growth.rows += 1;
            growth.bytes += key.len() + row.bytes();
            entry.insert(row);
            return;
        }
    };
    let row = entry.get_mut();
    growth.freed_bytes += row.bytes();
    if open.show(row.commit, commit) {
        let newest = Row {
            commit,
            value: value.map(<[u8]>::to_vec),
            is_new: row.is_new,
            before: None,
        };
        let replaced = std::mem::replace(row, newest);
        row.before = Some(Box::new(replaced));
    } else {
        row.set_value(value);
        row.commit = commit;
    }
    if row.before.is_some() {
        row.prune(open);
    }
    if row.value.is_none() && row.is_new && row.before.is_none() {
        growth.freed_rows += 1;
        growth.freed_bytes += key.len();
        entry.remove();
    } else {
        growth.bytes += row.bytes();
    }
}

/// A copy of some rows of one shard, so a slow reader blocks no writer.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    rows: VecDeque<Span>,
    /// True if the shard may have more rows in the range.
    has_more: bool,
}

/// The positions of a row's key and value in a chunk.
struct Span {
    key: Range<usize>,
    /// The position of the value, or `None` if the key was deleted.
    value: Option<Range<usize>>,
}

/// Size limit for copying from a shard at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

impl Chunk {
    fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let key = self.append(key);
        let value = value.map(|value| self.append(value));
        self.rows.push_back(Span { key, value });
    }

    fn append(&mut self, part: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        start..self.bytes.len()
    }

    /// Returns the key of the first row.
    fn key(&self) -> Option<&[u8]> {
        self.rows.front().map(|row| &self.bytes[row.key.clone()])
    }

    /// Returns the value of the first row.
    fn value(&self) -> Option<&[u8]> {
        let value = self.rows.front()?.value.clone()?;
        Some(&self.bytes[value])
    }
}

impl Front {
    /// Copies up to `limit` rows of a shard between `start` and `end` (exclusive), as of a commit.
    fn chunk(&self, shard: usize, start: Bound<&[u8]>, end: &[u8], commit: u64, limit: usize) -> Chunk {
        let mut chunk = Chunk::default();
        let shard = self.read(shard);
        for (key, row) in shard.range::<[u8], _>((start, Bound::Excluded(end))) {
            if chunk.rows.len() >= limit || chunk.bytes.len() >= CHUNK_BYTES {
                chunk.has_more = true;
                break;
            }
            if let Some(value) = row.as_of(commit) {
                chunk.push(key, value);
            }
        }
        chunk
    }
}
