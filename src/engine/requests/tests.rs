//! The request ids that are kept: the newest, all young ones, and those of waiting calls.

use std::time::Duration;

use super::*;
use crate::engine::Limits;
use crate::engine::tests::counting::{Stage, operation};
use crate::id::PartitionId;
use crate::model::Action;
use crate::model::orchestration::Order;
use crate::store::Reader;
use crate::time::Timestamp;

const YOUTH: u64 = 60_000;

fn limits(requests: u64, page: usize) -> Limits {
    Limits {
        requests,
        requests_at_most: requests * 10,
        page,
        ..Limits::default()
    }
}

/// Returns for each of `ids` whether it is still stored for `entity`.
fn known(stage: &mut Stage, entity: &str, ids: &[String]) -> Vec<bool> {
    let partition = PartitionId(0);
    let keys = ids
        .iter()
        .map(|id| schema::request::key(partition, &InstanceId::trusted(entity), id));
    keys.map(|key| stage.model.get(&key).unwrap().is_some()).collect()
}

/// If there are too many ids, the oldest are deleted, regardless of the names of entities and ids. A young id is never
/// deleted.
#[test]
fn the_oldest_request_ids_are_forgotten_first() {
    let mut stage = Stage::new(limits(100, 8));
    // The names descend alphabetically over time.
    let ids: Vec<String> = (0..300).map(|number| format!("r{:03}", 999 - number)).collect();
    for id in &ids {
        stage.add("@counter@zzz", 1, id).unwrap();
        stage.now += 1_000;
    }
    let last = stage.add("@counter@aaa", 1, "mine").unwrap();
    assert_eq!(stage.add("@counter@aaa", 1, "mine").unwrap(), last);
    let known = known(&mut stage, "@counter@zzz", &ids);
    let first = known.iter().position(|known| *known).unwrap();
    assert!(
        known[first..].iter().all(|known| *known),
        "a younger id was deleted: {known:?}"
    );
    assert!((180..=200).contains(&first), "{first} ids were deleted");
    for (number, id) in ids.iter().enumerate().skip(first) {
        assert_eq!(
            stage.add("@counter@zzz", 1, id).unwrap(),
            (number + 1).to_string(),
            "{id}"
        );
    }
    assert_eq!(
        stage.counters().requests as usize,
        stage.count(schema::request::ages(PartitionId(0)))
    );
}

/// An id that is younger than a minute is kept, however many there are. If there is no room for another id, the request
/// has no effect, and the client may retry.
#[test]
fn a_young_request_id_is_never_forgotten() {
    let mut stage = Stage::new(limits(10, 4));
    let ids: Vec<String> = (0..100).map(|number| format!("r{}", 999 - number)).collect();
    for id in &ids {
        stage.add("@counter@victim", 1, id).unwrap();
    }
    assert_eq!(
        stage.add("@counter@victim", 1, "one too many").unwrap_err(),
        ErrorKind::Overloaded
    );
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(
            stage.add("@counter@victim", 1, id).unwrap(),
            (number + 1).to_string(),
            "{id}"
        );
    }
    stage.now += YOUTH;
    stage.settle();
    let answer = stage.add("@counter@victim", 1, "one too many").unwrap();
    assert_eq!(
        answer, "101",
        "the refusal was not stored, and the request had no effect"
    );
    stage.settle();
    assert!(stage.counters().requests <= 10 + 4 + 1, "{:?}", stage.counters());
}

/// The id of a waiting call is kept while the call waits, beyond the limit and the retention time. Retries receive the
/// answer of the call.
#[test]
fn the_request_id_of_a_waiting_call_is_kept() {
    let mut stage = Stage::new(limits(4, 2));
    stage.ask("@counter@slow", operation("add_slowly", 1), true, None);
    stage.settle();
    assert_eq!(stage.running.len(), 1);
    let first = stage.ask("@counter@slow", operation("add", 1), true, Some("waits"));
    stage.settle();
    for day in 0..3 {
        stage.now += 2 * 24 * 60 * 60 * 1_000;
        for number in 0..20 {
            stage.add("@counter@other", 1, &format!("{day} {number}")).unwrap();
        }
    }
    let second = stage.ask("@counter@slow", operation("add", 1), true, Some("waits"));
    stage.settle();
    assert_eq!((stage.told(first), stage.told(second)), (None, None), "both wait");
    let key = schema::request::key(PartitionId(0), &InstanceId::trusted("@counter@slow"), "waits");
    assert!(stage.model.get(&key).unwrap().is_some());
    assert_eq!(
        stage.counters().requests as usize,
        stage.count(schema::request::ages(PartitionId(0)))
    );
}

/// An id is deleted when its retention time is over. A clock that was wrong in one life does not delete ids of the next
/// life.
#[test]
fn request_ids_expire_in_the_order_in_which_they_came() {
    let day = 24 * 60 * 60 * 1_000;
    let mut stage = Stage::new(limits(100, 2));
    stage.add("@counter@a", 1, "before").unwrap();
    stage.now += 3_650 * day;
    stage.reopen();
    stage.add("@counter@a", 1, "in the future").unwrap();
    stage.now -= 3_650 * day;
    stage.reopen();
    stage.add("@counter@a", 1, "after").unwrap();
    stage.now += day - 1;
    stage.settle();
    assert_eq!(stage.add("@counter@a", 1, "after").unwrap(), "3");
    for number in 0..300 {
        stage.add("@counter@b", 1, &number.to_string()).unwrap();
        stage.now += 1_000;
    }
    let left = stage.counters().requests;
    assert!(left <= 102, "ids from the future do not displace others: {left}");
}

/// A refusal, whose reason may pass, is not the answer to a later attempt.
#[test]
fn refusals_are_not_remembered() {
    let mut stage = Stage::new(Limits {
        early_events: 1,
        ..Limits::default()
    });
    let raise = |stage: &mut Stage, target: &str, keep: bool| {
        let order = Order::Raise {
            name: "number".into(),
            payload: br#"[7,""]"#.to_vec(),
            keep_until: keep.then(|| Timestamp(stage.now + 1_000)),
        };
        let token = stage.ask(target, Action::Order(Box::new(order)), true, Some("event"));
        stage.answer(token)
    };
    stage.raise("first", 1, 0, Some(1_000)).unwrap();
    assert_eq!(raise(&mut stage, "second", true).unwrap_err(), ErrorKind::Overloaded);
    stage.start("first", 1, None).unwrap();
    assert_eq!(raise(&mut stage, "second", true).unwrap(), "true");
    assert_eq!(raise(&mut stage, "third", false).unwrap_err(), ErrorKind::NotFound);
    stage.start("third", 1, None).unwrap();
    assert_eq!(raise(&mut stage, "third", false).unwrap(), "true");
    assert_eq!(stage.result("third").unwrap(), "[7]");
    assert_eq!(
        raise(&mut stage, "third", false).unwrap(),
        "true",
        "a request that took effect is stored"
    );
    let unknown = || operation("multiply", 2);
    let token = stage.ask("@counter@c", unknown(), true, Some("call"));
    assert_eq!(stage.answer(token).unwrap_err(), ErrorKind::UnknownOperation);
    assert_eq!(
        stage.add("@counter@c", 2, "call").unwrap(),
        "2",
        "its id is free for another attempt"
    );
}

/// A call that waited as a row and is refused leaves no row of its request.
#[test]
fn a_waiting_call_that_is_refused_is_forgotten() {
    let mut stage = Stage::new(Limits::default());
    stage.ask("@counter@slow", operation("add_slowly", 1), true, None);
    stage.settle();
    let token = stage.ask("@counter@slow", operation("multiply", 1), true, Some("r"));
    stage.settle();
    assert_eq!(stage.counters().requests, 1);
    assert_eq!(stage.told(token), None);
    stage.finish_async();
    assert_eq!(stage.answer(token).unwrap_err(), ErrorKind::UnknownOperation);
    assert_eq!(stage.counters().requests, 0);
    assert_eq!(stage.count(schema::request::ages(PartitionId(0))), 0);
    assert_eq!(stage.add("@counter@slow", 1, "r").unwrap(), "2");
}

/// At the limit, one more id costs only the reads for deleting one, however many other partitions, dead letters and
/// events there are.
#[test]
fn a_new_request_id_at_the_cap_costs_a_constant() {
    let mut stage = Stage::new(Limits {
        request_youth: Duration::ZERO,
        ..limits(1_000, 64)
    });
    for number in 0..50 {
        stage.raise("never", number, 0, Some(1 << 40)).unwrap();
    }
    for number in 0..1_064 {
        stage.add("@counter@a", 1, &format!("{number}")).unwrap();
    }
    let before = stage.rows_read;
    for number in 0..6_400 {
        stage.add("@counter@a", 1, &format!("more {number}")).unwrap();
    }
    let read = stage.rows_read - before;
    assert!(read <= 2 * 6_400, "{read} rows were read for 6 400 ids");
}
