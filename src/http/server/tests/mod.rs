//! The server over real sockets, with routes that no hub has: slow, large and panicking ones.

mod clients;
mod ending;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod idle;
mod refusals;
mod stage;
