//! Additions to a program after it was drawn. They are separate, so that old seeds draw the same programs.

use super::program::{Act, Program};
use super::{padding, versions};
use crate::simulation::padding::PAYLOAD_BYTES;
use crate::simulation::random::Random;
use crate::simulation::world::World;

impl World {
    /// Adds versions and padding to a program, and to the programs within it.
    pub(super) fn dress(&mut self, program: &mut Program) {
        if self.profile.versions {
            name_versions(program, &mut self.later);
        }
        if self.profile.disputed {
            padding::fill(program, &mut self.later);
        }
    }

    /// Draws the target size of an event of a client in bytes, or 0 for no padding.
    pub(super) fn size_of_event(&mut self) -> usize {
        match self.profile.disputed && self.later.chance(15) {
            true => PAYLOAD_BYTES - self.later.index(2),
            false => 0,
        }
    }

    /// Draws the version of a start for which a client names one.
    pub(super) fn some_version(&mut self) -> String {
        match self.profile.versions {
            true => (*self.later.pick(&versions::ALL)).to_owned(),
            false => String::new(),
        }
    }
}

fn name_versions(program: &mut Program, later: &mut Random) {
    program.tells_version = later.chance(50);
    program.next_version = some_version(later);
    each_act(&mut program.acts, &mut |act| match act {
        Act::Child { program, version, .. } | Act::Start { program, version, .. } => {
            *version = some_version(later);
            name_versions(program, later);
        }
        _ => {}
    });
}

fn some_version(later: &mut Random) -> Option<String> {
    later.chance(50).then(|| (*later.pick(&versions::ALL)).to_owned())
}

/// Calls `change` for each act, except for those of nested programs.
pub(super) fn each_act(acts: &mut [Act], change: &mut impl FnMut(&mut Act)) {
    for act in acts {
        change(act);
        match act {
            Act::Each(acts) | Act::Join(acts) | Act::Race(acts) | Act::Lock { inside: acts, .. } => {
                each_act(acts, change);
            }
            _ => {}
        }
    }
}
