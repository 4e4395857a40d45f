//! Compares the fronts over a base with a plain map for each commit.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::store::durable::Base;
use crate::store::{Batch, Model, Reader, Visitor};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// One action of a test.
#[derive(Clone, Debug)]
enum Act {
    /// A commit with these changes: a key, and a value or a deletion.
    Commit(Vec<(u8, Option<u8>)>),
    /// Opens a view of the newest commit.
    Open,
    /// Closes one of the views.
    Close(usize),
    /// Begins a new front and freezes the previous one.
    Freeze,
    /// Moves the oldest frozen front to the base.
    Retire,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let change = (0..KEYS, proptest::option::weighted(0.7, any::<u8>()));
    let act = prop_oneof![
        6 => proptest::collection::vec(change, 1..20).prop_map(Act::Commit),
        2 => Just(Act::Open),
        2 => (0..4_usize).prop_map(Act::Close),
        1 => Just(Act::Freeze),
        1 => Just(Act::Retire),
    ];
    proptest::collection::vec(act, 1..60)
}

/// Number of keys.
const KEYS: u8 = 60;

/// Returns keys of four partitions, two of which share a shard, and some keys of no partition.
fn key(number: u8) -> Vec<u8> {
    match number {
        0 => vec![0],
        1 => vec![7],
        number => vec![0, [0, 1, 2, 64][usize::from(number % 4)], number],
    }
}

/// Returns all rows of a reader and checks that all ways of reading agree.
fn seen(reader: &dyn Reader) -> Rows {
    let (mut all, mut last) = (Rows::new(), None::<Vec<u8>>);
    let mut show = |key: &[u8], value: &[u8]| {
        assert!(
            last.as_deref().is_none_or(|last| last < key),
            "keys are in order and unique"
        );
        last = Some(key.to_vec());
        all.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    };
    reader.visit(Vec::new()..vec![0xff; 4], &mut show).unwrap();
    let mut rows = Rows::new();
    let mut walk = |range: Range<Vec<u8>>| rows.extend(reader.scan(range, usize::MAX).unwrap());
    walk(vec![0]..vec![0, 0]);
    walk(vec![0, 0]..vec![0, 1]);
    walk(vec![0, 1]..vec![0, 1, 6]);
    walk(vec![0, 1, 6]..vec![0, 2]);
    walk(vec![0, 2]..vec![0, 3]);
    walk(vec![0, 3]..vec![1]);
    walk(vec![1]..vec![8]);
    assert_eq!(rows, all, "the parts equal the whole");
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let many = reader.get_many(&keys).unwrap();
    for (key, many) in keys.iter().zip(many) {
        assert_eq!(many, all.get(key).cloned(), "reads and scans agree");
        assert_eq!(reader.get(key).unwrap(), many);
        assert_eq!(
            reader.first_key(key.clone()..vec![0xff]).unwrap(),
            all.range(key.clone()..).next().map(|(key, _)| key.clone())
        );
    }
    all
}

/// Writes the rows of a front to the base.
fn bring(front: &Front, base: &Model) {
    Base::take(base, front).unwrap();
}

proptest! {
    /// A view shows exactly its commits, regardless of later writes, freezes and moves to the base. The newest view
    /// shows all commits.
    #[test]
    fn a_snapshot_shows_exactly_its_commits(acts in acts()) {
        let (fronts, base) = (Fronts::over(0), Model::new());
        let mut truth = Rows::new();
        let mut frozen = VecDeque::new();
        let mut open: Vec<(View<'_>, Rows)> = Vec::new();
        let mut commit = 0;
        for act in acts {
            match act {
                Act::Commit(changes) => {
                    commit += 1;
                    let mut batch = Batch::default();
                    for (number, value) in changes {
                        let key = key(number);
                        match value {
                            Some(value) => match truth.insert(key.clone(), vec![value; usize::from(value)]) {
                                None => batch.insert(&key, &truth[&key]),
                                Some(_) => batch.put(&key, &truth[&key]),
                            },
                            None => {
                                truth.remove(&key);
                                batch.delete(&key);
                            }
                        }
                    }
                    fronts.apply(batch.changes(), |number| assert_eq!(number, commit));
                }
                Act::Open => open.push((View::newest(&fronts, || Base::snapshot(&base)), truth.clone())),
                Act::Close(index) if index < open.len() => drop(open.remove(index)),
                Act::Close(_) => {}
                Act::Freeze => {
                    let (newest, front) = fronts.freeze();
                    prop_assert_eq!(newest, commit);
                    frozen.extend(front);
                }
                Act::Retire => {
                    if let Some(front) = frozen.pop_front() {
                        bring(&front, &base);
                        fronts.retire();
                    }
                }
            }
            prop_assert_eq!(&seen(&View::newest(&fronts, || Base::snapshot(&base))), &truth);
            for key in (0..KEYS).map(key) {
                let newest = fronts.get(&key).unwrap_or_else(|| base.get(&key).unwrap());
                prop_assert_eq!(newest.as_ref(), truth.get(&key));
            }
            for (view, rows) in &open {
                prop_assert_eq!(&seen(view), rows);
            }
        }
        drop(open);
        // In the end, the base has all rows, even though changes were merged on the way.
        frozen.extend(fronts.freeze().1);
        for front in frozen {
            bring(&front, &base);
            fronts.retire();
        }
        prop_assert_eq!(base.rows(), truth);
    }

    /// Rows that were inserted and deleted leave no trace, and their memory is released.
    #[test]
    fn what_was_put_as_new_and_deleted_leaves_nothing(keys in proptest::collection::vec(0..50_u8, 1..50)) {
        let fronts = Fronts::over(0);
        for round in 0..3 {
            let mut there = std::collections::BTreeSet::new();
            for &key in &keys {
                let mut batch = Batch::default();
                if there.insert(key) {
                    batch.insert(&[key, key], &[round; 30]);
                } else {
                    batch.put(&[key, key], &[round; 20]);
                }
                fronts.apply(batch.changes(), |_| {});
            }
            prop_assert_eq!(fronts.size().rows, there.len());
            for key in there {
                let mut batch = Batch::default();
                batch.delete(&[key, key]);
                fronts.apply(batch.changes(), |_| {});
            }
            prop_assert_eq!((fronts.size().rows, fronts.size().bytes), (0, 0));
        }
        let front = fronts.freeze().1.unwrap();
        front.for_each(|key, _| panic!("{key:?} is left"));
    }
}

/// A key that changes in every commit keeps no more versions than there are views, however long a view is open.
#[test]
fn versions_that_no_snapshot_shows_are_forgotten() {
    let (fronts, base) = (Fronts::over(0), Model::new());
    let mut old = None;
    for commit in 1..3_000_u64 {
        let mut batch = Batch::default();
        batch.put(b"hot", commit.to_string().as_bytes());
        let view = View::newest(&fronts, || Base::snapshot(&base));
        fronts.apply(batch.changes(), |_| {});
        let before = (commit > 1).then(|| (commit - 1).to_string().into_bytes());
        assert_eq!(view.get(b"hot").unwrap(), before);
        let bytes = fronts.size().bytes;
        assert!(bytes < 600, "{bytes} bytes after commit {commit}");
        if commit == 10 {
            old = Some(view);
        }
    }
    assert_eq!(old.unwrap().get(b"hot").unwrap(), Some(b"9".to_vec()));
}

/// A base that no read may reach.
struct Unreadable;

impl Reader for Unreadable {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>> {
        Err(Error::new(ErrorKind::Io, "the base was read"))
    }

    fn get_many(&self, _: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        Err(Error::new(ErrorKind::Io, "the base was read"))
    }

    fn visit(&self, _: Range<Vec<u8>>, _: &mut Visitor<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Io, "the base was read"))
    }
}

/// Values and deletions that the fronts have are read without the base.
#[test]
fn what_the_fronts_have_is_read_without_the_base() {
    let fronts = Fronts::over(0);
    let mut batch = Batch::default();
    batch.put(b"put", b"value");
    batch.delete(b"deleted");
    fronts.apply(batch.changes(), |_| {});
    let keys = ["put", "deleted", "other"].map(|key| key.as_bytes().to_vec());
    let found = fronts.get_many(&keys[..2], &Unreadable).unwrap();
    assert_eq!(found, [Some(b"value".to_vec()), None]);
    fronts.get_many(&keys, &Unreadable).unwrap_err();
}
