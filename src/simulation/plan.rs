//! Plans: a message carries in its arguments everything that it shall lead to, so that the simulation knows it, too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::climate::Climate;
use super::random::Random;
use crate::id::InstanceId;

/// A time that no run reaches: a timer that is due then has to be cancelled, or it is there at the end.
pub(super) const NEVER_MS: u64 = 1_000_000_000_000;

/// One piece of work: noted once in the log of one entity, or never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Work {
    /// No other work of the run has this number. Not zero.
    pub(super) id: u64,
    pub(super) end: End,
    /// The entity hands its log to the archive and deletes itself.
    pub(super) dies: bool,
    /// How often an `async` operation waits before it ends; `None` runs within the turn.
    pub(super) pauses: Option<u8>,
    /// What it sends, in order.
    pub(super) sends: Vec<Sending>,
    /// How many bytes its arguments are to have, or 0.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) arguments: usize,
    /// How many bytes its answer is to have, or 0.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) answer: usize,
    /// What fills up its arguments.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) padding: String,
}

fn is_none(bytes: &usize) -> bool {
    *bytes == 0
}

/// How the operation ends. It has changed its state and sent everything before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    Fine,
    Refuse,
    Panic,
    /// The answer is over the limit.
    TooLong,
    /// The answer, or what it sends, is over the limit of some lives. It ends well in the others.
    Disputed,
    /// The state cannot be encoded.
    Unwritable,
    /// An `async` operation never ends.
    Hang,
}

/// A piece of work for another entity, or for the same one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sending {
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) how: How,
    pub(super) work: Work,
}

/// The types of entities that do work. They do the same and differ in how they are rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// `Clone`.
    Ledger,
    /// Not `Clone`: rolled back by its encoding.
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

/// How work is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    Now,
    /// After so many milliseconds.
    After(u64),
    /// Scheduled far away and cancelled at once.
    Canceled,
    /// Scheduled far away and cancelled by a later operation of the sender.
    Withdrawn,
}

/// What the simulation knows of one piece of work.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) target: InstanceId,
    pub(super) end: End,
    pub(super) how: How,
    pub(super) parent: Option<u64>,
    /// What it sends, in order.
    pub(super) children: Vec<u64>,
}

impl How {
    /// Whether the work will never be done.
    pub(super) fn is_void(self) -> bool {
        matches!(self, Self::Canceled | Self::Withdrawn)
    }
}

impl Work {
    /// The operation that does it.
    pub(super) fn operation(&self) -> &'static str {
        match self.pauses {
            None => "work",
            Some(_) => "work_slowly",
        }
    }
}

/// Draws plans and remembers them.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub(super) nodes: BTreeMap<u64, Node>,
}

impl Plans {
    /// Draws a piece of work for `target`, with all that follows from it.
    pub(super) fn draw(&mut self, target: InstanceId, climate: &Climate, random: &mut Random) -> Work {
        let depth = random.below(4);
        self.grow(target, How::Now, None, depth, climate, random)
    }

    fn grow(
        &mut self,
        target: InstanceId,
        how: How,
        parent: Option<u64>,
        depth: u64,
        climate: &Climate,
        random: &mut Random,
    ) -> Work {
        let id = self.nodes.len() as u64 + 1;
        let pauses = (climate.slow && random.chance(20)).then(|| random.below(4) as u8);
        let end = match random.below(100) {
            0..4 if climate.failures => End::Refuse,
            4..8 if climate.failures => End::Panic,
            8..9 if climate.failures => End::TooLong,
            9..11 if climate.failures => End::Unwritable,
            11..20 if climate.failures && pauses.is_some() => End::Hang,
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
        let dies = climate.deaths && random.chance(15);
        let count = if depth == 0 { 0 } else { random.below(4) };
        let mut sends = Vec::new();
        for _ in 0..count {
            let (kind, key) = if random.chance(20) {
                own(&target)
            } else {
                (*random.pick(&Kind::ALL), key(climate, random))
            };
            let how = match random.below(100) {
                0..15 if climate.timers => How::After(*random.pick(&[0, 0, 1, 5, 100, 5_000])),
                15..20 if climate.timers => How::Canceled,
                20..30 if climate.timers => How::Withdrawn,
                _ => How::Now,
            };
            let work = self.grow(kind.id(&key), how, Some(id), depth - 1, climate, random);
            sends.push(Sending { kind, key, how, work });
        }
        let children = sends.iter().map(|sending| sending.work.id).collect();
        self.nodes.get_mut(&id).expect("it was put in above").children = children;
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
pub(super) fn key(climate: &Climate, random: &mut Random) -> String {
    format!("k{}", random.below(climate.keys))
}

fn own(target: &InstanceId) -> (Kind, String) {
    let kind = match target.as_str().starts_with("@ledger@") {
        true => Kind::Ledger,
        false => Kind::Register,
    };
    let key = target.as_str().rsplit('@').next().unwrap_or_default();
    (kind, key.to_owned())
}
