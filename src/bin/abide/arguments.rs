//! What can be written behind `abide`.

use std::fmt;

use clap::{Parser, Subcommand};

use crate::exit;
use crate::hub::Place;
use crate::{check, completions, dead_letters, entities, export, hubs, instances, locks, quarantine, schedules, stats};

/// Looks into an Abide hub and acts on it: a running one by its URL, a stopped one in its directory, read-only.
#[derive(Debug, Parser)]
#[command(name = "abide", version, after_help = exit::HELP, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Arguments {
    /// The URL of a running hub, or the directory of a stopped one.
    #[arg(
        long,
        global = true,
        env = "ABIDE_HUB",
        value_name = "URL|DIRECTORY",
        default_value = "http://127.0.0.1:7071"
    )]
    pub(crate) hub: Place,

    /// The token of a running hub. In the environment it is seen by fewer people than on a command line.
    #[arg(long, global = true, env = "ABIDE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<Secret>,

    /// Prints JSON, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Looks for hubs in directories, open or not, and says who they are.
    Hubs(hubs::Arguments),
    /// Orchestrations: lists, shows, starts and manages them.
    #[command(subcommand, visible_alias = "orchestrations")]
    Instances(instances::Command),
    /// Entities: lists, shows, signals and calls them.
    #[command(subcommand)]
    Entities(entities::Command),
    /// Schedules, which start orchestrations by the clock.
    #[command(subcommand)]
    Schedules(schedules::Command),
    /// Locks of entities.
    #[command(subcommand)]
    Locks(locks::Command),
    /// Messages that nobody could process.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Entities whose messages wait because their states cannot be used.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// What the hub has done and holds.
    Stats(stats::Arguments),
    /// Writes orchestrations with their histories as lines of JSON.
    Export(export::Arguments),
    /// Verifies a stopped hub's directory: whether every record in it can be read.
    Check(check::Arguments),
    /// Prints the script that completes `abide` in a shell.
    Completions(completions::Arguments),
}

/// A token, which is never printed.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// The token itself, for the header that carries it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    /// Clap's own check of everything that is declared.
    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
