//! Timers that are set, replaced or canceled in the step in which others become due.

use super::stage::{Stage, tally};
use crate::engine::Limits;
use crate::model::Action;

fn stage(page: usize) -> Stage {
    Stage::new(Limits {
        page,
        ..Limits::default()
    })
}

/// More timers are due than fit into one page, and the step that fires the first of them sets another one. It is due
/// before, among or behind the others, and fires in the same life.
#[test]
fn a_timer_set_while_a_full_page_fires_is_not_passed_over() {
    for page in [1, 2, 3, 10] {
        for due in [900, 1_001, 1_004, 1_010, 1_020] {
            let mut stage = stage(page);
            let a = tally("a");
            for n in 0..10 {
                stage.schedule(&a, &format!("t{n}"), 1_001 + n, 1);
            }
            stage.settle();
            stage.now = 1_020;
            stage.schedule(&a, "late", due, 100);
            stage.settle();
            assert_eq!(stage.sum(&a), 110, "page {page}, due {due}");
        }
    }
}

/// Timers for past times, a few in each step, all fire in the same life, although there is always a full page of due
/// timers.
#[test]
fn timers_set_for_the_past_all_fire_in_the_same_life() {
    let mut stage = stage(2);
    let (a, b) = (tally("a"), tally("b"));
    for n in 0..100 {
        stage.schedule(&a, &format!("t{n}"), 1_001 + n, 1);
    }
    stage.settle();
    stage.now = 2_000;
    for n in 0..100 {
        stage.schedule(&b, &format!("t{n}"), 1_001 + n, 1);
        stage.step();
    }
    stage.settle();
    assert_eq!((stage.sum(&a), stage.sum(&b)), (100, 100));
}

/// A timer is replaced by one of the same name in the step in which it becomes due, for the same time or another. Only
/// the new one fires, and it fires once.
#[test]
fn a_timer_that_is_replaced_when_it_is_due_fires_as_the_new_one() {
    for page in [1, 256] {
        for due in [900, 1_001, 1_002, 1_500] {
            let mut stage = stage(page);
            let a = tally("a");
            stage.schedule(&a, "t", 1_001, 1);
            stage.schedule(&a, "other", 1_001, 10);
            stage.settle();
            stage.now = 1_001;
            stage.schedule(&a, "t", due, 100);
            stage.settle();
            stage.now = 2_000;
            stage.settle();
            assert_eq!(stage.sum(&a), 110, "page {page}, due {due}");
            stage.reopen();
            stage.settle();
            assert_eq!(stage.sum(&a), 110, "page {page}, due {due}, opened again");
        }
    }
}

/// The same is true with a cancellation between the old timer and the new one.
#[test]
fn a_timer_that_is_canceled_and_set_again_when_it_is_due_fires_as_the_new_one() {
    let mut stage = stage(256);
    let a = tally("a");
    stage.schedule(&a, "t", 1_001, 1);
    stage.settle();
    stage.now = 1_001;
    stage.signal(&a, Action::Cancel { timer: "t".into() });
    stage.schedule(&a, "t", 1_001, 100);
    stage.settle();
    assert_eq!(stage.sum(&a), 100);
    stage.schedule(&a, "t", 1_001, 1_000);
    stage.signal(&a, Action::Cancel { timer: "t".into() });
    stage.settle();
    assert_eq!(stage.sum(&a), 100);
}
