//! The command-line arguments of `abide`.

use std::fmt;

use clap::{Parser, Subcommand};

use crate::exit;
use crate::hub::Place;
use crate::{
    activities, check, completions, dead_letters, entities, export, failures, hubs, instances, locks, quarantine,
    schedules, stats, ui,
};

/// Inspects and manages an Abide hub: a running hub by its URL, or a stopped hub by its directory (read-only).
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

    /// The token of a running hub. Fewer users can read an environment variable than a command line.
    #[arg(long, global = true, env = "ABIDE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<Secret>,

    /// Prints JSON for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands of `abide`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Finds and describes the hubs below directories, open or closed.
    Hubs(hubs::Arguments),
    /// Lists, shows, starts and manages orchestrations.
    #[command(subcommand, visible_alias = "orchestrations")]
    Instances(instances::Command),
    /// Lists, shows, signals and calls entities.
    #[command(subcommand)]
    Entities(entities::Command),
    /// Lists, sets and manages schedules, which start orchestrations at set times.
    #[command(subcommand)]
    Schedules(schedules::Command),
    /// Counts and lists the activities that have not ended.
    #[command(subcommand)]
    Activities(activities::Command),
    /// Groups failed orchestrations by the kind of their error.
    Failures(failures::Arguments),
    /// Lists and releases entity locks.
    #[command(subcommand)]
    Locks(locks::Command),
    /// Lists, redelivers and drops dead letters: messages that could not be processed.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Lists and resumes quarantined entities: their messages wait because their states cannot be used.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Shows the statistics of the hub.
    Stats(stats::Arguments),
    /// Exports orchestrations with their histories as lines of JSON.
    Export(export::Arguments),
    /// Checks that every record in the directory of a stopped hub can be read.
    Check(check::Arguments),
    /// Shows the hubs of a PostgreSQL database, and moves hubs into it or out of it.
    #[cfg(feature = "cluster")]
    #[command(subcommand)]
    Cluster(crate::cluster::Command),
    /// Opens the dashboard of a running hub, or serves that of a stopped hub or of a checkpoint.
    Ui(ui::Arguments),
    /// Prints a shell completion script for `abide`.
    Completions(completions::Arguments),
}

/// A token that is never printed.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// Returns the token itself, for the header that carries it.
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

    /// The argument definitions pass clap's own checks.
    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
