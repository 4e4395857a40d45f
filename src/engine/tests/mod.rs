//! Properties of the core that no folder of it has for itself.

mod aging;
mod memory;
mod stage;
mod timers;
