//! Orchestrations in the simulation: random programs, executed by one orchestration and replayed by a plain reference.
//!
//! `program` defines the input of the orchestration, `actor` executes it through the public API, and `reference`
//! computes the expected commands. `lockstep` compares the two at every turn. `check` compares histories, rows and
//! effects after every crash, when the hub is idle, and at rest.

mod actor;
mod asking;
mod check;
mod code;
mod conditions;
mod draw;
mod dress;
mod effects;
mod ending;
mod inventory;
mod jobs;
mod lockstep;
mod mirror;
mod observations;
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

pub(super) use conditions::Conditions;
pub(super) use draw::Drawer;
pub(super) use effects::repeated;
pub(super) use jobs::RunningJob;
pub(super) use mirror::Mirror;
pub(super) use observations::Observations;
pub(super) use program::is_of_orchestration;
pub(super) use versions::Versions;

/// Registers the orchestrations and the activities of a build.
pub(super) fn register(registry: &mut Registry, build: Build, versions: Versions) {
    if build != Build::LacksOrchestrations {
        registry.version_policy = versions.version_policy();
        for version in versions.registered() {
            registry
                .add_orchestration(Arc::new(lockstep::Lockstep::new(version, versions)))
                .expect("the name is valid");
        }
    }
    if build != Build::LacksActivities {
        for code in [activity_code::<actor::Wide>(), activity_code::<actor::Narrow>()] {
            registry.add_activity(code).expect("the name is valid");
        }
    }
}
