//! Which seeds are run.

use std::collections::BTreeSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::sights::Sight;
use super::world::{Cast, Edition, World};
use crate::engine::panic_text;

/// How many seeds a plain `cargo test` runs with entities only, and how many with orchestrations.
const SEEDS: u64 = 3_000;
const ORCHESTRATED_SEEDS: u64 = 4_000;

/// Seeds that found bugs.
const CORPUS: &str = include_str!("corpus.txt");
const ORCHESTRATED_CORPUS: &str = include_str!("orchestration/corpus.txt");

/// How many failing seeds are looked for before the test gives up.
const ENOUGH: usize = 10;

/// Runs one seed.
pub(super) fn run(cast: Cast, seed: u64, edition: Edition) -> Result<(u64, BTreeSet<Sight>), String> {
    let told = env::var("ABIDE_SEED").is_ok();
    let world = || World::new(seed, told, cast, edition).run();
    catch_unwind(AssertUnwindSafe(world)).map_err(|panic| panic_text(panic.as_ref()))
}

/// Runs seeds; the failure names those that failed and how to see one again.
fn run_all(cast: Cast, edition: Edition, seeds: impl Iterator<Item = u64>) {
    let failed: Vec<(u64, String)> = seeds
        .filter_map(|seed| run(cast, seed, edition).err().map(|reason| (seed, reason)))
        .take(ENOUGH)
        .collect();
    let Some((first, _)) = failed.first() else {
        return;
    };
    let list: Vec<String> = failed
        .iter()
        .map(|(seed, reason)| format!("seed {seed}: {reason}"))
        .collect();
    panic!(
        "{}\nsee one again: ABIDE_SEED={first} cargo test --no-default-features --lib simulation -- --nocapture",
        list.join("\n")
    );
}

fn number(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().expect("a seed is a number"))
}

/// Whatever crashes, fails, waits or is left to its row: what was acknowledged took effect once and in order, what failed
/// left no trace, nothing left the process too early, and at rest nothing is left. Runs many seeds.
#[test]
fn what_was_acknowledged_takes_effect_once_whatever_happens() {
    run_many(Cast::EntitiesOnly, SEEDS);
}

/// The same with orchestrations: their steps, timers, activities, locks, children and ends are what their histories and the
/// plain reference say, whatever crashes, and at rest nothing is left of them. Runs many seeds.
#[test]
fn orchestrations_do_what_their_histories_say_whatever_happens() {
    run_many(Cast::WithOrchestrations, ORCHESTRATED_SEEDS);
}

/// The edition in which seeds are played: `ABIDE_EDITION` is for old seeds of the corpus.
fn edition() -> Edition {
    match env::var("ABIDE_EDITION").as_deref() {
        Ok("first") => Edition::First,
        Ok("second") => Edition::Second,
        _ => Edition::Newest,
    }
}

fn run_many(cast: Cast, seeds: u64) {
    if let Some(seed) = number("ABIDE_SEED") {
        return run_all(cast, edition(), [seed].into_iter());
    }
    let first = number("ABIDE_FIRST_SEED").unwrap_or(1);
    run_all(cast, edition(), first..first + number("ABIDE_SEEDS").unwrap_or(seeds));
}

/// The simulation comes to all the places that it is there for. Runs seeds until it has.
#[test]
fn the_simulation_comes_to_every_place() {
    see_all(Cast::EntitiesOnly, &Sight::OF_ENTITIES);
    see_all(Cast::WithOrchestrations, &Sight::OF_ORCHESTRATIONS);
    for cast in [Cast::EntitiesOnly, Cast::WithOrchestrations] {
        see_all(cast, &Sight::OF_STORE);
    }
}

fn see_all(cast: Cast, sights: &[Sight]) {
    let mut missing: BTreeSet<Sight> = sights.iter().copied().collect();
    for seed in 1..=1_000 {
        let (_, sights) = run(cast, seed, Edition::Newest).unwrap_or_default();
        missing.retain(|sight| !sights.contains(sight));
        if missing.is_empty() {
            return;
        }
    }
    panic!("not seen in a thousand seeds: {missing:?}");
}

/// Seeds that once found a bug find none now, neither in the edition of their day nor in another one.
#[test]
fn seeds_that_found_a_bug_find_none_now() {
    for (cast, corpus) in [
        (Cast::EntitiesOnly, CORPUS),
        (Cast::WithOrchestrations, ORCHESTRATED_CORPUS),
    ] {
        let seeds = corpus
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        let seeds = seeds.filter(|seed| !seed.is_empty());
        let seeds = seeds.map(|seed| seed.parse().expect("a line of the corpus begins with a seed"));
        let seeds: Vec<u64> = seeds.collect();
        for edition in [Edition::First, Edition::Second, Edition::Newest] {
            run_all(cast, edition, seeds.iter().copied());
        }
    }
}

/// One seed gives one run, bit for bit: every commit, every output, every answer.
#[test]
fn one_seed_gives_one_run() {
    for cast in [Cast::EntitiesOnly, Cast::WithOrchestrations] {
        for seed in 1..=20 {
            let run = || run(cast, seed, Edition::Newest);
            assert_eq!(run(), run(), "seed {seed}, {cast:?}");
        }
    }
}
