//! Orchestrations in the simulation: random programs, acted out by one orchestration and followed by a plain reference.
//!
//! `program` is what an orchestration is given as its input, `actor` acts it out through the public API, `reference` says
//! what has to come of it. `lockstep` compares the two at every turn, `check` compares histories, rows and effects after every
//! crash, when all is idle, and at rest.

mod actor;
mod asking;
mod check;
mod chronicle;
mod code;
mod conditions;
mod draw;
mod dress;
mod effects;
mod ending;
mod inventory;
mod jobs;
mod lockstep;
mod padding;
mod program;
mod reference;
mod rows;
mod steps;
mod versions;
mod waits;

use std::sync::Arc;

use super::builds::Build;
use crate::activity::activity_code;
use crate::engine::Registry;

pub(super) use chronicle::Chronicle;
pub(super) use conditions::Conditions;
pub(super) use draw::Drawer;
pub(super) use effects::repeated;
pub(super) use jobs::RunningJob;
pub(super) use program::is_of_orchestration;
pub(super) use versions::Versions;

/// Adds what a build knows of orchestrations.
pub(super) fn register(registry: &mut Registry, build: Build, versions: Versions) {
    if build != Build::LacksOrchestrations {
        registry.version_policy = versions.version_policy();
        for version in versions.registered() {
            registry
                .add_orchestration(Arc::new(lockstep::Lockstep::new(version, versions)))
                .expect("its name is legal");
        }
    }
    if build != Build::LacksActivities {
        for code in [activity_code::<actor::Wide>(), activity_code::<actor::Narrow>()] {
            registry.add_activity(code).expect("its name is legal");
        }
    }
}
