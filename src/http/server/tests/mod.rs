//! The server over real sockets, with slow, large and panicking routes that no hub has.

mod clients;
mod ending;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod idle;
mod refusals;
mod stage;
