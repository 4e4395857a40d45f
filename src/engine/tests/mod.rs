//! Properties of the core that no folder of it has for itself.

mod aging;
mod bounds;
mod memory;
mod queue;
mod stage;
mod timers;
