//! `abide quarantine`

use abide::EntityId;
use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde_json::json;

use crate::entities::id_of;
use crate::exit::Result;
use crate::output::{Listing, cell_of, clean, moment};
use crate::pages::{self, Limit};
use crate::request::Request;
use crate::session::Session;

/// The commands for quarantined entities.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists quarantined entities and the reasons.
    List(List),
    /// Releases an entity, which then processes its messages.
    Release(Release),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The id of the entity, `@name@key`.
    entity: EntityId,
}

pub(crate) fn run(session: &mut Session, command: Command) -> Result {
    match command {
        Command::List(list) => self::list(session, &list),
        Command::Release(Release { entity }) => {
            let request = Request::of_entity("POST", "quarantine", &entity).then("release");
            let document = json!({"entityId": entity.to_string(), "done": "released"});
            session.act(
                &request,
                &format!("{} is released", clean(&entity.to_string())),
                document,
            )
        }
    }
}

fn list(session: &mut Session, list: &List) -> Result {
    let hub = session.hub()?;
    let mut listing = Listing::begin(&mut session.output, &["ENTITY", "SINCE", "REASON"]);
    let more = pages::each(
        &hub,
        list.limit,
        || Request::get(&["quarantine"]),
        |document| {
            listing.add(document, |document| {
                vec![
                    Cell::new(id_of(&document["entityId"])),
                    Cell::new(moment(&document["since"])),
                    cell_of(&document["reason"]),
                ]
            })
        },
    )?;
    listing.end(more, "no entity is quarantined")
}
