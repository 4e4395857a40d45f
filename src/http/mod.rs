//! The management API over HTTP: the routes of Azure Durable Functions' built-in API, so that its clients and tools work
//! against a hub unchanged, and what operating a hub needs beyond it.
//!
//! Everything lies under `/runtime/webhooks/durabletask`. The document `openapi.json` there describes each route.

mod config;
mod documents;
mod error;
mod extract;
#[doc(hidden)]
pub mod fuzz;
mod links;
mod names;
mod normalise;
mod page;
mod payload;
mod query;
mod room;
mod routes;
mod security;
mod server;
mod state;
mod trace;
mod twice;

pub use config::HttpConfig;
pub use links::ManagementUrls;
pub use routes::router;
pub use security::{Scope, Token};
pub use server::HttpServer;

/// The path under which everything lies. Source: Azure Durable Functions.
const BASE_PATH: &str = "/runtime/webhooks/durabletask";
