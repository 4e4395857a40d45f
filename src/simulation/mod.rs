//! Deterministic simulation of a hub over several processes, crashes included. One seed is one run.
//!
//! The simulation replaces everything around the cores: executors, clients, the disk, tokio and the clock. The seed
//! determines every choice that the contracts between them leave open: the order of steps, which messages are in flight
//! between two cores, when the disk syncs, and which prefix of the commits survives a crash. The entities are written
//! as user code. Their messages carry the work to perform, so the simulation knows the expected result.
//!
//! `ABIDE_SEED=7` replays one seed and prints its events, `ABIDE_SEEDS=100000` sets the number of seeds, and
//! `ABIDE_FIRST_SEED=5000` sets the first one:
//!
//! ```text
//! ABIDE_SEED=7 cargo test --no-default-features --lib simulation -- --nocapture
//! ```
//!
//! `profile` defines which events can happen in a run, `world` and the modules that it uses perform them, and `check`
//! contains the invariants. `orchestration` has the same parts for orchestrations; half of the tests run without them.
//! Three of four seeds use the production store on an in-memory machine, with the model beside it; see `store`. With the
//! feature `cluster`, one hub in 16 is on one to three nodes instead, and its seed is replayed with that feature.
//!
//! A seed that finds a bug goes into `corpus.txt`. The run of a seed changes as soon as more is drawn from it, so the
//! corpus is played in every `Edition`. `ABIDE_EDITION=fourth` has no nodes, no replaced processes and no placements, `third` no
//! shards either, `second` no machines either, and `first` also excludes the decisions of `World::later`.

mod asking;
mod builds;
mod check;
mod clients;
mod coverage;
mod dropping;
mod effects;
mod ending;
mod executor;
mod gate;
mod giving_up;
mod orchestration;
mod padding;
mod plan;
mod process;
mod profile;
pub(crate) mod random;
mod replaced;
pub(crate) mod runner;
mod shards;
mod store;
mod survey;
mod workload;
mod world;
