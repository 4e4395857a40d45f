//! Properties of the core that involve several of its folders.

mod aging;
mod bounds;
pub(super) mod counting;
mod history;
mod lingering;
mod memory;
mod queue;
mod stage;
mod timers;
