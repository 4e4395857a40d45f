//! The sans-IO core: it performs no I/O, reads no clock and draws no chance.

pub(crate) mod code;
pub(crate) mod outbox;
pub(crate) mod scope;
