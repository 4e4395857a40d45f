//! The events that can happen to orchestrations in a run.

use crate::engine::Limits;
use crate::simulation::profile::{Event, Profile};
use crate::simulation::random::Random;
use crate::trace::Sampling;

/// The events that can happen to orchestrations in a run.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Conditions {
    /// Set if every turn replays the whole history.
    strict: bool,
    /// Maximum number of orders of clients.
    pub(super) orders: u64,
    /// Set if clients terminate, suspend, rewind, restart and purge.
    pub(super) manage: bool,
    /// Set if operators release locks by force.
    pub(super) force: bool,
    /// Set if activities sometimes panic or time out.
    pub(super) bad_jobs: bool,
}

impl Conditions {
    pub(in crate::simulation) fn add_to(profile: &mut Profile, random: &mut Random) {
        profile.orchestrations = Some(Self {
            strict: random.chance(40),
            orders: random.between(3, 40),
            manage: random.chance(60),
            force: random.chance(40),
            bad_jobs: random.chance(40),
        });
        for (event, weight) in [(Event::Order, 10), (Event::Job, 8)] {
            let weight = (weight * random.pick(&[10, 10, 30, 3, 1])).max(1);
            profile.weights.push((event, weight));
        }
        // In half of the runs clients leave the entities to the orchestrations.
        if random.chance(50) {
            profile.requests = random.below(4);
        }
    }

    /// Draws the limits of one process of the hub that concern orchestrations.
    pub(in crate::simulation) fn bound(&self, limits: &mut Limits, random: &mut Random) {
        limits.strict_replay = self.strict;
        limits.spans = self.strict.then(|| Sampling::ratio(1.0));
        limits.live_bytes = *random.pick(&[0, 4_000, 1 << 20]);
        limits.activities = *random.pick(&[1, 2, 256]);
        limits.activities_in_memory = *random.pick(&[1, 2, 256]);
        limits.early_events = *random.pick(&[1, 10_000, 10_000]);
        limits.crashes = *random.pick(&[1, 2, 5, 5]);
    }
}
