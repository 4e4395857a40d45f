//! The profile of a run: the events that can happen in it, and their frequencies. Each seed has its own profile,
//! because most bugs appear only in the absence of all other kinds of events.

use std::time::Duration;

use super::orchestration::{Conditions, Versions};
use super::padding::{MOST_PAYLOAD_BYTES, PAYLOAD_BYTES};
use super::random::Random;
use crate::engine::Limits;

/// Maximum number of messages to another shard that are kept although it has them. See [`Limits::sent_mail`].
pub(super) const MOST_SENT_MAIL: u64 = 5;

/// A kind of event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A client makes a new request.
    Ask,
    /// A client repeats a request.
    AskAgain,
    /// A core accepts some of its waiting input.
    Accept,
    Step,
    Commit,
    Sync,
    /// An `async` operation is polled.
    Poll,
    Time,
    Operator,
    /// A client that waited for room repeats its request.
    CapacityWaiter,
    /// A client or an operator makes a request that concerns an orchestration.
    Order,
    /// An activity ends.
    Job,
}

/// The events that can happen in a run, and their frequencies.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) partitions: u16,
    pub(super) most_cores: u64,
    /// Number of entities of each type.
    pub(super) keys: u64,
    /// Number of events before the hub is brought to rest.
    pub(super) events: u64,
    /// Number of crashes in a thousand events.
    pub(super) crashes: u64,
    /// Maximum number of requests of clients.
    pub(super) requests: u64,
    pub(super) failures: bool,
    pub(super) deaths: bool,
    pub(super) slow: bool,
    pub(super) timers: bool,
    pub(super) request_ids: bool,
    pub(super) reads: bool,
    /// Set if messages between cores are sometimes left to their rows.
    pub(super) spills: bool,
    /// Set if writes and syncs sometimes fail.
    pub(super) faults: bool,
    /// Set if the hub is sometimes opened with a build that lacks something, or with a held entity.
    pub(super) bad_builds: bool,
    /// Relative frequency of each kind of event.
    pub(super) weights: Vec<(Event, u64)>,
    /// Set if request ids are remembered only briefly. No client repeats a request in such a run.
    pub(super) forgetful: bool,
    /// Set if clients sometimes go away before they receive an answer, and share request ids.
    pub(super) impatient: bool,
    /// Set if payloads sometimes come close to their limit, and budgets hold only a few of them.
    pub(super) large: bool,
    /// Set if request ids, dead letters and early events reach their caps.
    pub(super) capped: bool,
    /// Set if processes register different versions of the orchestration.
    pub(super) versions: bool,
    /// Set if payloads of orchestrations are large, too, and some payloads exceed the limit of some processes only.
    pub(super) disputed: bool,
    /// Set if some entities are placed together.
    pub(super) placed: bool,
    /// `None` in a run with entities only.
    pub(super) orchestrations: Option<Conditions>,
}

impl Profile {
    /// Returns the key of an entity with this number.
    pub(super) fn key(&self, number: u64) -> String {
        match number % 3 {
            place @ 1.. if self.placed => format!("{{p{place}}}k{number}"),
            _ => format!("k{number}"),
        }
    }

    pub(super) fn draw(random: &mut Random) -> Self {
        Self {
            partitions: random.between(1, 5) as u16,
            most_cores: random.between(1, 3),
            keys: *random.pick(&[1, 2, 3, 4, 8]),
            events: random.between(100, 900),
            crashes: *random.pick(&[0, 3, 10, 30]),
            requests: random.between(5, 60),
            failures: random.chance(60),
            deaths: random.chance(40),
            slow: random.chance(50),
            timers: random.chance(50),
            request_ids: random.chance(50),
            reads: random.chance(50),
            spills: random.chance(40),
            faults: random.chance(15),
            bad_builds: random.chance(35),
            weights: [
                (Event::Ask, 12),
                (Event::AskAgain, 2),
                (Event::Accept, 20),
                (Event::Step, 22),
                (Event::Commit, 22),
                (Event::Sync, 8),
                (Event::Poll, 6),
                (Event::Time, 4),
                (Event::Operator, 2),
                (Event::CapacityWaiter, 2),
            ]
            // One seed has a slow disk, another one slow operations or a slow core.
            .map(|(event, weight)| (event, (weight * random.pick(&[10, 10, 10, 30, 3, 1])).max(1)))
            .into(),
            forgetful: random.chance(10),
            impatient: false,
            large: false,
            capped: false,
            versions: false,
            disputed: false,
            placed: false,
            orchestrations: None,
        }
    }

    /// Draws the settings that were added after the first seeds entered the corpus.
    pub(super) fn draw_aside(&mut self, aside: &mut Random) {
        self.impatient = aside.chance(40);
        self.large = aside.chance(25);
        self.capped = aside.chance(25);
    }

    /// Draws the settings that were added after those of `draw_aside`.
    pub(super) fn draw_later(&mut self, later: &mut Random) {
        self.versions = self.orchestrations.is_some() && later.chance(40);
        self.disputed = later.chance(25);
        self.large |= self.disputed;
    }

    /// Returns the versions of the orchestration with which a run begins and ends.
    pub(super) fn all_versions(&self) -> Versions {
        match self.versions {
            true => Versions::ALL,
            false => Versions::ONE,
        }
    }

    /// Draws the versions of one process of the hub.
    pub(super) fn draw_versions(&self, later: &mut Random) -> Versions {
        match self.versions {
            true => Versions::draw(later),
            false => Versions::ONE,
        }
    }

    /// Draws the limits of one process that were added after the first seeds entered the corpus.
    pub(super) fn limit_aside(&self, limits: &mut Limits, aside: &mut Random) {
        if self.large {
            limits.payload_bytes = *aside.pick(&[PAYLOAD_BYTES, MOST_PAYLOAD_BYTES]);
            limits.cache_bytes = *aside.pick(&[limits.cache_bytes, 100_000, 400_000]);
            limits.queue_bytes = *aside.pick(&[limits.queue_bytes, 70_000, 200_000]);
            limits.page_bytes = *aside.pick(&[limits.page_bytes, 70_000, 200_000]);
            limits.batch_bytes = *aside.pick(&[limits.batch_bytes, 70_000, 200_000]);
        }
        if self.capped {
            limits.requests_at_most = *aside.pick(&[1, 3, 10]);
            limits.early_events = *aside.pick(&[limits.early_events, 1, 3]);
            limits.early_bytes = *aside.pick(&[limits.early_bytes, 10, 200]);
        }
        if self.capped && self.forgetful {
            // No client repeats a request.
            limits.requests = *aside.pick(&[0, 1, 3]);
            limits.request_youth = Duration::from_millis(*aside.pick(&[0, 500]));
        }
        if self.drops_dead_letters() {
            limits.dead_letters = *aside.pick(&[0, 1, 2]);
        }
    }

    /// Returns whether dead letters are dropped. Not if entities delete themselves: a dropped log would hide which work
    /// was done.
    pub(super) fn drops_dead_letters(&self) -> bool {
        self.capped && !self.deaths && self.orchestrations.is_none()
    }

    /// Draws the limits of one process of the hub. Most are so small that everything is split into many pieces.
    pub(super) fn limits(&self, random: &mut Random) -> Limits {
        let request_retention = match self.forgetful {
            true => Duration::from_secs(1),
            false => Duration::from_secs(24 * 60 * 60),
        };
        let limits = Limits {
            payload_bytes: PAYLOAD_BYTES,
            batch_operations: *random.pick(&[1, 2, 3, 8, 1_024]),
            batch_bytes: *random.pick(&[200, 2_000, 4 << 20, 4 << 20]),
            cache_bytes: *random.pick(&[0, 0, 1_500, 1 << 20]),
            queue: *random.pick(&[1, 2, 5, 10_000]),
            queue_in_memory: *random.pick(&[0, 1, 2, 64]),
            queue_bytes: *random.pick(&[0, 1_000, 8 << 20, 8 << 20]),
            page: *random.pick(&[1, 2, 3, 256]),
            page_bytes: *random.pick(&[1, 300, 1 << 20, 1 << 20]),
            request_retention,
            // Ids that no client reuses may be forgotten early.
            requests: if self.forgetful { 1 } else { 100_000 },
            request_youth: Duration::from_millis(10),
            ..Limits::default()
        };
        Limits {
            // Not drawn, so that the seeds of the corpus keep their runs.
            sent_mail: (limits.page as u64).min(MOST_SENT_MAIL),
            ..limits
        }
    }
}
