//! Plans: the arguments of a message contain all work that follows from it, so the simulation knows the expected
//! result.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::profile::Profile;
use super::random::Random;
use crate::id::InstanceId;

/// A time that no run reaches. A timer that is due then remains until the end, unless it is canceled.
pub(super) const NEVER_MS: u64 = 1_000_000_000_000;

/// One piece of work. It appears once in the log of one entity, or never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Work {
    /// Number that is unique in the run and not zero.
    pub(super) id: u64,
    pub(super) end: End,
    /// Set if the entity then sends its log to the archive and deletes itself.
    pub(super) dies: bool,
    /// Number of times an `async` operation yields before it ends. `None` runs the work within the turn.
    pub(super) pauses: Option<u8>,
    /// The work that it sends, in order.
    pub(super) sends: Vec<Sending>,
    /// Target size of its arguments in bytes, or 0 for no padding.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) arguments: usize,
    /// Target size of its answer in bytes, or 0 for no padding.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) answer: usize,
    /// Padding of its arguments.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) padding: String,
}

fn is_none(bytes: &usize) -> bool {
    *bytes == 0
}

/// The end of an operation, after it has changed its state and sent everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    Fine,
    Refuse,
    Panic,
    /// The answer exceeds the limit.
    TooLong,
    /// The answer, or a payload that it sends, exceeds the limit of some processes. The operation succeeds in the
    /// others.
    Disputed,
    /// The state cannot be serialized.
    Unwritable,
    /// The `async` operation never ends.
    Hang,
}

/// Work that an operation sends to another entity or to its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sending {
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) how: How,
    pub(super) work: Work,
}

/// The entity types that do work. They differ only in how they are rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Implements `Clone`.
    Ledger,
    /// Does not implement `Clone`, so it is rolled back to its serialized state.
    Register,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Ledger, Self::Register];

    pub(super) fn id(self, key: &str) -> InstanceId {
        match self {
            Self::Ledger => InstanceId::trusted(format!("@ledger@{key}")),
            Self::Register => InstanceId::trusted(format!("@register@{key}")),
        }
    }
}

/// The way in which work is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    Now,
    /// After this delay in milliseconds.
    After(u64),
    /// Scheduled for the far future and canceled at once.
    Canceled,
    /// Scheduled for the far future and canceled by a later operation of the sender.
    Withdrawn,
}

/// The plan of one piece of work.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) target: InstanceId,
    pub(super) end: End,
    pub(super) how: How,
    pub(super) parent: Option<u64>,
    /// The work that it sends, in order.
    pub(super) children: Vec<u64>,
}

impl How {
    /// Returns whether the work is never done.
    pub(super) fn is_void(self) -> bool {
        matches!(self, Self::Canceled | Self::Withdrawn)
    }
}

impl Work {
    /// Returns the operation that does it.
    pub(super) fn operation(&self) -> &'static str {
        match self.pauses {
            None => "work",
            Some(_) => "work_slowly",
        }
    }
}

/// Draws plans and stores them.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub(super) nodes: BTreeMap<u64, Node>,
}

impl Plans {
    /// Draws a piece of work for `target` and all work that follows from it.
    pub(super) fn draw(&mut self, target: InstanceId, profile: &Profile, random: &mut Random) -> Work {
        let depth = random.below(4);
        self.grow(target, How::Now, None, depth, profile, random)
    }

    fn grow(
        &mut self,
        target: InstanceId,
        how: How,
        parent: Option<u64>,
        depth: u64,
        profile: &Profile,
        random: &mut Random,
    ) -> Work {
        let id = self.nodes.len() as u64 + 1;
        let pauses = (profile.slow && random.chance(20)).then(|| random.below(4) as u8);
        let end = match random.below(100) {
            0..4 if profile.failures => End::Refuse,
            4..8 if profile.failures => End::Panic,
            8..9 if profile.failures => End::TooLong,
            9..11 if profile.failures => End::Unwritable,
            11..20 if profile.failures && pauses.is_some() => End::Hang,
            _ => End::Fine,
        };
        let node = Node {
            target: target.clone(),
            end,
            how,
            parent,
            children: Vec::new(),
        };
        self.nodes.insert(id, node);
        let dies = profile.deaths && random.chance(15);
        let count = if depth == 0 { 0 } else { random.below(4) };
        let mut sends = Vec::new();
        for _ in 0..count {
            let (kind, key) = if random.chance(20) {
                own(&target)
            } else {
                (*random.pick(&Kind::ALL), key(profile, random))
            };
            let how = match random.below(100) {
                0..15 if profile.timers => How::After(*random.pick(&[0, 0, 1, 5, 100, 5_000])),
                15..20 if profile.timers => How::Canceled,
                20..30 if profile.timers => How::Withdrawn,
                _ => How::Now,
            };
            let work = self.grow(kind.id(&key), how, Some(id), depth - 1, profile, random);
            sends.push(Sending { kind, key, how, work });
        }
        let children = sends.iter().map(|sending| sending.work.id).collect();
        self.nodes.get_mut(&id).expect("the node was inserted above").children = children;
        Work {
            id,
            end,
            dies,
            pauses,
            sends,
            arguments: 0,
            answer: 0,
            padding: String::new(),
        }
    }
}

/// Draws the key of an entity.
pub(super) fn key(profile: &Profile, random: &mut Random) -> String {
    profile.key(random.below(profile.keys))
}

fn own(target: &InstanceId) -> (Kind, String) {
    let kind = match target.as_str().starts_with("@ledger@") {
        true => Kind::Ledger,
        false => Kind::Register,
    };
    let key = target.as_str().rsplit('@').next().unwrap_or_default();
    (kind, key.to_owned())
}
