//! What a user of orchestrations touches.

mod kind;

pub use kind::Orchestration;
