//! `abide locks`

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

/// The commands for locks.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists locked entities and the owners of their locks.
    List(List),
    /// Releases a lock by force, for an owner that will never continue. The owner can no longer rely on the lock.
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
            let request = Request::of_entity("DELETE", "locks", &entity);
            let document = json!({"entityId": entity.to_string(), "done": "released"});
            session.act(
                &request,
                &format!("the lock of {} is released", clean(&entity.to_string())),
                document,
            )
        }
    }
}

fn list(session: &mut Session, list: &List) -> Result {
    let hub = session.hub()?;
    let mut listing = Listing::begin(&mut session.output, &["ENTITY", "OWNER", "SINCE", "STEP"]);
    let more = pages::each(
        &hub,
        list.limit,
        || Request::get(&["locks"]),
        |document| {
            listing.add(document, |document| {
                vec![
                    Cell::new(id_of(&document["entityId"])),
                    cell_of(&document["owner"]),
                    Cell::new(moment(&document["since"])),
                    cell_of(&document["sequence"]),
                ]
            })
        },
    )?;
    listing.end(more, "no entity is locked")
}
