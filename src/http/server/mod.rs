//! The server: it takes in connections within bounds of number, size and time, and lets the router answer.

mod accept;
mod connection;
mod exchange;
mod handle;
mod refusal;
mod serve;
mod stream;
#[cfg(test)]
mod tests;

pub use handle::HttpServer;
