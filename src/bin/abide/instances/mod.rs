//! `abide instances`: orchestrations.

mod filter;
mod history;
mod list;
mod manage;
mod purge;
mod show;
mod start;
mod wait;

use clap::Subcommand;

pub(crate) use filter::Filter;

use crate::exit::Result;
use crate::session::Session;

/// What to do with orchestrations.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists orchestrations.
    List(list::Arguments),
    /// Shows how one orchestration stands, with input and output.
    Show(show::Arguments),
    /// Shows what happened to one orchestration, event by event.
    History(history::Arguments),
    /// Starts an orchestration.
    Start(start::Arguments),
    /// Raises an external event.
    RaiseEvent(manage::RaiseEvent),
    /// Ends an orchestration at once, wherever it stands.
    Terminate(manage::Because),
    /// Lets an orchestration rest: what runs finishes, and what comes waits.
    Suspend(manage::Because),
    /// Lets an orchestration go on that was suspended or is stopped.
    Resume(manage::Because),
    /// Begins a failed orchestration again from before its failure, keeping what was done.
    Rewind(manage::Because),
    /// Starts an orchestration once more with its input.
    Restart(manage::Restart),
    /// Forgets orchestrations that have ended.
    Purge(purge::Arguments),
    /// Waits for the end of an orchestration and prints its output.
    Wait(wait::Arguments),
}

pub(crate) fn run(session: &mut Session, command: Command) -> Result {
    match command {
        Command::List(arguments) => list::run(session, &arguments),
        Command::Show(arguments) => show::run(session, &arguments),
        Command::History(arguments) => history::run(session, &arguments),
        Command::Start(arguments) => start::run(session, &arguments),
        Command::RaiseEvent(arguments) => manage::raise_event(session, &arguments),
        Command::Terminate(arguments) => manage::because(session, "terminate", "terminated", &arguments),
        Command::Suspend(arguments) => manage::because(session, "suspend", "suspended", &arguments),
        Command::Resume(arguments) => manage::because(session, "resume", "resumed", &arguments),
        Command::Rewind(arguments) => manage::because(session, "rewind", "rewound", &arguments),
        Command::Restart(arguments) => manage::restart(session, &arguments),
        Command::Purge(arguments) => purge::run(session, &arguments),
        Command::Wait(arguments) => wait::run(session, &arguments),
    }
}
