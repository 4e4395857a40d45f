#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::disallowed_methods))]

// The macros write `::abide`, also where they are used inside this crate.
extern crate self as abide;

#[cfg(feature = "rocksdb")]
#[doc(hidden)]
#[path = "bench.rs"]
pub mod __bench;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod activity;
mod canonical;
mod client;
mod commit;
mod engine;
mod entity;
mod error;
mod failure;
#[cfg(any(feature = "rocksdb", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
mod files;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http-client")]
mod http_client;
mod hub;
mod id;
mod json;
// Without RocksDB only the simulation uses it.
#[cfg(any(feature = "rocksdb", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code, unused_imports))]
mod log;
mod orchestration;
mod payload;
pub mod prelude;
mod resource;
mod retry;
mod runtime;
mod schedule;
#[cfg(test)]
mod simulation;
mod spawn;
mod store;
mod time;
mod trace;

pub use abide_macros::{Entity, FromCallError, activity, operations, orchestration};
pub use activity::{Activity, ActivityContext, ActivityOptions, BoxFuture};
pub use client::{
    Cancel, Cancellation, Client, DeadLetter, DeadLetterPage, EntityCall, EntityHandle, EntityInfo, EntityLock,
    EntityPage, EntityQuery, EntitySignal, HistoryEvent, HistoryEventKind, HistoryStep, InstanceHandle, LockPage,
    OrchestrationCount, OrchestrationHandle, OrchestrationInfo, OrchestrationPage, OrchestrationQuery, Purge,
    QuarantinePage, Quarantined, RaiseEvent, Registered, RegisteredEntity, RegisteredOperation,
    RegisteredOrchestration, Retention, Schedule, Signal, Start, Status, Terminate, Unreadable, Untyped,
};
pub use engine::VersionMatch;
pub use entity::{
    Answer, Argument, CallError, Caller, CanCall, ClientCaller, Entity, EntityCaller, EntityContext, EntityRef, Key,
    NamedTimer, NoError, Operation, OperationError, Operations, ReadContext, ReadState,
};
pub use error::{Error, ErrorKind, Result};
pub use failure::{Cause, Failure};
#[cfg(feature = "http-client")]
pub use http_client::{HttpCall, HttpError, HttpRequest, HttpResponse};
#[cfg(feature = "rocksdb")]
pub use hub::{CheckProblem, CheckReport, CheckedTable, HubSummary, Inspection, ReplayProblem, ReplayReport};
pub use hub::{Hub, HubBuilder, HubStats};
pub use id::{EntityId, MAX_ID_BYTES};
pub use orchestration::{
    ActivityCall, ChildCall, ChildStart, ContinueAsNew, EntityStart, EventOr, EventTimeout, EventWait, LocalBoxFuture,
    LockGuard, LockRequest, LockTargets, Orchestration, OrchestrationCaller, OrchestrationContext, ParentInfo, Random,
    Timer,
};
pub use resource::Resource;
pub use retry::RetryPolicy;
pub use schedule::{CreateSchedule, MissedRuns, ScheduleInfo, SchedulePage, Schedules, Timing};
pub use store::records::instance::{
    OrchestrationStatus, ReusePolicy, StopKind, Stopped, Unregistered, UnregisteredKind,
};
