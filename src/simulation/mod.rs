//! The deterministic simulation: whole lives of a hub, with its crashes, from one seed.
//!
//! It plays everything around the cores: executors, clients, the disk, tokio and the clock. Whatever is left open by the
//! contracts between them is drawn from the seed: the order of steps, what is on its way between two cores, when the disk
//! syncs, and which prefix of the commits a crash leaves. The entities are written as a user writes them and carry in
//! their messages what they shall do, so that the simulation knows what has to come of it.
//!
//! `ABIDE_SEED=7` replays one seed and tells its story, `ABIDE_SEEDS=100000` runs more seeds than usual, and
//! `ABIDE_FIRST_SEED=5000` begins with another one:
//!
//! ```text
//! ABIDE_SEED=7 cargo test --no-default-features --lib simulation -- --nocapture
//! ```
//!
//! What may happen in a run is in `climate`, how it happens in `world` and the files that it leads to, and what has to be true in
//! `check`. Orchestrations have all that once more in `orchestration`; half of the tests run without them. Three of four
//! seeds have the store that a hub has in production, on a machine in memory, with the model beside it: see `store`.
//!
//! A seed that finds a bug goes into `corpus.txt`. What a seed does changes when more is drawn from it, so the corpus is played in
//! each `Edition`; `ABIDE_EDITION=first` is the one without what `World::later` decides, and `second` the one without machines.

mod asking;
mod builds;
mod check;
mod clients;
mod climate;
mod dropping;
mod effects;
mod ending;
mod executor;
mod gate;
mod giving_up;
mod life;
mod orchestration;
mod padding;
mod plan;
pub(crate) mod random;
mod runner;
mod sights;
mod store;
mod survey;
mod workload;
mod world;
