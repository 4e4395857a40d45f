//! The management API over HTTP.
//!
//! It provides the routes of the built-in API of Azure Durable Functions, so that its clients and tools work with a hub
//! unchanged, and further routes for operating a hub.
//!
//! All routes lie under `/runtime/webhooks/durabletask`. The document `openapi.json` there describes each route.

mod batches;
mod config;
#[cfg(feature = "dashboard")]
mod dashboard;
mod documents;
mod double_encoding;
mod error;
mod extract;
mod links;
mod names;
mod normalize;
mod page;
mod payload;
mod query;
mod response_budget;
mod routes;
mod security;
mod server;
mod state;
mod trace;

#[cfg(feature = "fuzzing")]
pub(crate) use query::{fuzz as fuzz_query, parse_time};

pub use config::HttpConfig;
pub use links::ManagementUrls;
pub use routes::router;
pub use security::{Scope, Token};
pub use server::{HttpServer, serve};

/// Base path of all routes, as in Azure Durable Functions.
pub const BASE_PATH: &str = "/runtime/webhooks/durabletask";
