//! Entities driven by hand, as the engine drives them.

mod arguments;
mod outbox;
mod rollback;
mod stage;
