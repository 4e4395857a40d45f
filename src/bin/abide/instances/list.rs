//! `abide instances list`

use clap::Args;
use comfy_table::Cell;

use crate::exit::Result;
use crate::instances::filter::{Filter, standing};
use crate::output::{Listing, brief, cell_of, moment};
use crate::pages::{self, Limit};
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    limit: Limit,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let hub = session.hub()?;
    let style = session.output.style();
    // Tables have no column for inputs.
    let show_input = session.output.json();
    let header = &["ID", "NAME", "STATUS", "CREATED", "CHANGED", "DETAILS"];
    let mut listing = Listing::begin(&mut session.output, header);
    let request = || arguments.filter.request(show_input);
    let more = pages::each(&hub, arguments.limit, request, |document| {
        listing.add(document, |document| {
            let details = [
                &document["stopped"]["message"],
                &document["output"],
                &document["customStatus"],
            ];
            let details = details.into_iter().find(|value| !value.is_null());
            vec![
                cell_of(&document["instanceId"]),
                cell_of(&document["name"]),
                style.status_cell(standing(document)),
                Cell::new(moment(&document["createdTime"])),
                Cell::new(moment(&document["lastUpdatedTime"])),
                Cell::new(details.map(brief).unwrap_or_default()),
            ]
        })
    })?;
    listing.end(more, "no orchestrations match")
}
