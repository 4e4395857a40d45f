//! `abide dead-letters`

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde_json::json;

use crate::entities::id_of;
use crate::exit::Result;
use crate::output::{Listing, brief, cell_of, clean, moment};
use crate::pages::{self, Limit};
use crate::request::Request;
use crate::session::Session;

/// The commands for dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists dead letters: messages that could not be processed.
    List(List),
    /// Redelivers dead letters as new messages.
    Redeliver(Some),
    /// Deletes dead letters.
    Drop(Some),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, Args)]
pub(crate) struct Some {
    /// The ids of the dead letters, as `list` shows them.
    #[arg(required = true)]
    ids: Vec<String>,
}

pub(crate) fn run(session: &mut Session, command: Command) -> Result {
    match command {
        Command::List(list) => self::list(session, &list),
        Command::Redeliver(some) => each(session, &some.ids, "redelivered", |id| {
            Request::post(&["dead-letters", id, "redeliver"])
        }),
        Command::Drop(some) => each(session, &some.ids, "dropped", |id| {
            Request::delete(&["dead-letters", id])
        }),
    }
}

fn list(session: &mut Session, list: &List) -> Result {
    let hub = session.hub()?;
    let header = &["ID", "TARGET", "OPERATION", "INPUT", "FROM", "DEAD-LETTERED", "REASON"];
    let mut listing = Listing::begin(&mut session.output, header);
    let more = pages::each(
        &hub,
        list.limit,
        || Request::get(&["dead-letters"]),
        |document| {
            listing.add(document, |document| {
                vec![
                    cell_of(&document["id"]),
                    match document["instanceId"].as_str() {
                        Some(id) => Cell::new(clean(id)),
                        None => Cell::new(id_of(&document["entityId"])),
                    },
                    cell_of(&document["operation"]),
                    Cell::new(brief(&document["input"])),
                    cell_of(&document["source"]),
                    Cell::new(moment(&document["deadLetteredAt"])),
                    cell_of(&document["reason"]),
                ]
            })
        },
    )?;
    listing.end(more, "there are no dead letters")
}

/// Sends a request for each dead letter. Stops at the first failure; earlier requests have taken effect.
fn each(session: &mut Session, ids: &[String], done: &str, request: impl Fn(&str) -> Request) -> Result {
    let hub = session.hub()?;
    for id in ids {
        hub.ask(&request(id))?;
        if !session.output.json() {
            session.output.line(format!("{} is {done}", clean(id)))?;
        }
    }
    if session.output.json() {
        session.output.document(&json!({"ids": ids, "done": done}))?;
    }
    Ok(())
}
