//! `abide activities`

use clap::{Args, Subcommand};
use comfy_table::Cell;

use crate::exit::Result;
use crate::output::{Listing, cell_of, clean, moment};
use crate::pages::{self, Limit};
use crate::request::Request;
use crate::session::Session;
use crate::value::Value;

/// The commands for activities.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Counts the activities that have not ended, by name.
    Summary,
    /// Lists the activities with one name that have not ended: those that run, and the place in line of the others.
    List(List),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The stored name of the activity.
    name: String,

    #[command(flatten)]
    limit: Limit,
}

pub(crate) fn run(session: &mut Session, command: &Command) -> Result {
    match command {
        Command::Summary => summary(session),
        Command::List(list) => self::list(session, list),
    }
}

fn summary(session: &mut Session) -> Result {
    let document = session.hub()?.ask(&Request::get(&["activities"]))?.json()?;
    if session.output.json() {
        return session.output.document(&document);
    }
    let header = &["NAME", "RUNNING", "WAITING", "AT MOST", "CRASHED"];
    let mut listing = Listing::begin(&mut session.output, header);
    for activity in document["activities"].as_array().into_iter().flatten() {
        listing.add(activity, |activity| {
            let registered = activity["registered"] != Value::Bool(false);
            let name = clean(activity["name"].as_str().unwrap_or_default());
            vec![
                Cell::new(if registered {
                    name
                } else {
                    format!("{name} (not registered)")
                }),
                cell_of(&activity["running"]),
                cell_of(&activity["waiting"]),
                cell_of(&activity["limit"]),
                cell_of(&activity["crashed"]),
            ]
        })?;
    }
    listing.end(document["truncated"] == Value::Bool(true), "there are no activities")
}

fn list(session: &mut Session, list: &List) -> Result {
    let hub = session.hub()?;
    let header = &["ORCHESTRATION", "STEP", "ATTEMPT", "STATE", "SINCE", "CRASHES"];
    let mut listing = Listing::begin(&mut session.output, header);
    let request = || Request::get(&["activities", &list.name]);
    let more = pages::each(&hub, list.limit, request, |document| {
        listing.add(document, |document| {
            vec![
                cell_of(&document["instanceId"]),
                cell_of(&document["sequence"]),
                cell_of(&document["attempt"]),
                Cell::new(state(document)),
                Cell::new(moment(&document["since"])),
                cell_of(&document["crashes"]),
            ]
        })
    })?;
    listing.end(more, "no activity with this name is open")
}

fn state(document: &Value) -> String {
    match document["state"].as_str().unwrap_or_default() {
        "inLine" => format!("waits behind {} others", document["ahead"]),
        "queued" => "waits".to_owned(),
        other => clean(other),
    }
}
