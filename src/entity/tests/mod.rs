//! Entities driven by hand, as the engine drives them.

mod arguments;
mod calls;
mod outbox;
mod rollback;
mod stage;
