//! The runtime of the engine: the threads that run cores, their inboxes and their outputs.

mod activities;
mod attempt;
mod backpressure;
pub(crate) mod callers;
mod contained;
pub(crate) mod driver;
mod executor;
mod feed;
mod hub_ref;
pub(crate) mod idle;
mod inbox;
#[cfg(feature = "testing")]
pub(crate) mod local;
pub(crate) mod mail;
mod meters;
#[cfg(all(test, shuttle))]
mod models;
mod portion;
mod release;
mod replays;
#[cfg(feature = "cluster")]
pub(crate) mod roles;
mod shared;
mod shares;
mod tasks;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;
mod totals;
mod watchdog;

pub(crate) use backpressure::Response;
#[cfg(test)]
pub(crate) use backpressure::{Backpressure, CapacityWaiter};
pub(crate) use feed::{Feed, Watcher};
pub(crate) use hub_ref::HubRef;
#[cfg(test)]
pub(crate) use inbox::Inbox;
#[cfg(feature = "cluster")]
pub(crate) use inbox::InboxReceiver;
pub(crate) use inbox::{Envelope, Reply};
pub(crate) use replays::ReplayPermit;
pub(crate) use shared::{Runtime, RuntimeConfig, Threads, closed};
