//! The server. It accepts connections within limits of number, size and time, and passes their requests to the router.

mod accept;
mod connection;
mod exchange;
mod handle;
mod refusal;
mod serve;
mod stop;
mod stream;
#[cfg(test)]
mod tests;

pub use handle::HttpServer;
pub use serve::serve;
pub(super) use stop::Stopping;
