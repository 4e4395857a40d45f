//! The rows of the newest commits, until the base below has them.
//!
//! A *front* holds the newest value of every key that was changed since it began. The changes of one key become one, and a row that was
//! inserted and deleted leaves nothing. Older values stay only while a snapshot may ask for them.

mod arena;
mod chunk;
mod fronts;
mod merge;
mod shard;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(in crate::store) use fronts::Fronts;
pub(in crate::store) use view::View;

use self::chunk::Chunk;
use self::shard::Shard;
use super::Change;

/// Into how many parts a front is divided, so that whoever reads one partition does not wait for a write to another.
const SHARDS: usize = 64;

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

/// A shard while changes are applied to it. What it has grown by counts when it is given back.
struct Held<'a> {
    front: &'a Front,
    index: usize,
    shard: RwLockWriteGuard<'a, Shard>,
    /// Its bytes and rows before.
    before: (usize, usize),
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let (bytes, rows) = self.before;
        let grown = |now: usize, before: usize| now.wrapping_sub(before);
        // Atomic numbers wrap around, so that it may also have become smaller.
        self.front
            .bytes
            .fetch_add(grown(self.shard.bytes(), bytes), Ordering::Relaxed);
        self.front
            .rows
            .fetch_add(grown(self.shard.len(), rows), Ordering::Relaxed);
    }
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

    /// The memory of this front without its rows, for another one.
    fn emptied(mut self) -> Self {
        for shard in &mut self.shards {
            shard.get_mut().unwrap_or_else(PoisonError::into_inner).recycle();
        }
        Self {
            shards: self.shards,
            ..Self::behind(0)
        }
    }

    /// Takes in the changes of a commit, which is newer than all before it. There is one writer at a time, and no snapshot is
    /// opened meanwhile. Of the values that are replaced those stay that an open snapshot shows.
    fn apply<'a>(&self, commit: u64, changes: impl Iterator<Item = Change<'a>>, open: &OpenSnapshots) {
        let mut count = 0;
        let mut held: Option<Held<'_>> = None;
        for change in changes {
            count += 1;
            let (key, value) = change.parts();
            let wanted = shard_of(key);
            if held.as_ref().is_none_or(|held| held.index != wanted) {
                // The one before it is given back first.
                drop(held.take());
                held = Some(self.hold(wanted));
            }
            if let Some(held) = &mut held {
                let is_new = matches!(change, Change::Insert { .. });
                held.shard.set(key, value, is_new, commit, open);
            }
        }
        drop(held);
        self.changes.fetch_add(count, Ordering::Relaxed);
        self.commit.store(commit, Ordering::Release);
    }

    /// The value of a key as of a commit; the outer nothing says that this front knows none.
    fn get(&self, key: &[u8], commit: u64) -> Option<Option<Vec<u8>>> {
        let shard = self.read(shard_of(key));
        shard.get(key, commit).map(|value| value.map(<[u8]>::to_vec))
    }

    /// Shows the rows that the base has to take, in the order of their keys. Deletions of rows that the base never had are left
    /// out. Nothing may be applied meanwhile.
    pub(in crate::store) fn for_each(&self, mut show: impl FnMut(&[u8], Option<&[u8]>)) {
        for (prefix, index) in self.prefixes() {
            self.in_order(index, |shard| {
                let rows = shard.range(Bound::Included(&prefix));
                for row in rows.take_while(|row| prefix_of(row.key) == prefix) {
                    if row.value.is_some() || !row.is_new {
                        show(row.key, row.value);
                    }
                }
            });
        }
    }

    /// The distinct prefixes of its keys that decide the shard, in order, each with its shard.
    fn prefixes(&self) -> Vec<(Vec<u8>, usize)> {
        let mut prefixes = Vec::new();
        for index in 0..SHARDS {
            self.in_order(index, |shard| {
                let mut start = Some(Vec::new());
                while let Some(row) = start.and_then(|start| shard.range(Bound::Included(&start)).next()) {
                    let prefix = prefix_of(row.key).to_vec();
                    start = behind(&prefix);
                    prefixes.push((prefix, index));
                }
            });
        }
        prefixes.sort_unstable();
        prefixes
    }

    /// Copies the first `limit` rows of a shard from `start` on and before `end`, as of a commit.
    fn chunk(&self, shard: usize, start: Bound<&[u8]>, end: &[u8], commit: u64, limit: usize) -> Chunk {
        self.in_order(shard, |shard| Chunk::copy(shard, start, end, commit, limit))
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

    /// Looks at a shard whose rows are in order.
    fn in_order<R>(&self, index: usize, look: impl FnOnce(&Shard) -> R) -> R {
        let shard = self.read(index);
        if shard.is_sorted() {
            return look(&shard);
        }
        drop(shard);
        let mut shard = self.write(index);
        shard.sort();
        look(&shard)
    }

    fn hold(&self, index: usize) -> Held<'_> {
        let shard = self.write(index);
        Held {
            front: self,
            index,
            before: (shard.bytes(), shard.len()),
            shard,
        }
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
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    match *prefix {
        [high, low] => {
            let next = u16::from_be_bytes([high, low]).checked_add(1)?;
            Some(next.to_be_bytes().to_vec())
        }
        _ => Some([prefix, &[0]].concat()),
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
