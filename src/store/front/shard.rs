//! A part of a front: rows that are found by their keys, and sorted when somebody wants them in order.
//!
//! Most rows are written and read one by one, so a write only notes a new row. Whoever walks over a range sorts what has come since
//! the last walk.

use std::ops::Bound;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::OpenSnapshots;
use super::arena::{Arena, Piece};

/// What a row takes beside its key and its value, about.
const ROW_BYTES: usize = size_of::<Row>() + 16;

/// So few rows are sorted by whole keys.
const FEW: usize = 16;

/// The number of a row. It stays the same as long as the row is there.
type RowId = u32;

/// The rows of some partitions.
#[derive(Debug, Default)]
pub(super) struct Shard {
    arena: Arena,
    rows: Vec<Row>,
    /// The newest version of each key.
    index: HashTable<Entry>,
    /// The rows in order that were there at the last walk. Some may be gone.
    sorted: Vec<RowId>,
    /// Those that came after it, in no order. Some may be gone.
    unsorted: Vec<RowId>,
    /// How many of `sorted` are gone.
    gone: usize,
    /// Those of `unsorted` that are gone. New rows take their places.
    vacant: Vec<RowId>,
    /// Places in `rows` that stand in no order, for any version.
    unused: Vec<RowId>,
}

/// Where a key is found.
#[derive(Debug)]
struct Entry {
    /// Half of the hash of the key, so that a table that grows need not read the keys.
    hash: u32,
    row: RowId,
}

/// A version of a key.
#[derive(Debug)]
struct Row {
    /// The commit that left it so.
    commit: u64,
    /// Nothing in an older version: the newest one has the key.
    key: Option<Piece>,
    /// Nothing where the key was deleted.
    value: Option<Piece>,
    /// The version before it, which a snapshot shows.
    before: Option<RowId>,
    /// Whether nothing below this front has the key, so that a deletion need not go there.
    is_new: bool,
    /// Whether a walk has put it in order.
    is_sorted: bool,
    /// Whether it is left only for its place among the others.
    is_gone: bool,
}

/// Some bytes of a key, which compare as the key does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KeyPart {
    /// Zeros stand behind the end of the key.
    bytes: [u8; Self::BYTES],
    /// How many bytes are not behind its end.
    length: usize,
}

impl KeyPart {
    const BYTES: usize = 8;

    fn of(key: &[u8], start: usize) -> Self {
        let part = &key[start..];
        let length = part.len().min(Self::BYTES);
        let mut bytes = [0; Self::BYTES];
        bytes[..length].copy_from_slice(&part[..length]);
        Self { bytes, length }
    }
}

/// A row as a walk sees it.
pub(super) struct Seen<'a> {
    pub(super) key: &'a [u8],
    /// Nothing where the key was deleted.
    pub(super) value: Option<&'a [u8]>,
    pub(super) is_new: bool,
}

impl Shard {
    /// Takes in a change of a commit that is newer than all before it.
    pub(super) fn set(&mut self, key: &[u8], value: Option<&[u8]>, is_new: bool, commit: u64, open: &OpenSnapshots) {
        let Some(id) = self.find(key) else {
            return self.insert(key, value, is_new, commit);
        };
        let is_shown = open.show(self.row(id).commit, commit);
        if is_shown {
            self.keep_version(id);
        }
        let row = &mut self.rows[id as usize];
        row.commit = commit;
        match (&mut row.value, value) {
            (Some(old), Some(new)) => self.arena.replace(old, new),
            (old, new) => {
                let new = new.map(|new| self.arena.keep(new));
                if let Some(old) = std::mem::replace(old, new) {
                    self.arena.give_back(old);
                }
            }
        }
        self.prune(id, open);
        let row = self.row(id);
        if row.value.is_none() && row.is_new && row.before.is_none() {
            self.remove(id, key);
        }
    }

    /// The value of a key as of a commit; the outer nothing says that no version is so old.
    pub(super) fn get(&self, key: &[u8], commit: u64) -> Option<Option<&[u8]>> {
        self.as_of(self.find(key)?, commit)
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// What all of it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.arena.bytes() + self.rows.len() * ROW_BYTES
    }

    /// Forgets everything, and keeps as much memory as it took.
    pub(super) fn recycle(&mut self) {
        let rows = self.rows.len();
        self.clear();
        self.arena.shrink();
        self.rows.shrink_to(rows);
        self.index.shrink_to(rows, |entry| spread(entry.hash));
        for list in [&mut self.sorted, &mut self.unsorted, &mut self.vacant, &mut self.unused] {
            list.shrink_to(rows);
        }
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.rows.clear();
        self.index.clear();
        for list in [&mut self.sorted, &mut self.unsorted, &mut self.vacant, &mut self.unused] {
            list.clear();
        }
        self.gone = 0;
    }

    /// Whether a walk finds all rows in order, and does not pass over many that are gone.
    pub(super) fn is_sorted(&self) -> bool {
        self.unsorted.is_empty() && 2 * self.gone <= self.sorted.len()
    }

    /// Puts all rows in order.
    pub(super) fn sort(&mut self) {
        let (mut older, mut newer) = (std::mem::take(&mut self.sorted), std::mem::take(&mut self.unsorted));
        if 2 * self.gone > older.len() {
            older.retain(|id| self.is_left(*id));
            self.gone = 0;
        }
        self.vacant.clear();
        newer.retain(|id| self.is_left(*id));
        self.sort_by_key(&mut newer, 0);
        self.sorted = self.merged(older, &newer);
        for id in newer.drain(..) {
            self.rows[id as usize].is_sorted = true;
        }
        self.unsorted = newer;
    }

    /// Two lists in order as one.
    fn merged(&self, mut older: Vec<RowId>, newer: &[RowId]) -> Vec<RowId> {
        let place = |among: &[RowId], id| among.partition_point(|other| self.key(*other) < self.key(id));
        if newer.len() <= FEW {
            for &id in newer {
                older.insert(place(&older, id), id);
            }
            return older;
        }
        let mut all = Vec::with_capacity(older.len() + newer.len());
        let mut rest = &older[..];
        for &id in newer {
            let (before, behind) = rest.split_at(place(rest, id));
            all.extend_from_slice(before);
            all.push(id);
            rest = behind;
        }
        all.extend_from_slice(rest);
        all
    }

    /// Sorts rows whose keys share their first bytes.
    ///
    /// A front is sorted when RocksDB takes it, and its keys lie all over the memory. A plain sort would read one with every
    /// comparison. This one reads each once or twice, and compares the eight bytes behind those that all have in common.
    fn sort_by_key(&self, ids: &mut [RowId], shared: usize) {
        if ids.len() <= FEW {
            ids.sort_unstable_by(|one, other| self.key(*one).cmp(self.key(*other)));
            return;
        }
        let first = self.key(ids[0]);
        let shared = ids.iter().fold(first.len(), |length, id| {
            let pairs = first[shared..length].iter().zip(&self.key(*id)[shared..]);
            shared + pairs.take_while(|(one, other)| one == other).count()
        });
        let mut parts: Vec<(KeyPart, RowId)> = ids.iter().map(|id| (KeyPart::of(self.key(*id), shared), *id)).collect();
        parts.sort_unstable();
        for (id, (_, sorted)) in ids.iter_mut().zip(&parts) {
            *id = *sorted;
        }
        let mut rest = ids;
        for same in parts.chunk_by(|(one, _), (other, _)| one == other) {
            let (same, behind) = rest.split_at_mut(same.len());
            // Keys that end within their part are equal in no other.
            if same.len() > 1 {
                self.sort_by_key(same, shared + KeyPart::BYTES);
            }
            rest = behind;
        }
    }

    /// Whether a row is still there. The order is about to forget one that is gone.
    fn is_left(&mut self, id: RowId) -> bool {
        let row = &mut self.rows[id as usize];
        if !row.is_gone {
            return true;
        }
        if let Some(key) = row.key.take() {
            self.arena.give_back(key);
        }
        self.unused.push(id);
        false
    }

    /// The newest versions from `start` on, in order, as of the last [`sort`](Self::sort).
    pub(super) fn range<'a>(&'a self, start: Bound<&[u8]>) -> impl Iterator<Item = Seen<'a>> {
        self.walk(start).map(|(_, seen)| seen)
    }

    /// The versions from `start` on as of a commit, where there are any, in order.
    pub(super) fn range_as_of<'a>(
        &'a self,
        start: Bound<&[u8]>,
        commit: u64,
    ) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.walk(start)
            .filter_map(move |(id, seen)| Some((seen.key, self.as_of(id, commit)?)))
    }

    fn walk<'a>(&'a self, start: Bound<&[u8]>) -> impl Iterator<Item = (RowId, Seen<'a>)> {
        let is_before = |id: &RowId| match start {
            Bound::Included(start) => self.key(*id) < start,
            Bound::Excluded(start) => self.key(*id) <= start,
            Bound::Unbounded => false,
        };
        let first = self.sorted.partition_point(is_before);
        self.sorted[first..].iter().filter_map(move |&id| {
            let row = self.row(id);
            if row.is_gone {
                return None;
            }
            let seen = Seen {
                key: self.key(id),
                value: self.value(row),
                is_new: row.is_new,
            };
            Some((id, seen))
        })
    }

    fn insert(&mut self, key: &[u8], value: Option<&[u8]>, is_new: bool, commit: u64) {
        let row = Row {
            commit,
            key: Some(self.arena.keep(key)),
            value: value.map(|value| self.arena.keep(value)),
            before: None,
            is_new,
            is_sorted: false,
            is_gone: false,
        };
        let id = match self.vacant.pop() {
            Some(vacant) => {
                self.rows[vacant as usize] = row;
                vacant
            }
            None => {
                let id = self.place(row);
                self.unsorted.push(id);
                id
            }
        };
        let hash = hash_of(key);
        self.index
            .insert_unique(spread(hash), Entry { hash, row: id }, |entry| spread(entry.hash));
    }

    /// Takes a row away that has no version left. The order keeps its number, and passes over it.
    fn remove(&mut self, id: RowId, key: &[u8]) {
        if let Ok(found) = self.index.find_entry(spread(hash_of(key)), |entry| entry.row == id) {
            found.remove();
        }
        if self.index.is_empty() {
            return self.clear();
        }
        let row = &mut self.rows[id as usize];
        row.is_gone = true;
        if row.is_sorted {
            // Searches in the order still need its key.
            self.gone += 1;
            return;
        }
        if let Some(key) = row.key.take() {
            self.arena.give_back(key);
        }
        self.vacant.push(id);
    }

    /// Puts the newest version of a row behind a copy of it, which changes no more.
    fn keep_version(&mut self, id: RowId) {
        let row = &mut self.rows[id as usize];
        let older = Row {
            commit: row.commit,
            key: None,
            value: row.value.take(),
            before: row.before,
            is_new: row.is_new,
            is_sorted: false,
            is_gone: false,
        };
        self.rows[id as usize].before = Some(self.place(older));
    }

    /// Puts a version where none is.
    fn place(&mut self, row: Row) -> RowId {
        if let Some(unused) = self.unused.pop() {
            self.rows[unused as usize] = row;
            return unused;
        }
        self.rows.push(row);
        (self.rows.len() - 1) as RowId
    }

    /// Forgets the older versions of a row that no snapshot shows.
    fn prune(&mut self, id: RowId, open: &OpenSnapshots) {
        let (mut last, mut until) = (id, self.row(id).commit);
        while let Some(older) = self.row(last).before {
            let row = self.row(older);
            if open.show(row.commit, until) {
                (last, until) = (older, row.commit);
                continue;
            }
            self.rows[last as usize].before = row.before;
            if let Some(value) = self.rows[older as usize].value.take() {
                self.arena.give_back(value);
            }
            self.unused.push(older);
        }
    }

    fn find(&self, key: &[u8]) -> Option<RowId> {
        let hash = hash_of(key);
        let is_it = |entry: &Entry| entry.hash == hash && self.key(entry.row) == key;
        self.index.find(spread(hash), is_it).map(|entry| entry.row)
    }

    fn as_of(&self, id: RowId, commit: u64) -> Option<Option<&[u8]>> {
        let mut next = Some(id);
        while let Some(id) = next {
            let row = self.row(id);
            if row.commit <= commit {
                return Some(self.value(row));
            }
            next = row.before;
        }
        None
    }

    fn row(&self, id: RowId) -> &Row {
        &self.rows[id as usize]
    }

    fn value<'a>(&'a self, row: &'a Row) -> Option<&'a [u8]> {
        row.value.as_ref().map(|value| self.arena.get(value))
    }

    fn key(&self, id: RowId) -> &[u8] {
        let key = self.row(id).key.as_ref();
        key.map_or(&[], |key| self.arena.get(key))
    }
}

fn hash_of(key: &[u8]) -> u32 {
    xxh3_64(key) as u32
}

/// The hash as the table wants it, which looks at its first and at its last bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What is known of a key: whether it is new to what lies below, and its value.
    type Known = (bool, Option<Vec<u8>>);

    proptest! {
        /// Whatever came and went since the last walk, the next one shows every key that is there, in order, from any start on.
        #[test]
        fn a_walk_shows_what_is_there_in_order(acts in proptest::collection::vec((0..40_u8, 0..4_u8), 1..200)) {
            let (mut shard, mut truth) = (Shard::default(), BTreeMap::<Vec<u8>, Known>::new());
            for (commit, (number, act)) in (1..).zip(acts) {
                let key = vec![number % 4, 7, number];
                let known = truth.get(&key).cloned();
                match act {
                    0 => {
                        shard.sort();
                        let seen = |start| -> Vec<(Vec<u8>, Known)> {
                            let rows = shard.range(start);
                            rows.map(|row| (row.key.to_vec(), (row.is_new, row.value.map(<[u8]>::to_vec)))).collect()
                        };
                        let behind: Vec<_> = truth
                            .range::<[u8], _>((Bound::Excluded(&key[..]), Bound::Unbounded))
                            .map(|(key, known)| (key.clone(), known.clone()))
                            .collect();
                        prop_assert_eq!(seen(Bound::Excluded(&key)), behind);
                        prop_assert_eq!(seen(Bound::Unbounded), truth.clone().into_iter().collect::<Vec<_>>());
                    }
                    1 => {
                        shard.set(&key, None, false, commit, &OpenSnapshots::default());
                        match known {
                            Some((true, _)) => drop(truth.remove(&key)),
                            _ => drop(truth.insert(key, (false, None))),
                        }
                    }
                    length => {
                        let value = vec![number; usize::from(length) * 40];
                        let is_new = known.as_ref().map_or(number < 20, |(is_new, _)| *is_new);
                        let inserts = known.is_none() && is_new;
                        shard.set(&key, Some(&value), inserts, commit, &OpenSnapshots::default());
                        truth.insert(key, (is_new, Some(value)));
                    }
                }
                prop_assert_eq!(shard.len(), truth.len());
            }
        }

        /// Keys are sorted as bytes are, also those that are the beginning of others.
        #[test]
        fn keys_are_sorted_as_bytes(keys in proptest::collection::btree_set(proptest::collection::vec(0..3_u8, 0..24), 0..200), seed in any::<u64>()) {
            let mut shuffled: Vec<&Vec<u8>> = keys.iter().collect();
            shuffled.sort_by_key(|key| xxhash_rust::xxh3::xxh3_64_with_seed(key, seed));
            let mut shard = Shard::default();
            for key in shuffled {
                shard.set(key, Some(b"v"), false, 1, &OpenSnapshots::default());
            }
            shard.sort();
            prop_assert!(shard.range(Bound::Unbounded).map(|row| row.key).eq(&keys));
        }
    }
}
