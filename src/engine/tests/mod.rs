//! Properties of the core that no folder of it has for itself.

mod aging;
mod bounds;
pub(super) mod counting;
mod lingering;
mod memory;
mod queue;
mod stage;
mod timers;
