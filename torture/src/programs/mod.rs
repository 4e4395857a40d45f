//! Random programs over all features, on a real hub and on a model.

mod command;
mod hub;
mod model;

use std::time::Duration;

use command::Command;
use hub::RealHub;
use model::Model;

use crate::campaign::{Course, Outcome, Share, run};

/// Runs random programs of at least 30 commands, each on a hub in a directory and on a model of what the guarantees
/// say. Every answer, and at the end everything that can be listed, is the same.
pub(crate) fn programs(share: &Share) -> Outcome {
    run("programs", "programs", share, |seed, course| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(one_program(seed, course));
    })
}

/// Time that one command may take.
const PATIENCE: Duration = Duration::from_secs(30);

async fn one_program(seed: u64, course: &Course) {
    let mut random = fastrand::Rng::with_seed(seed);
    let place = course.place();
    let (mut model, mut hub) = (Model::default(), RealHub::open(place.path(), &mut random).await);
    let length = random.usize(30..80);
    for number in 0..length {
        let command = Command::draw(&mut random);
        let expected = model.carry_out(&command);
        let answer = match tokio::time::timeout(PATIENCE, hub.carry_out(&command)).await {
            Ok(answer) => answer,
            Err(_) => format!("no answer after {} s: {}", PATIENCE.as_secs(), hub.state().await),
        };
        if answer != expected {
            let what = format!("command {number} of {length}, {command:?}: answered {answer} instead of {expected}");
            // The hub may not close any more.
            return course.violated(seed, place, &what);
        }
    }
    let (there, expected) = (hub.listing().await, model.listing());
    hub.close().await;
    if there != expected {
        return course.violated(
            seed,
            place,
            &format!("after {length} commands: {there:?} instead of {expected:?}"),
        );
    }
    course.note("commands", length as u64);
    course.count(1);
}
