//! Labels of steps.

use std::time::Duration;

use super::driver::Driver;
use super::stage::{Double, orchestration};
use crate::model::history::EventNote;
use crate::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

orchestration!(Labeled(ctx, _nothing: ()) -> i64, Failure {
    let timer = ctx.create_timer(SECOND).label("a while");
    drop(ctx.call_activity::<Double>(2).label("dropped at once"));
    let plain = ctx.call_activity::<Double>(2);
    let event = ctx.wait_for_external_event::<()>("go").label("an event");
    timer.await;
    event.await?;
    let answer = ctx.call_activity::<Double>(1).label("ü".repeat(200)).await?;
    Ok(answer + plain.await?)
});

/// The history of a turn contains the labels of the steps that it began, with at most 256 bytes each. It contains no
/// label of a step that was withdrawn.
#[test]
fn labels_are_noted_with_their_steps() {
    for strict in [false, true] {
        let mut driver = Driver::new::<Labeled>();
        driver.strict = strict;
        driver.start("null");
        let noted = |driver: &Driver| -> Vec<(u64, String)> {
            let notes = driver.history.last().unwrap().notes.iter();
            notes
                .filter_map(|(sequence, note)| Some((*sequence, note.label.clone()?)))
                .collect()
        };
        assert_eq!(noted(&driver), [(1, "a while".to_owned()), (4, "an event".to_owned())]);
        driver.fire(1);
        assert_eq!(noted(&driver), []);
        driver.raise("go", "null");
        let notes = noted(&driver);
        assert_eq!(notes[0].0, 5);
        assert!(notes[0].1.starts_with("üü") && notes[0].1.len() <= 256, "{notes:?}");
    }
}

orchestration!(Reached(ctx, _nothing: ()) -> (), Failure {
    let first = ctx.wait_for_external_event::<()>("go");
    let second = ctx.wait_for_external_event::<()>("GO");
    second.await?;
    drop(first);
    ctx.wait_for_external_event::<()>("other").await
        .map_err(Failure::from)
});

/// The history names the wait that an event reached, which does not follow from the order of events and commands.
#[test]
fn the_wait_that_an_event_reached_is_noted() {
    let mut driver = Driver::new::<Reached>();
    driver.start("null");
    driver.raise("go", "null");
    let noted = |driver: &Driver| -> Vec<(u64, Option<EventNote>)> {
        let notes = driver.history.last().unwrap().notes.iter();
        notes.map(|(sequence, note)| (*sequence, note.event)).collect()
    };
    assert_eq!(noted(&driver), [(2, Some(EventNote::Given))]);
    driver.raise("other", "null");
    assert_eq!(noted(&driver), [(3, Some(EventNote::Given))]);
}
