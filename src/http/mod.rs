//! The management API: what clients of Azure Durable Functions speak, and what operating a hub needs beyond it.

mod config;
mod error;
mod routes;
mod security;
mod server;

pub use config::HttpConfig;
pub use routes::router;
pub use security::{Scope, Token};
pub use server::HttpServer;

/// The path under which everything lies. Source: Azure Durable Functions.
const BASE_PATH: &str = "/runtime/webhooks/durabletask";
