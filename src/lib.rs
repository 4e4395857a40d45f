//! Durable entities and orchestrations: actors and workflows that survive a crash, inside your own process.
//!
//! * An **entity** is a struct whose methods are operations. It has a name and a key, and a state that only its
//!   operations change, one at a time.
//! * An **orchestration** is an `async fn` whose steps are recorded. After a crash, it resumes where it was.
//! * An **activity** is a function that does the real work of an orchestration, such as a request to another system.
//! * A **hub** is the place where all of them live: one directory, opened by one process. There is no server to run.
//!
//! Every operation and every step takes effect exactly once, and whatever was acknowledged is on disk. The model is
//! that of Azure Durable Functions.
//!
//! # An entity
//!
//! ```
//! use abide::prelude::*;
//!
//! /// The state. It is stored as JSON.
//! #[derive(Entity, Default, Clone, Serialize, Deserialize)]
//! struct Account {
//!     cents: i64,
//! }
//!
//! /// Every `pub fn` is an operation.
//! #[operations]
//! impl Account {
//!     pub fn deposit(&mut self, cents: i64) -> i64 {
//!         self.cents += cents;
//!         self.cents
//!     }
//!
//!     /// A failed operation leaves no trace.
//!     pub fn withdraw(&mut self, cents: i64) -> Result<i64, Failure> {
//!         if self.cents < cents {
//!             return Err(Failure::message("insufficient funds"));
//!         }
//!         self.cents -= cents;
//!         Ok(self.cents)
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> abide::Result<()> {
//!     let hub = Hub::in_memory().entity::<Account>().open().await?;
//!     let alice = hub.client().entity::<Account>("alice");
//!
//!     // A signal is one-way. It is durable when its future resolves.
//!     alice.deposit(500).signal().await?;
//!     // A call waits for the answer, which arrives when its effect is durable.
//!     assert_eq!(alice.deposit(1).await?, 501);
//!     assert!(alice.withdraw(700).await.is_err());
//!
//!     hub.shutdown().await
//! }
//! ```
//!
//! # An orchestration with an activity
//!
//! ```
//! use std::time::Duration;
//!
//! use abide::prelude::*;
//!
//! /// An activity performs I/O. It runs at least once, and its policy retries it.
//! #[activity(retry(max_attempts = 3, first_interval = "100ms", backoff = 2))]
//! async fn charge(ctx: ActivityContext, cents: u64) -> Result<String, Failure> {
//!     Ok(format!("charged {cents} under {}", ctx.idempotency_key()))
//! }
//!
//! /// Between two awaits, an orchestration only computes, so that it can be replayed from its history.
//! #[orchestration]
//! async fn order(ctx: OrchestrationContext, cents: u64) -> Result<String, Failure> {
//!     // A durable timer. It may be as long as you like, and survives restarts.
//!     ctx.create_timer(Duration::from_millis(10)).await;
//!     Ok(ctx.call_activity::<charge>(cents).await?)
//! }
//!
//! #[tokio::main]
//! async fn main() -> abide::Result<()> {
//!     let hub = Hub::in_memory().activity::<charge>().orchestration::<order>().open().await?;
//!
//!     // The orchestration completes whether or not anyone waits for it.
//!     let run = hub.client().start::<order>(900).instance_id("order-17").await?;
//!     assert!(run.result().await?.starts_with("charged 900 under order-17/"));
//!
//!     hub.shutdown().await
//! }
//! ```
//!
//! [`Hub::in_memory`] is for tests and examples. [`Hub::builder`] keeps the data in a directory: kill such a program at
//! any `await` and start it again, and it continues.
//!
//! # Modules
//!
//! | Module | Contents |
//! |---|---|
//! | [`prelude`] | The imports of a program that defines entities and orchestrations |
//! | [`hub`] | Configuration, opening and shutdown |
//! | [`client`] | Calls and signals, starts, queries, and the management of orchestrations |
//! | [`entity`] | Entity types, operations, references and call errors |
//! | [`mod@orchestration`] | The context of an orchestration, and the futures that it creates |
//! | [`mod@activity`] | The context and the options of an activity |
//! | [`schedule`] | Orchestrations that start repeatedly, by the clock |
//! | [`history`] | The events of an orchestration |
//! | [`mod@metrics`] | The catalog of the metrics that a hub records |
//! | [`admin`] | Dead letters, locks, quarantine, statistics, and the inspection of a stopped hub |
//! | [`http`] | The management API over HTTP |
//! | [`http_client`] | HTTP requests from orchestrations |
//! | [`otel`] | Spans for OpenTelemetry |
//! | [`testing`] | A hub for tests: virtual time, replaced activities, a crash at every sync |
//!
//! # Features
//!
//! | Feature | Default | Adds |
//! |---|---|---|
//! | `rocksdb` | yes | Hubs in a directory, and their inspection. Without it, a hub only lives in memory |
//! | `http` | no | The module [`http`]: `hub.serve_http(..)` and `hub.http_router(..)` |
//! | `http-client` | no | The module [`http_client`]: `ctx.call_http(..)` in orchestrations |
//! | `otel` | no | The module [`otel`]: spans of orchestrations, activities, timers and entities |
//! | `cluster` | no | `Hub::cluster(..)`: a hub that survives its machine, with its log in PostgreSQL |
//! | `testing` | no | The module [`testing`], for `[dev-dependencies]` |
//! | `cli` | no | The program `abide`. It includes `http` and `rocksdb` |
//!
//! # Durability
//!
//! When a signal or a start resolves, or a call has its answer, its effects are on disk and survive a crash of the
//! process or of the machine. Operations, steps of orchestrations, and the messages between them take effect exactly
//! once. Activities and the I/O of `async` operations run at least once, so pass their idempotency key to the external
//! service if the effect must happen once. A request that failed with an I/O error or a timeout may have taken effect;
//! repeated under the same request id, it takes effect once. After a failed write the hub releases nothing more, and a
//! store that has lost acknowledged commits is not opened.
//!
//! The page *Guarantees* of the book states each of these exactly, and states what is not promised. The book is in the
//! folder `docs/src` of the repository.
//!
//! # Where to go next
//!
//! * [`trait@Entity`] and [`Operations`] have the rules for states and operations. [`EntityContext`] signals other
//!   entities and starts orchestrations.
//! * [`macro@orchestration`] explains what an orchestration may do between two awaits, and
//!   [`OrchestrationContext`] offers the steps. [`macro@activity`] lists the options of activities.
//! * [`Client`] reaches all of them from outside. [`OrchestrationHandle`] waits for one orchestration and manages it.
//! * [`CallError`] and [`Failure`] explain how errors keep their types. [`ErrorKind`] lists the errors of the runtime.
//! * [`EntityContext::for_test`] and [`ActivityContext::for_test`] create contexts for unit tests.
//! * [`HubBuilder`] has the limits of a hub, and [`admin::Admin`] its repairs.
//!
#![cfg_attr(feature = "http", doc = "[`http`]: crate::http")]
#![cfg_attr(not(feature = "http"), doc = "[`http`]: #features")]
#![cfg_attr(feature = "http-client", doc = "[`http_client`]: crate::http_client")]
#![cfg_attr(not(feature = "http-client"), doc = "[`http_client`]: #features")]
#![cfg_attr(feature = "otel", doc = "[`otel`]: crate::otel")]
#![cfg_attr(not(feature = "otel"), doc = "[`otel`]: #features")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::disallowed_methods))]

// The macros expand to paths that begin with `::abide`, also inside this crate.
extern crate self as abide;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod activity;
pub mod admin;
mod canonical;
pub mod client;
#[cfg(feature = "cluster")]
pub mod cluster;
mod commit;
mod engine;
pub mod entity;
mod error;
mod failure;
#[cfg(any(feature = "rocksdb", feature = "fuzzing", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http-client")]
pub mod http_client;
pub mod hub;
mod id;
mod json;
// Without RocksDB, only the simulation and the fuzz targets use it.
#[cfg(any(feature = "rocksdb", feature = "fuzzing", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code, unused_imports))]
mod log;
mod maps;
pub mod metrics;
mod model;
pub mod orchestration;
#[cfg(feature = "otel")]
pub mod otel;
mod panic;
mod payload;
mod placed;
mod planted;
pub mod prelude;
mod random;
mod resource;
mod retry;
mod runtime;
pub mod schedule;
mod schema;
#[cfg(test)]
mod simulation;
mod spawn;
mod store;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod trace;
#[cfg(feature = "cluster")]
mod transport;
mod views;

/// The examples of the README and of the book, as doctests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/src/activities-and-resources.md")]
    struct ActivitiesAndResources;

    #[doc = include_str!("../docs/src/coming-from-actor-crates.md")]
    struct ComingFromActorCrates;

    #[doc = include_str!("../docs/src/coming-from-durable-functions.md")]
    struct ComingFromDurableFunctions;

    #[doc = include_str!("../docs/src/coming-from-temporal-or-restate.md")]
    struct ComingFromTemporalOrRestate;

    #[cfg(feature = "rocksdb")]
    #[doc = include_str!("../docs/src/determinism-versions-and-deployment.md")]
    struct DeterminismVersionsAndDeployment;

    #[doc = include_str!("../docs/src/entities.md")]
    struct Entities;

    #[doc = include_str!("../docs/src/errors-and-retries.md")]
    struct ErrorsAndRetries;

    #[doc = include_str!("../docs/src/evidence.md")]
    struct Evidence;

    #[doc = include_str!("../docs/src/getting-started.md")]
    struct GettingStarted;

    #[doc = include_str!("../docs/src/guarantees.md")]
    struct Guarantees;

    // Its examples name the feature `http` themselves.
    #[doc = include_str!("../docs/src/http.md")]
    struct Http;

    #[cfg(feature = "rocksdb")]
    #[doc = include_str!("../docs/src/operating.md")]
    struct Operating;

    #[doc = include_str!("../docs/src/orchestrations.md")]
    struct Orchestrations;

    #[cfg(all(feature = "rocksdb", feature = "testing"))]
    #[doc = include_str!("../docs/src/testing.md")]
    struct Testing;

    // Its example names the feature `otel` itself.
    #[doc = include_str!("../docs/src/traces.md")]
    struct Traces;
}

pub use abide_macros::{Entity, FromCallError, activity, operations, orchestration};

pub use activity::{Activity, ActivityContext};
pub use client::{Client, OrchestrationHandle, OrchestrationStatus};
pub use entity::{CallError, Entity, EntityContext, EntityRef, Key, NoError, OperationError, Operations, ReadContext};
pub use error::{Error, ErrorKind, Result};
pub use failure::{Cause, Failure};
pub use hub::{Hub, HubBuilder};
pub use id::{EntityId, MAX_ID_BYTES};
pub use orchestration::{Orchestration, OrchestrationContext};
pub use placed::Placed;
pub use resource::Resource;
pub use retry::RetryPolicy;
