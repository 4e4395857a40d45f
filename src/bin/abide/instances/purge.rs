//! `abide instances purge`

use clap::Args;

use crate::confirm::confirm;
use crate::exit::Result;
use crate::hub::Hub;
use crate::instances::filter::{Status, statuses};
use crate::output::{clean, spinner};
use crate::request::Request;
use crate::session::Session;
use crate::times;
use crate::value::Value;

/// Maximum number of requests to a server that times out repeatedly.
const MOST_REQUESTS: u64 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The id of the orchestration; alternatively, the options select orchestrations.
    #[arg(required_unless_present = "created_from", conflicts_with_all = ["created_from", "created_to", "status"])]
    id: Option<String>,

    /// Purges only orchestrations started at or after this time: `2026-11-20T13:40:21Z`, or `2h` for two hours ago.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    created_from: Option<String>,

    /// Purges only orchestrations started at or before this time.
    #[arg(long, value_name = "TIME", value_parser = times::time, requires = "created_from")]
    created_to: Option<String>,

    /// Purges only orchestrations that ended with this status; several values are alternatives.
    #[arg(long, value_delimiter = ',', ignore_case = true, requires = "created_from")]
    status: Vec<Status>,

    /// Skips the confirmation.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let request = match &arguments.id {
        Some(id) => Request::delete(&["instances", id]),
        None => Request::delete(&["instances"])
            .query("createdTimeFrom", arguments.created_from.as_deref())
            .query("createdTimeTo", arguments.created_to.as_deref())
            .query("runtimeStatus", statuses(&arguments.status)),
    };
    let hub = session.hub()?;
    if arguments.id.is_none() && !arguments.yes {
        confirm(
            "Delete every matching orchestration that has ended?",
            "this deletes every matching orchestration that has ended",
        )?;
    }
    let document = purge(&hub, &request)?;
    let done = match (&arguments.id, document["instancesDeleted"].as_u64()) {
        (Some(id), _) => format!("{} is purged", clean(id)),
        (None, Some(1)) => "1 orchestration is purged".to_owned(),
        (None, Some(purged)) => format!("{purged} orchestrations are purged"),
        (None, None) => "all matching orchestrations are purged".to_owned(),
    };
    session.done(&done, &document)
}

/// Purges orchestrations. A server times out on long work after completing a part of it, so the request is repeated.
fn purge(hub: &Hub, request: &Request) -> Result<Value> {
    let progress = spinner("requests");
    let mut partly = false;
    let answer = loop {
        progress.inc(1);
        let answer = hub.send(request)?;
        match answer.status {
            504 if progress.position() < MOST_REQUESTS => partly = true,
            // The earlier requests have purged everything.
            404 if partly => break Ok(Value::Object([("instancesDeleted".to_owned(), Value::Null)].into())),
            _ if answer.is_good() => break answer.json(),
            _ => break Err(answer.into_failure(true)),
        }
    };
    progress.finish_and_clear();
    let mut document = answer?;
    if partly {
        // The requests that timed out did not return their counts.
        document.set("instancesDeleted", Value::Null);
    }
    Ok(document)
}
