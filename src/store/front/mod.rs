//! The rows of the newest commits, until the base below has them.
//!
//! A *front* holds the newest value of every key that was changed since it began, in order. The changes of one key become one, and a
//! row that was inserted and deleted leaves nothing. Older values stay only while a snapshot may ask for them.

mod fronts;
mod merge;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use smallvec::SmallVec;

pub(in crate::store) use fronts::Fronts;
pub(in crate::store) use view::View;

use super::Change;

/// What a row takes beside its value, about: its place in a tree whose nodes are two thirds full, and an allocation.
const ROW_BYTES: usize = 176;

/// Into how many parts a front is divided, so that whoever reads one partition does not wait for a write to another.
const SHARDS: usize = 64;

/// How much of a value's memory may be unused when another one takes its place.
const SLACK: usize = 64;

/// The rows of a run of commits.
pub(in crate::store) struct Front {
    shards: [RwLock<Shard>; SHARDS],
    /// The newest commit.
    commit: AtomicU64,
    /// What all rows take in memory, about.
    bytes: AtomicUsize,
    rows: AtomicUsize,
    changes: AtomicU64,
}

/// Keys lie within the nodes of the tree. Most are no longer than this, and a search meets no allocation of its own for each key
/// that it compares.
type Key = SmallVec<[u8; 56]>;

type Shard = BTreeMap<Key, Row>;

/// The newest value of a key, and older ones that a snapshot may ask for.
#[derive(Debug)]
struct Row {
    /// The commit that left it so.
    commit: u64,
    /// Nothing where the key was deleted.
    value: Option<Vec<u8>>,
    /// Whether nothing below this front has the key, so that a deletion need not go there.
    is_new: bool,
    before: Option<Box<Row>>,
}

/// The numbers of the commits that open snapshots show, and how many snapshots show each.
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

    /// Whether a snapshot shows what was true from commit `from` on, until commit `until` changed it.
    fn show(&self, from: u64, until: u64) -> bool {
        !self.0.is_empty() && from < until && self.0.range(from..until).next().is_some()
    }
}

impl Row {
    /// The newest value as of a commit; the outer nothing says that this front knows none.
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

    /// Forgets the older versions that no snapshot shows.
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

    /// What all versions take in memory beside the key.
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

/// What a commit does to the size of a front.
#[derive(Default)]
struct Growth {
    bytes: usize,
    rows: usize,
    freed_bytes: usize,
    freed_rows: usize,
}

impl Front {
    /// A front that goes on behind a commit.
    pub(super) fn behind(commit: u64) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            commit: AtomicU64::new(commit),
            bytes: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
        }
    }

    /// Takes in the changes of a commit, which is newer than all before it. There is one writer at a time, and no snapshot is
    /// opened meanwhile. Of the values that are replaced those stay that an open snapshot shows.
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
                    // The one before it is given back first.
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

    /// The value of a key as of a commit; the outer nothing says that this front knows none.
    fn get(&self, key: &[u8], commit: u64) -> Option<Option<Vec<u8>>> {
        let shard = self.read(shard_of(key));
        shard.get(key)?.as_of(commit).map(|value| value.map(<[u8]>::to_vec))
    }

    /// Shows the rows that the base has to take, in the order of their keys. Deletions of rows that the base never had are left
    /// out. Nothing may be applied meanwhile.
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

    /// The distinct prefixes of its keys that decide the shard, in order, each with its shard.
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

    /// The newest commit.
    pub(in crate::store) fn commit(&self) -> u64 {
        self.commit.load(Ordering::Acquire)
    }

    /// What all rows take in memory, about.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many keys it knows.
    pub(in crate::store) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// How many changes were made to them.
    pub(in crate::store) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// A thread that panics within a shard leaves it as it is: a panic in the allocator is the only one there could be.
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

/// The shard of a key, which its first two bytes decide: with these the store's keys name their partition.
fn shard_of(key: &[u8]) -> usize {
    match *key {
        [high, low, ..] => usize::from(u16::from_be_bytes([high, low])) % SHARDS,
        _ => 0,
    }
}

/// The beginning of a key that decides its shard.
fn prefix_of(key: &[u8]) -> &[u8] {
    &key[..key.len().min(2)]
}

/// Where the keys behind those with this beginning start, if there may be any.
fn behind(prefix: &[u8]) -> Option<Key> {
    match *prefix {
        [high, low] => {
            let next = u16::from_be_bytes([high, low]).checked_add(1)?;
            Some(Key::from_slice(&next.to_be_bytes()))
        }
        _ => Some(prefix.iter().copied().chain([0]).collect()),
    }
}

/// The shards in which the keys of a range are: one, or all.
fn shards_of(range: &Range<Vec<u8>>) -> Range<usize> {
    // The end may be the first key behind the partition.
    let is_one = range.start.len() >= 2
        && (range.end.starts_with(&range.start[..2]) || is_behind(&range.end, &range.start[..2]));
    if is_one {
        let shard = shard_of(&range.start);
        shard..shard + 1
    } else {
        0..SHARDS
    }
}

/// Whether `end` is the first key of the shard behind that of `prefix`, and no key of one byte lies before it.
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
    let Some(row) = shard.get_mut(key) else {
        let row = Row {
            commit,
            value: value.map(<[u8]>::to_vec),
            is_new,
            before: None,
        };
        growth.rows += 1;
        growth.bytes += key.len() + row.bytes();
        shard.insert(Key::from_slice(key), row);
        return;
    };
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
        shard.remove(key);
    } else {
        growth.bytes += row.bytes();
    }
}

/// Some rows of one shard, copied, so that nobody waits for whoever looks at them.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    rows: VecDeque<Span>,
    /// Whether the shard may have more rows in the range.
    has_more: bool,
}

/// Where the parts of a row lie in a chunk.
struct Span {
    key: Range<usize>,
    /// Nothing where the key was deleted.
    value: Option<Range<usize>>,
}

/// How much of a shard is copied at once.
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

    /// The key of the first row.
    fn key(&self) -> Option<&[u8]> {
        self.rows.front().map(|row| &self.bytes[row.key.clone()])
    }

    /// The value of the first row.
    fn value(&self) -> Option<&[u8]> {
        let value = self.rows.front()?.value.clone()?;
        Some(&self.bytes[value])
    }
}

impl Front {
    /// Copies the first `limit` rows of a shard from `start` on and before `end`, as of a commit.
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
