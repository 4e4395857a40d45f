//! `abide instances`

mod batch;
mod filter;
mod history;
mod list;
mod manage;
mod purge;
mod show;
mod start;
mod tree;
mod wait;
mod why;

use clap::Subcommand;

pub(crate) use filter::Filter;

use crate::exit::Result;
use crate::session::Session;

/// The commands for orchestrations.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists orchestrations.
    List(list::Arguments),
    /// Shows the status of an orchestration, with its input and output.
    Show(show::Arguments),
    /// Shows the history of an orchestration, event by event.
    History(history::Arguments),
    /// Starts an orchestration.
    Start(start::Arguments),
    /// Raises an external event.
    RaiseEvent(manage::RaiseEvent),
    /// Terminates an orchestration immediately.
    Terminate(manage::Because),
    /// Suspends an orchestration: running activities finish, and new messages wait.
    Suspend(manage::Because),
    /// Resumes a suspended or stopped orchestration.
    Resume(manage::Because),
    /// Rewinds a failed orchestration to before its failure, keeping completed work.
    Rewind(manage::Because),
    /// Restarts an orchestration with its input.
    Restart(manage::Restart),
    /// Deletes orchestrations that have ended.
    Purge(purge::Arguments),
    /// Waits until an orchestration ends, and prints its output.
    Wait(wait::Arguments),
    /// Explains why an orchestration does not continue.
    Why(why::Arguments),
    /// Shows the orchestrations that an orchestration has started, and theirs.
    Tree(tree::Arguments),
    /// Checks whether the registered code still fits the history of an orchestration.
    Replay(manage::Replay),
    /// Applies an action to all matching orchestrations, and waits until it is done.
    Batch(batch::Arguments),
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
        Command::Why(arguments) => why::run(session, &arguments),
        Command::Tree(arguments) => tree::run(session, &arguments),
        Command::Replay(arguments) => manage::replay(session, &arguments),
        Command::Batch(arguments) => batch::run(session, &arguments),
    }
}
