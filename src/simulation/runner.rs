//! The tests, and the seeds that they run.

use std::collections::BTreeSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::coverage::CoverageMark;
use super::shards::PlantedBug;
use super::world::{Cast, Edition, World};
use crate::engine::panic_text;
#[cfg(feature = "cluster")]
use crate::store::{LogBug, ShardMark};

/// Number of seeds with entities only, unless `ABIDE_SEEDS` is set.
const SEEDS: u64 = 3_000;

/// Number of seeds with orchestrations, unless `ABIDE_SEEDS` is set.
const ORCHESTRATED_SEEDS: u64 = 4_000;

/// Seeds that found bugs.
const CORPUS: &str = include_str!("corpus.txt");
const ORCHESTRATED_CORPUS: &str = include_str!("orchestration/corpus.txt");

/// Number of seeds within which a planted bug has to be found.
const WITHIN: u64 = 400;

/// Number of failing seeds after which a test stops.
const ENOUGH: usize = 10;

/// Runs one seed.
pub(super) fn run(cast: Cast, seed: u64, edition: Edition) -> Result<(u64, BTreeSet<CoverageMark>), String> {
    run_with(cast, seed, edition, None)
}

fn run_with(
    cast: Cast,
    seed: u64,
    edition: Edition,
    planted: Option<PlantedBug>,
) -> Result<(u64, BTreeSet<CoverageMark>), String> {
    let told = env::var("ABIDE_SEED").is_ok();
    let world = || World::new(seed, told, cast, edition, planted).run();
    catch_unwind(AssertUnwindSafe(world)).map_err(|panic| panic_text(panic.as_ref()))
}

/// Runs seeds. A failure lists the failed seeds and the command that replays the first one.
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
    let features = match cfg!(feature = "cluster") {
        true => "--features cluster",
        false => "--no-default-features",
    };
    panic!(
        "{}\nreplay with: ABIDE_SEED={first} cargo test {features} --lib simulation::runner -- --nocapture",
        list.join("\n")
    );
}

/// Returns the number in an environment variable.
pub(crate) fn number(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().expect("the variable must be a number"))
}

/// Acknowledged work takes effect once and in order, and failed work leaves no trace. Nothing leaves the process before
/// it is durable, and nothing is left at rest. All this holds despite crashes, faults, delays and messages left to
/// their rows. Runs many seeds.
#[test]
fn what_was_acknowledged_takes_effect_once_whatever_happens() {
    run_many(Cast::EntitiesOnly, SEEDS);
}

/// The same with orchestrations: their steps, timers, activities, locks, children and ends agree with their histories
/// and with the plain reference, despite crashes. Nothing is left of them at rest. Runs many seeds.
#[test]
fn orchestrations_do_what_their_histories_say_whatever_happens() {
    run_many(Cast::WithOrchestrations, ORCHESTRATED_SEEDS);
}

/// Returns the edition in which seeds are played. `ABIDE_EDITION` selects an older one for old seeds of the corpus.
fn edition() -> Edition {
    match env::var("ABIDE_EDITION").as_deref() {
        Ok("first") => Edition::First,
        Ok("second") => Edition::Second,
        Ok("third") => Edition::Third,
        Ok("fourth") => Edition::Fourth,
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

/// The simulation reaches every [`CoverageMark`]. Runs seeds until it has.
#[test]
fn the_simulation_comes_to_every_place() {
    see_all(Cast::EntitiesOnly, &CoverageMark::OF_ENTITIES);
    see_all(Cast::WithOrchestrations, &CoverageMark::OF_ORCHESTRATIONS);
    for cast in [Cast::EntitiesOnly, Cast::WithOrchestrations] {
        see_all(cast, &CoverageMark::OF_MAIL);
        see_all(cast, &CoverageMark::OF_STORE);
        #[cfg(feature = "cluster")]
        see_all(cast, &ShardMark::ALL.map(CoverageMark::Shard));
    }
}

fn see_all(cast: Cast, marks: &[CoverageMark]) {
    let mut missing: BTreeSet<CoverageMark> = marks.iter().copied().collect();
    for seed in 1..=1_000 {
        let (_, marks) = run(cast, seed, Edition::Newest).unwrap_or_default();
        missing.retain(|mark| !marks.contains(mark));
        if missing.is_empty() {
            return;
        }
    }
    panic!("not seen in a thousand seeds: {missing:?}");
}

/// Each planted bug is found in both kinds of runs.
#[test]
fn the_simulation_finds_planted_bugs_of_the_mail() {
    for bug in PlantedBug::ALL {
        find(bug);
    }
}

/// Each planted bug of a shared log is found in both kinds of runs, by seeds that find nothing without it.
#[cfg(feature = "cluster")]
#[test]
fn the_simulation_finds_planted_bugs_of_the_log() {
    for bug in LogBug::ALL {
        for (cast, seed) in find(PlantedBug::Log(bug)) {
            let without = run_with(cast, seed, Edition::Newest, Some(PlantedBug::Log(LogBug::Nothing)));
            assert_eq!(without.err(), None, "seed {seed} without {bug:?}, {cast:?}");
            println!("{bug:?}: seed {seed}, {cast:?}");
        }
    }
}

/// Returns the first seed that finds a bug, of each kind of runs.
fn find(bug: PlantedBug) -> [(Cast, u64); 2] {
    [Cast::EntitiesOnly, Cast::WithOrchestrations].map(|cast| {
        let is_found = |seed: &u64| run_with(cast, *seed, Edition::Newest, Some(bug)).is_err();
        let found = (1..=WITHIN).find(is_found);
        let found = found.unwrap_or_else(|| panic!("{bug:?} is not found in {WITHIN} seeds, {cast:?}"));
        (cast, found)
    })
}

/// Returns the seeds of a corpus: the beginning of each line, up to a `#`.
pub(crate) fn seeds_of(corpus: &str) -> impl Iterator<Item = u64> {
    let seeds = corpus
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let seeds = seeds.filter(|seed| !seed.is_empty());
    seeds.map(|seed| seed.parse().expect("a line of the corpus begins with a seed"))
}

/// Seeds that once found a bug find none now, in any edition.
#[test]
fn seeds_that_found_a_bug_find_none_now() {
    for (cast, corpus) in [
        (Cast::EntitiesOnly, CORPUS),
        (Cast::WithOrchestrations, ORCHESTRATED_CORPUS),
    ] {
        let seeds: Vec<u64> = seeds_of(corpus).collect();
        for edition in Edition::ALL {
            run_all(cast, edition, seeds.iter().copied());
        }
    }
}

/// One seed gives one run, bit for bit: every commit, every output and every answer.
#[test]
fn one_seed_gives_one_run() {
    for cast in [Cast::EntitiesOnly, Cast::WithOrchestrations] {
        for seed in 1..=20 {
            let run = || run(cast, seed, Edition::Newest);
            assert_eq!(run(), run(), "seed {seed}, {cast:?}");
        }
        #[cfg(feature = "cluster")]
        for seed in 1..=5 {
            let run = || run_with(cast, seed, Edition::Newest, Some(PlantedBug::Log(LogBug::Nothing)));
            assert_eq!(run(), run(), "seed {seed} on nodes, {cast:?}");
        }
    }
}
