//! Properties of the core that no folder of it has for itself.

mod memory;
mod stage;
mod timers;
