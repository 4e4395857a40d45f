//! The server over real sockets, with routes that no hub has: slow, large and panicking ones.

mod clients;
mod ending;
mod idle;
mod refusals;
mod stage;
