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

    /// The id of the new orchestration (default: a random id).
    #[arg(long)]
    id: Option<String>,

    /// The policy if an orchestration with the id exists (default: error).
    #[arg(long, value_name = "POLICY", requires = "id")]
    reuse: Option<Reuse>,

    /// The version to start (default: the newest).
    // `--version` prints the version of the program.
    #[arg(long, value_name = "VERSION")]
    of_version: Option<String>,

    /// Makes retries idempotent: requests with the same key start one orchestration.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// Waits until the orchestration ends, and prints its output.
    #[arg(long)]
    wait: bool,

    /// Maximum time to wait, such as `90s` or `2h` (default: no limit).
    #[arg(long, value_name = "DURATION", value_parser = times::duration, requires = "wait")]
    timeout: Option<Duration>,
}

/// The effect of a start on an existing orchestration with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Reuse {
    /// Fails if the orchestration has not ended, and replaces it otherwise.
    Error,
    /// Leaves the orchestration unchanged if it has not ended, and replaces it otherwise.
    Ignore,
    /// Terminates the orchestration if it has not ended, and replaces it.
    Terminate,
    /// Fails whether or not the orchestration has ended.
    RejectDuplicate,
}

impl Reuse {
    /// Returns the name of the policy in the management API.
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
            "the hub did not respond with the id of the orchestration",
        )
        .into());
    };
    if arguments.wait {
        return wait::until_it_ends(session, &hub, id, arguments.timeout);
    }
    session.done(&clean(id), &document)
}
