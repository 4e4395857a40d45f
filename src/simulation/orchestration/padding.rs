//! Payloads of orchestrations at the size limit, or above the limit of some processes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::program::{Act, Program};
use crate::id::Sequence;
use crate::model::history::Command;
use crate::simulation::padding::{DISPUTED_BYTES, MOST_PAYLOAD_BYTES, PAYLOAD_BYTES};
use crate::simulation::plan::{End, Work};
use crate::simulation::random::Random;

/// The padding of a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Padding(String);

impl Padding {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the padding that brings the JSON of `value` to this size. The padding of `value` must be empty, so that
    /// its JSON omits the field.
    pub(super) fn up_to(bytes: usize, value: &impl Serialize) -> Self {
        if bytes == 0 {
            return Self::default();
        }
        let without = serde_json::to_vec(value).expect("a program serializes").len();
        let field = r#","padding":"""#.len();
        Self("x".repeat(bytes.saturating_sub(without + field)))
    }
}

/// An event as it is sent: a number and padding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Note {
    Bare(u64),
    Padded(u64, Padding),
}

impl Note {
    pub(super) fn new(number: u64, bytes: usize) -> Self {
        let without = number.to_string().len() + r#"[,""]"#.len();
        match bytes {
            0 => Self::Bare(number),
            _ => Self::Padded(number, Padding("x".repeat(bytes.saturating_sub(without)))),
        }
    }

    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Bare(number) | Self::Padded(number, _) => *number,
        }
    }

    /// Returns the number of an event.
    pub(super) fn read(payload: &[u8]) -> u64 {
        let note: Self = serde_json::from_slice(payload).expect("an event contains a number");
        note.number()
    }
}

/// The rule that decides whether a payload is too large.
#[derive(Debug)]
pub(super) enum Bound {
    /// The limit of the process in which a turn is new.
    Limit(usize),
    /// The payloads that were refused when the turn was new.
    Recorded(BTreeSet<Sequence>),
}

impl Default for Bound {
    fn default() -> Self {
        Self::Recorded(BTreeSet::new())
    }
}

impl Bound {
    pub(super) fn of(commands: &[Command]) -> Self {
        let refused = commands.iter().filter_map(|command| match command {
            Command::Refuse { sequence, .. } => Some(*sequence),
            _ => None,
        });
        Self::Recorded(refused.collect())
    }

    /// Returns whether a payload is permitted.
    pub(super) fn permits(&self, sequence: Sequence, bytes: usize) -> bool {
        match self {
            Self::Limit(limit) => bytes <= *limit,
            Self::Recorded(refused) => {
                let permitted = !refused.contains(&sequence);
                let is_possible = match permitted {
                    true => bytes <= MOST_PAYLOAD_BYTES,
                    false => bytes > PAYLOAD_BYTES,
                };
                assert!(
                    is_possible,
                    "a payload of {bytes} bytes was recorded with permitted = {permitted}"
                );
                permitted
            }
        }
    }
}

/// Pads some of the payloads in a program.
pub(super) fn fill(program: &mut Program, later: &mut Random) {
    (program.input, program.next_input) = (size(later), size(later));
    program.output = size(later).saturating_sub(100);
    super::dress::each_act(&mut program.acts, &mut |act| match act {
        Act::Job { job, .. } => (job.input, job.answer) = (size(later), size(later)),
        Act::Call(errand) | Act::Signal { errand, .. } => fill_work(&mut errand.work, later),
        Act::Send { bytes, .. } => *bytes = size(later),
        Act::Child { program, .. } | Act::Start { program, .. } => {
            fill(program, later);
        }
        _ => {}
    });
}

fn fill_work(work: &mut Work, later: &mut Random) {
    work.arguments = size(later);
    if work.end == End::Fine && later.chance(10) {
        (work.end, work.answer) = (End::Disputed, DISPUTED_BYTES);
    }
}

/// Draws the target size of a payload in bytes. Most often it is 0, which means no padding.
fn size(later: &mut Random) -> usize {
    let sizes = [
        PAYLOAD_BYTES - 1,
        PAYLOAD_BYTES,
        DISPUTED_BYTES,
        MOST_PAYLOAD_BYTES,
        MOST_PAYLOAD_BYTES + 1,
    ];
    match later.chance(15) {
        true => *later.pick(&sizes),
        false => 0,
    }
}
