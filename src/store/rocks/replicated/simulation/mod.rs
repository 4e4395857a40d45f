//! Deterministic simulation of the nodes of a hub over one shared log. One seed is one run.
//!
//! The nodes are real: their copies in RocksDB, the replay, the snapshots and the log of a tenure. Only the database is a
//! model, with a synchronous standby. The seed decides which node does what, and what happens between any two statements:
//! another node claims the hub or appends, an answer is lost, or the standby becomes the database. Nodes are killed, lose
//! their copies, or get them back as they were some time ago. In some runs, the database loses data that it acknowledged.
//!
//! After each step, what was acknowledged must be in the log. Each answer must fit the log. At the end, when nothing
//! disturbs them any more, all nodes can follow the log, and run the hub.
//!
//! ```text
//! ABIDE_SEED=7 cargo test --features cluster --lib replicated::simulation -- --nocapture
//! ```
//!
//! `shard` uses the same model for the simulation of whole hubs (`src/simulation/`).

mod database;
mod log;
mod node;
pub(super) mod shard;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Bug, CoverageMark, SEEDS_WITHOUT_READERS, World};

use crate::engine::panic_text;
use crate::simulation::runner::{number, seeds_of};

/// Number of seeds, unless `ABIDE_SEEDS` is set.
const SEEDS: u64 = 3_000;

/// The first seed, unless `ABIDE_FIRST_SEED` is set.
const FIRST: u64 = SEEDS_WITHOUT_READERS + 1;

/// Of this number of seeds, one is played, because a run opens RocksDB many times.
const SHARE: u64 = 20;

/// Number of seeds within which a planted bug has to be found.
const PATIENCE: u64 = 1_000;

/// Seeds that found bugs.
const CORPUS: &str = include_str!("corpus.txt");

/// Runs a seed. Returns the places that it came to.
fn run(seed: u64, bug: Option<Bug>) -> Result<BTreeSet<CoverageMark>, String> {
    let prints = number("ABIDE_SEED") == Some(seed) && bug.is_none();
    let run = catch_unwind(AssertUnwindSafe(|| World::run(seed, bug, prints)));
    run.unwrap_or_else(|panic| Err(panic_text(panic.as_ref())))
}

fn run_all(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(violation) = run(seed, None) {
            panic!(
                "seed {seed}: {violation}\nreplay with: ABIDE_SEED={seed} cargo test --features cluster --lib \
                 replicated::simulation -- --nocapture"
            );
        }
    }
}

/// What was acknowledged is in the log and in each store that is opened, in order. A node that was replaced answers
/// nothing. Nothing is refused unless the database has lost something, and then no node that knew it misses it silently.
#[test]
fn what_a_shared_log_has_acknowledged_stays_whatever_happens() {
    if let Some(seed) = number("ABIDE_SEED") {
        return run_all([seed].into_iter());
    }
    let first = number("ABIDE_FIRST_SEED").unwrap_or(FIRST);
    run_all(first..first + number("ABIDE_SEEDS").unwrap_or(SEEDS).div_ceil(SHARE));
}

/// The simulation reaches every [`CoverageMark`]. Runs seeds until it has.
#[test]
fn the_simulation_of_the_shared_log_comes_to_every_place() {
    let mut missing: BTreeSet<_> = CoverageMark::ALL.into();
    for seed in FIRST..FIRST + PATIENCE {
        let marks = run(seed, None).unwrap_or_default();
        missing.retain(|mark| !marks.contains(mark));
        if missing.is_empty() {
            return;
        }
    }
    panic!("not seen in {PATIENCE} seeds: {missing:?}");
}

/// Seeds that once found a bug find none now.
#[test]
fn seeds_of_the_shared_log_that_found_a_bug_find_none_now() {
    run_all(seeds_of(CORPUS));
}

/// Each planted bug is found, most of them by the seed that found it before.
#[test]
fn the_simulation_of_the_shared_log_finds_planted_bugs() {
    for (bug, seed) in Bug::ALL {
        let mut seeds = std::iter::once(seed).chain(FIRST..FIRST + PATIENCE);
        let found = seeds.find_map(|seed| run(seed, Some(bug)).err().map(|violation| (seed, violation)));
        let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} was not found in {PATIENCE} seeds"));
        println!("{bug:?}: seed {seed}: {violation}");
    }
}

/// One seed gives one run.
#[test]
fn one_seed_gives_one_run_of_the_shared_log() {
    for seed in 1..=3 {
        let events = || World::events(seed);
        assert_eq!(events(), events(), "seed {seed}");
    }
}
