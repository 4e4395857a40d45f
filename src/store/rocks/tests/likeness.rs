//! The two stores behave identically for their caller.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::store::{Model, PageBounds};

/// An action of a caller.
#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Sync,
    /// Moves all rows to RocksDB, which must not change any answer.
    Flush,
    Get(Vec<u8>),
    GetMany(Vec<Vec<u8>>),
    Scan(Range<Vec<u8>>, usize),
    /// Reads a range of a snapshot after a later write.
    ScanBefore(Range<Vec<u8>>, Vec<u8>),
}

/// A strategy of few short keys, so steps affect the same rows. None is the key of the commit row.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0x00, 0x01, b'a', 0xff]), 2..4)
}

fn range() -> impl Strategy<Value = Range<Vec<u8>>> {
    (key(), key()).prop_map(|(start, end)| start..end)
}

fn step() -> impl Strategy<Value = Step> {
    let change = (
        key(),
        prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..20)),
    );
    prop_oneof![
        4 => prop::collection::vec(change, 0..5).prop_map(Step::Write),
        1 => Just(Step::Sync),
        1 => Just(Step::Flush),
        2 => key().prop_map(Step::Get),
        2 => prop::collection::vec(key(), 0..5).prop_map(Step::GetMany),
        2 => (range(), 0..6_usize).prop_map(|(range, limit)| Step::Scan(range, limit)),
        2 => (range(), key()).prop_map(|(range, key)| Step::ScanBefore(range, key)),
    ]
}

/// Performs a step and returns its result as a caller sees it.
fn answer(store: &impl Store, step: &Step) -> String {
    match step {
        Step::Write(changes) => {
            let mut batch = Batch::default();
            for (key, value) in changes {
                match value {
                    Some(value) => batch.put(key, value),
                    None => batch.delete(key),
                }
            }
            format!("{:?}", store.write(&batch))
        }
        Step::Sync | Step::Flush => format!("{:?}", store.sync()),
        Step::Get(key) => format!("{:?}", store.get(key)),
        Step::GetMany(keys) => format!("{:?}", store.get_many(keys)),
        Step::Scan(range, limit) => {
            let bounds = PageBounds { rows: *limit, bytes: 9 };
            let seen = (
                store.scan(range.clone(), *limit),
                store.keys(range.clone(), *limit),
                store.page(range.clone(), bounds),
            );
            format!("{seen:?}")
        }
        Step::ScanBefore(range, key) => {
            let snapshot = store.snapshot();
            let mut batch = Batch::default();
            batch.put(key, b"later");
            store.write(&batch).unwrap();
            let keys = [key.clone()];
            let seen = (
                snapshot.scan(range.clone(), 9),
                snapshot.get(key),
                snapshot.get_many(&keys),
            );
            format!("{seen:?}")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random writes and reads have the same results on RocksDB and on the model. A reopened RocksDB has the same rows.
    #[test]
    fn rocksdb_answers_as_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        let place = tempfile::tempdir().unwrap();
        let rocks = open(place.path(), &small()).unwrap().store;
        let model = Model::new();
        for step in &steps {
            if matches!(step, Step::Flush) {
                rocks.flush();
            }
            prop_assert_eq!(answer(&rocks, step), answer(&model, step), "{:?}", step);
        }
        let everything = || vec![]..vec![0xff; 4];
        let before = model.scan(everything(), usize::MAX).unwrap();
        prop_assert_eq!(&rocks.scan(everything(), usize::MAX).unwrap(), &before);
        rocks.close(0).unwrap();
        drop(rocks);
        let again = open(place.path(), &small()).unwrap().store;
        prop_assert_eq!(&again.scan(everything(), usize::MAX).unwrap(), &before);
    }
}
