//! Orchestrations: instances whose state is their history, from which their code is replayed.
//!
//! A turn takes the waiting messages and delivers them to the code one by one. It writes the delivered messages and the
//! resulting commands as one row of the history, and executes the commands. All of this is one commit.

mod begin;
mod children;
mod early;
mod effects;
mod end;
mod events;
mod open_steps;
mod orders;
mod purge;
mod replay;
mod rewind;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod unregistered;
mod waiters;

pub(super) use early::sweep_early_events;
pub(crate) use replay::{RecordedRun, ReplayedPart};
pub(super) use state::{OrchestrationState, Orchestrations, write_orchestrations};
pub(super) use turn::orchestrate;
pub(super) use unregistered::{tell_of_unregistered_activity, tell_of_unregistered_entity};
pub(super) use waiters::{Waiters, wait_for_end};
