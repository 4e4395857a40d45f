//! The management API: what clients of Azure Durable Functions speak, and what operating a hub needs beyond it.

mod config;
mod error;
mod security;

pub use config::HttpConfig;
pub use security::{Scope, Token};
