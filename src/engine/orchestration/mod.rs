//! Orchestrations: instances whose state is their history, and whose code is replayed from it.
//!
//! A turn takes the messages that wait, tells them to the code one by one, writes what was told and what the code asked for
//! as one row of the history, and carries out what it asked for, all in one commit.

mod begin;
mod children;
mod early;
mod effects;
mod end;
mod events;
mod instance;
mod open_steps;
mod orders;
mod purge;
mod replay;
mod rewind;
#[cfg(test)]
mod tests;
mod turn;
mod unregistered;
mod waiters;

pub(super) use early::sweep_early_events;
pub(super) use instance::{Instances, write_instances};
#[allow(unused_imports, reason = "only who looks at a directory asks for it")]
pub(crate) use replay::replay;
pub(super) use turn::orchestrate;
pub(super) use unregistered::{tell_of_unregistered_activity, tell_of_unregistered_entity};
pub(super) use waiters::{Waiters, wait_for_end};
