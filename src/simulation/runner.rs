//! Which seeds are run.

use std::collections::BTreeSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::sights::Sight;
use super::world::World;
use crate::engine::panic_text;

/// How many seeds a plain `cargo test` runs.
const SEEDS: u64 = 3_000;

/// Seeds that found bugs.
const CORPUS: &str = include_str!("corpus.txt");

/// How many failing seeds are looked for before the test gives up.
const ENOUGH: usize = 10;

/// Runs one seed.
fn run(seed: u64) -> Result<(u64, BTreeSet<Sight>), String> {
    let told = env::var("ABIDE_SEED").is_ok();
    catch_unwind(AssertUnwindSafe(|| World::new(seed, told).run())).map_err(|panic| panic_text(panic.as_ref()))
}

/// Runs seeds; the failure names those that failed and how to see one again.
fn run_all(seeds: impl Iterator<Item = u64>) {
    let failed: Vec<(u64, String)> = seeds
        .filter_map(|seed| run(seed).err().map(|reason| (seed, reason)))
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
    if let Some(seed) = number("ABIDE_SEED") {
        return run_all([seed].into_iter());
    }
    let first = number("ABIDE_FIRST_SEED").unwrap_or(1);
    run_all(first..first + number("ABIDE_SEEDS").unwrap_or(SEEDS));
}

/// The simulation comes to all the places that it is there for. Runs seeds until it has.
#[test]
fn the_simulation_comes_to_every_place() {
    let mut missing = BTreeSet::from(Sight::ALL);
    for seed in 1..=1_000 {
        let (_, sights) = run(seed).unwrap_or_default();
        missing.retain(|sight| !sights.contains(sight));
        if missing.is_empty() {
            return;
        }
    }
    panic!("not seen in a thousand seeds: {missing:?}");
}

/// Seeds that once found a bug find none now.
#[test]
fn seeds_that_found_a_bug_find_none_now() {
    let seeds = CORPUS
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let seeds = seeds.filter(|seed| !seed.is_empty());
    run_all(seeds.map(|seed| seed.parse().expect("a line of the corpus begins with a seed")));
}

/// One seed gives one run, bit for bit: every commit, every output, every answer.
#[test]
fn one_seed_gives_one_run() {
    for seed in 1..=20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
