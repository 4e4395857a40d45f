//! The selection of dead letters when there are too many.

use super::*;
use crate::engine::Limits;
use crate::engine::message::{Input, LetterFate};
use crate::engine::tests::counting::{Stage, operation};
use crate::error::ErrorKind;
use crate::store::{Batch, Store};

const PARTITION: PartitionId = PartitionId(0);

/// Sends signals for an unknown operation, which wait behind a running operation.
fn signal_nonsense(stage: &mut Stage, entity: &str, count: usize) {
    stage.ask(entity, operation("add_slowly", 1), true, None);
    stage.settle();
    for _ in 0..count {
        stage.ask(entity, operation("multiply", 2), false, None);
    }
    stage.settle();
}

/// Returns the number of dead letters of each entity, in the order of the letters.
fn letters(stage: &Stage) -> Vec<(String, usize)> {
    let rows = stage
        .model
        .scan(schema::dead_letter::all(PARTITION), usize::MAX)
        .unwrap();
    let mut letters: Vec<(String, usize)> = Vec::new();
    for (_, value) in &rows {
        let record: DeadLetterRecord = model::decode(value, "dead letter").unwrap();
        match letters
            .last_mut()
            .filter(|(target, _)| target == record.target.as_str())
        {
            Some((_, count)) => *count += 1,
            None => letters.push((record.target.to_string(), 1)),
        }
    }
    assert_eq!(rows.len(), stage.count(schema::dead_letter::ages(PARTITION)));
    assert_eq!(rows.len() as u64, stage.counters().dead_letters);
    letters
}

fn stage() -> Stage {
    Stage::new(Limits {
        dead_letters: 10,
        page: 4,
        ..Limits::default()
    })
}

/// A dead letter with an unreadable row cannot be redelivered and can be deleted. Other dead letters are unaffected.
#[test]
fn a_dead_letter_that_cannot_be_read_can_be_dropped() {
    let mut stage = stage();
    signal_nonsense(&mut stage, "@counter@a", 2);
    stage.finish_async();
    stage.settle();
    let (key, _) = stage
        .model
        .scan(schema::dead_letter::all(PARTITION), 1)
        .unwrap()
        .remove(0);
    let mut batch = Batch::default();
    batch.put(&key, b"rubbish");
    stage.model.write(&batch).unwrap();
    let id = schema::message::id_of(&key).unwrap();
    let mut settle = |fate| {
        let token = Token(if fate == LetterFate::Redeliver { 1_000 } else { 1_001 });
        stage.core.accept(Input::DeadLetter {
            partition: PARTITION,
            id,
            fate,
            token,
        });
        stage.answer(token)
    };
    assert_eq!(settle(LetterFate::Redeliver), Err(ErrorKind::Corrupted));
    assert_eq!(settle(LetterFate::Drop), Ok("true".to_owned()));
    assert_eq!(letters(&stage), [("@counter@a".to_owned(), 1)]);
}

/// An entity that fills a partition with dead letters displaces its own and not those of others.
#[test]
fn the_entity_that_has_most_dead_letters_loses_its_oldest() {
    let mut stage = stage();
    for (entity, count) in [("@counter@victim", 3), ("@counter@hostile", 500)] {
        signal_nonsense(&mut stage, entity, count);
        stage.finish_async();
        stage.settle();
    }
    let expected = [("@counter@victim".to_owned(), 3), ("@counter@hostile".to_owned(), 7)];
    assert_eq!(letters(&stage), expected);
}

/// The age of a dead letter does not include the previous wait of its message.
#[test]
fn a_dead_letter_is_as_old_as_its_death() {
    let mut stage = stage();
    signal_nonsense(&mut stage, "@counter@waits", 1);
    let waits = std::mem::take(&mut stage.running);
    for number in 0..10 {
        signal_nonsense(&mut stage, &format!("@counter@{number}"), 1);
        stage.finish_async();
        stage.settle();
        stage.now += 1_000;
    }
    stage.running = waits;
    stage.finish_async();
    stage.settle();
    let left: Vec<String> = letters(&stage).into_iter().map(|(target, _)| target).collect();
    let expected: Vec<String> = (1..10).map(|number| format!("@counter@{number}")).collect();
    assert_eq!(left, [expected, vec!["@counter@waits".to_owned()]].concat());
}

/// Dead letters expire, and no step reads more than their places.
#[test]
fn dead_letters_expire_unread() {
    let mut stage = stage();
    signal_nonsense(&mut stage, "@counter@a", 9);
    stage.finish_async();
    stage.settle();
    stage.now += 29 * 24 * 60 * 60 * 1_000;
    stage.reopen();
    stage.most_read = 0;
    stage.settle();
    assert_eq!(letters(&stage), [("@counter@a".to_owned(), 9)]);
    stage.now += 2 * 24 * 60 * 60 * 1_000;
    stage.settle();
    assert_eq!(letters(&stage), []);
    assert!(stage.most_read < 32, "{} bytes were read", stage.most_read);
}

/// While the dead letters are within their limit, a search reads one page of their places.
#[test]
fn a_search_reads_one_page() {
    let mut stage = stage();
    signal_nonsense(&mut stage, "@counter@a", 9);
    stage.finish_async();
    stage.settle();
    stage.reopen();
    stage.rows_read = 0;
    stage.settle();
    assert!((1..=4).contains(&stage.rows_read), "{} rows were read", stage.rows_read);
}
