//! `abide instances start`

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::exit::{Exit, Failure, Result};
use crate::input;
use crate::instances::wait;
use crate::output::clean;
use crate::request::Request;
use crate::session::Session;
use crate::times;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The stored name of the orchestration's type.
    name: String,

    #[arg(help = input::HELP, allow_hyphen_values = true)]
    input: Option<String>,

    /// The id of the new orchestration; one is drawn if nothing is said.
    #[arg(long)]
    id: Option<String>,

    /// What to do if an orchestration has the id (default: error).
    #[arg(long, value_name = "POLICY", requires = "id")]
    reuse: Option<Reuse>,

    /// The version to start; the newest if nothing is said.
    // `--version` is that of the program.
    #[arg(long, value_name = "VERSION")]
    of_version: Option<String>,

    /// Makes a retry mean the same orchestration.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// Waits for the end and prints the output.
    #[arg(long)]
    wait: bool,

    /// Waits so long at most, such as `90s` or `2h`; for ever if nothing is said.
    #[arg(long, value_name = "DURATION", value_parser = times::duration, requires = "wait")]
    timeout: Option<Duration>,
}

/// The effect of a start on an orchestration that has the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Reuse {
    /// Fails if it has not ended. One that has ended is replaced.
    Error,
    /// Leaves it alone if it has not ended. One that has ended is replaced.
    Ignore,
    /// Terminates it if it has not ended, and takes its place.
    Terminate,
    /// Fails, whether it has ended or not.
    RejectDuplicate,
}

impl Reuse {
    /// The policy as the management API names it.
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Ignore => "ignore",
            Self::Terminate => "terminate",
            Self::RejectDuplicate => "rejectDuplicate",
        }
    }
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let mut path = vec!["orchestrators", &arguments.name];
    path.extend(arguments.id.as_deref());
    let request = Request::post(&path)
        .query("version", arguments.of_version.as_deref())
        .query("reuse", arguments.reuse.map(Reuse::name))
        .idempotency_key(arguments.idempotency_key.as_ref())
        .body(input::read(arguments.input.as_deref())?);
    let hub = session.hub()?;
    let document = hub.ask(&request)?.json()?;
    let Some(id) = document["id"].as_str() else {
        return Err(Failure::new(
            Exit::Failed,
            "NoId",
            "the hub did not answer with the id of the orchestration",
        )
        .into());
    };
    if arguments.wait {
        return wait::until_it_ends(session, &hub, id, arguments.timeout);
    }
    session.done(&clean(id), &document)
}
