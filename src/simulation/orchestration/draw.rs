//! Random programs.

use super::padding::Padding;
use super::program::{Act, Errand, Finish, Job, Program, Retry};
use crate::simulation::orchestration::program::MOST_ATTEMPTS;
use crate::simulation::plan::{End, Kind, Work, key};
use crate::simulation::profile::Profile;
use crate::simulation::random::Random;

/// Number of orchestration ids that clients and other orchestrations know.
pub(super) const KNOWN: u64 = 5;

/// Number of levels of nested programs.
const GENERATIONS: u64 = 2;

/// Draws programs, and numbers the activities and events in them.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Drawer {
    labels: u64,
    notes: u64,
}

/// Draws an id that clients and other orchestrations know.
pub(super) fn known_id(random: &mut Random) -> String {
    format!("o{}", random.below(KNOWN))
}

/// Draws the name of an event, in upper or lower case.
pub(super) fn event_name(random: &mut Random) -> String {
    (*random.pick(&["go", "GO", "go", "stop"])).to_owned()
}

impl Drawer {
    pub(super) fn program(&mut self, profile: &Profile, random: &mut Random) -> Program {
        self.grow(GENERATIONS, profile, random)
    }

    /// Returns a number that no other event has.
    pub(super) fn note(&mut self) -> u64 {
        self.notes += 1;
        self.notes
    }

    fn grow(&mut self, generations: u64, profile: &Profile, random: &mut Random) -> Program {
        let count = random.between(1, 4);
        Program {
            acts: self.acts(count, 2, generations, profile, random),
            rounds: if random.chance(25) {
                random.between(1, u64::from(MOST_ATTEMPTS)) as u32
            } else {
                0
            },
            keeps_events: random.chance(70),
            next_version: None,
            tells_version: false,
            input: 0,
            next_input: 0,
            output: 0,
            padding: Padding::default(),
            end: match random.below(100) {
                0..16 => Finish::Fail,
                16..18 if profile.failures => Finish::Panic,
                _ => Finish::Return,
            },
        }
    }

    fn acts(&mut self, count: u64, depth: u64, generations: u64, profile: &Profile, random: &mut Random) -> Vec<Act> {
        (0..count)
            .map(|_| self.act(depth, generations, profile, random))
            .collect()
    }

    fn act(&mut self, depth: u64, generations: u64, profile: &Profile, random: &mut Random) -> Act {
        let count = random.between(1, 3);
        match random.below(100) {
            0..6 if depth > 0 => Act::Each(self.acts(count, depth - 1, generations, profile, random)),
            0..14 if depth > 0 => Act::Join(self.acts(count, depth - 1, generations, profile, random)),
            0..24 if depth > 0 => Act::Race(self.acts(count, depth - 1, generations, profile, random)),
            0..40 => self.job(random),
            40..46 => Act::Timer(*random.pick(&[0, 1, 20, 500, 100_000])),
            46..58 => Act::Event {
                name: event_name(random),
                timeout: random.chance(70).then(|| *random.pick(&[0, 10, 5_000])),
            },
            58..68 => Act::Call(errand(profile, random)),
            68..74 => Act::Signal {
                errand: errand(profile, random),
                after: (profile.timers && random.chance(30)).then(|| *random.pick(&[0, 3, 2_000])),
            },
            74..86 => self.section(count, depth.saturating_sub(1), generations, profile, random),
            86..91 if generations > 0 => Act::Child {
                program: Box::new(self.grow(generations - 1, profile, random)),
                id: random.chance(20).then(|| known_id(random)),
                version: None,
                retry: random.chance(30).then(|| retry(random)),
                fatal: random.chance(30),
            },
            91..93 if generations > 0 => Act::Start {
                program: Box::new(self.grow(generations - 1, profile, random)),
                id: random.chance(30).then(|| known_id(random)),
                version: None,
            },
            93..98 => Act::Send {
                to: known_id(random),
                name: event_name(random),
                note: self.note(),
                bytes: 0,
            },
            _ => Act::Status(random.below(1_000)),
        }
    }

    /// Draws a critical section. Most of its calls go to the entities that it locks.
    fn section(&mut self, count: u64, depth: u64, generations: u64, profile: &Profile, random: &mut Random) -> Act {
        let entities: Vec<(Kind, String)> = (0..random.between(1, 3))
            .map(|_| (*random.pick(&Kind::ALL), key(profile, random)))
            .collect();
        let mut inside = self.acts(count, depth, generations, profile, random);
        for _ in 0..random.below(3) {
            let (kind, key) = random.pick(&entities).clone();
            let call = Act::Call(Errand {
                kind,
                key,
                ..errand(profile, random)
            });
            inside.insert(random.index(inside.len() + 1), call);
        }
        Act::Lock { entities, inside }
    }

    fn job(&mut self, random: &mut Random) -> Act {
        self.labels += 1;
        Act::Job {
            job: Job {
                label: self.labels,
                fails: *random.pick(&[0, 0, 0, 1, 2]),
                hard: random.chance(10),
                input: 0,
                answer: 0,
                padding: Padding::default(),
            },
            narrow: random.chance(30),
            retry: random.chance(40).then(|| retry(random)),
            fatal: random.chance(40),
        }
    }
}

fn retry(random: &mut Random) -> Retry {
    Retry {
        attempts: random.between(1, u64::from(MOST_ATTEMPTS)) as u32,
        first: *random.pick(&[0, 5, 1_000]),
        doubles: random.chance(50),
        overall: random.chance(20).then(|| *random.pick(&[3, 2_000])),
    }
}

fn errand(profile: &Profile, random: &mut Random) -> Errand {
    let pauses = (profile.slow && random.chance(20)).then(|| random.below(3) as u8);
    Errand {
        kind: *random.pick(&Kind::ALL),
        key: key(profile, random),
        work: Work {
            id: 0,
            end: match random.below(100) {
                0..6 if profile.failures => End::Refuse,
                6..9 if profile.failures => End::Panic,
                9..11 if profile.failures && pauses.is_some() => End::Hang,
                _ => End::Fine,
            },
            dies: profile.deaths && random.chance(5),
            pauses,
            sends: Vec::new(),
            arguments: 0,
            answer: 0,
            padding: String::new(),
        },
    }
}
