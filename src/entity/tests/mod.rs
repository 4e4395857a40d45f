//! Entities that tests drive in the same way as the engine.

mod arguments;
mod calls;
mod outbox;
mod rollback;
mod stage;
