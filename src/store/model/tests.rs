//! The crashes and failures of the in-memory store.

use super::*;
use crate::store::PageBounds;

/// Writes a batch that sets `key` to `number`.
fn put(store: &Model, key: &str, number: u8) {
    let mut batch = Batch::default();
    batch.put(key.as_bytes(), &[number]);
    store.write(&batch).unwrap();
}

fn value(store: &impl Reader, key: &str) -> Option<u8> {
    store.get(key.as_bytes()).unwrap().map(|value| value[0])
}

/// A crash keeps all synced batches and the requested number of batches after them, each with all of its rows or none.
#[test]
fn a_crash_keeps_a_prefix_from_the_last_sync_on() {
    let model = Model::new();
    put(&model, "a", 1);
    put(&model, "b", 1);
    model.sync().unwrap();
    put(&model, "a", 2);
    let mut batch = Batch::default();
    batch.delete(b"b");
    batch.put(b"c", &[3]);
    batch.put(b"c", &[4]);
    batch.delete(b"never there");
    model.write(&batch).unwrap();
    put(&model, "b", 5);
    assert_eq!(model.unsynced(), 3);

    let after = [
        (0, [Some(1), Some(1), None]),
        (1, [Some(2), Some(1), None]),
        (2, [Some(2), None, Some(4)]),
        (3, [Some(2), Some(5), Some(4)]),
        (9, [Some(2), Some(5), Some(4)]),
    ];
    for (keep, values) in after {
        let crashed = model.crash(keep);
        assert_eq!(
            ["a", "b", "c"].map(|key| value(&crashed, key)),
            values,
            "{keep} batches kept"
        );
        assert_eq!(crashed.unsynced(), 0, "the survivors of a crash are durable");
    }
    assert_eq!(
        ["a", "b", "c"].map(|key| value(&model, key)),
        [Some(2), Some(5), Some(4)]
    );
}

/// A crashed store can crash again.
#[test]
fn a_crashed_store_crashes_again() {
    let model = Model::new();
    put(&model, "a", 1);
    put(&model, "a", 2);
    let crashed = model.crash(1);
    put(&crashed, "a", 3);
    assert_eq!(value(&crashed.crash(0), "a"), Some(1));
    assert_eq!(value(&crashed.crash(1), "a"), Some(3));
}

#[test]
fn a_snapshot_does_not_see_later_writes() {
    let model = Model::new();
    put(&model, "a", 1);
    let snapshot = model.snapshot();
    put(&model, "a", 2);
    put(&model, "b", 2);
    assert_eq!(snapshot.get(b"a").unwrap(), Some(vec![1]));
    assert_eq!(snapshot.scan(vec![]..vec![0xff], 9).unwrap().len(), 1);
    assert_eq!(value(&model, "a"), Some(2));
}

/// The requested failure happens at the requested write and changes nothing, and the store accepts no more writes.
#[test]
fn a_requested_failure_is_final() {
    let model = Model::new();
    model.fail_write_after(1);
    put(&model, "a", 1);
    let mut batch = Batch::default();
    batch.put(b"a", &[2]);
    for _ in 0..2 {
        assert_eq!(model.write(&batch).unwrap_err().kind(), ErrorKind::Io);
    }
    assert_eq!(model.sync().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(value(&model, "a"), Some(1));

    let model = Model::new();
    model.fail_sync_after(0);
    put(&model, "a", 1);
    assert_eq!(model.sync().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(model.write(&batch).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(
        value(&model.crash(0), "a"),
        None,
        "a failed sync does not guarantee durability"
    );
    assert_eq!(
        value(&model.crash(1), "a"),
        Some(1),
        "but the batch may be durable anyway"
    );
}

#[test]
fn a_hub_in_memory_makes_no_checkpoint() {
    let error = Model::new().checkpoint(Path::new("copy"), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error.to_string().contains("an in-memory hub has no directory"),
        "{error}"
    );
}

#[test]
fn a_close_is_remembered() {
    let model = Model::new();
    put(&model, "a", 1);
    model.acknowledge(1).unwrap();
    assert_eq!((model.acknowledged(), model.closed()), (1, None));
    model.close(2).unwrap();
    assert_eq!(
        (model.acknowledged(), model.closed(), model.unsynced()),
        (2, Some(2), 0)
    );
}

/// A page ends at its number of rows or with the row that reaches its size, and indicates whether more rows may follow.
/// It has at least one row if the range has one.
#[test]
fn a_page_is_bounded_by_rows_and_by_bytes() {
    let model = Model::new();
    let mut batch = Batch::default();
    for (key, bytes) in [("a", 10), ("b", 10), ("c", 1_000), ("d", 10)] {
        batch.put(key.as_bytes(), &vec![0; bytes]);
    }
    model.write(&batch).unwrap();
    let page = |from: &str, rows, bytes| {
        let range = from.as_bytes().to_vec()..vec![0xff];
        let page = model.page(range, PageBounds { rows, bytes }).unwrap();
        let keys: Vec<u8> = page.rows.iter().flat_map(|(key, _)| key.clone()).collect();
        (String::from_utf8(keys).unwrap(), page.bytes, page.full)
    };
    assert_eq!(page("a", 9, 9_999), ("abcd".into(), 1_034, false));
    assert_eq!(page("a", 4, 9_999), ("abcd".into(), 1_034, true));
    assert_eq!(page("a", 2, 9_999), ("ab".into(), 22, true));
    assert_eq!(page("a", 9, 1), ("a".into(), 11, true));
    assert_eq!(page("a", 9, 12), ("ab".into(), 22, true));
    assert_eq!(page("b", 9, 500), ("bc".into(), 1_012, true));
    assert_eq!(page("d", 9, 500), ("d".into(), 11, false));
    assert_eq!(page("e", 9, 500), (String::new(), 0, false));
    assert_eq!(page("a", 0, 500), (String::new(), 0, false));
    assert_eq!(model.keys(b"b".to_vec()..b"d".to_vec(), 9).unwrap(), [b"b", b"c"]);
    assert_eq!(
        model.first_key(b"b".to_vec()..b"d".to_vec()).unwrap(),
        Some(b"b".to_vec())
    );
    assert_eq!(model.first_key(b"x".to_vec()..b"z".to_vec()).unwrap(), None);
}
