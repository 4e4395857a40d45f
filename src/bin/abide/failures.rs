//! `abide failures`

use clap::Args;
use comfy_table::Cell;

use crate::exit::Result;
use crate::output::{Listing, cell_of, clean, moment};
use crate::request::Request;
use crate::session::Session;
use crate::times;
use crate::value::Value;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Includes only orchestrations of the type with this stored name.
    #[arg(long)]
    name: Option<String>,

    /// Includes only orchestrations started at or after this time: `2026-11-20T13:40:21Z`, or `2h` for two hours ago.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    created_from: Option<String>,

    /// Includes only orchestrations started at or before this time.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    created_to: Option<String>,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let request = Request::get(&["failures"])
        .query("name", arguments.name.as_deref())
        .query("createdTimeFrom", arguments.created_from.as_deref())
        .query("createdTimeTo", arguments.created_to.as_deref());
    let document = session.hub()?.ask(&request)?.json()?;
    if session.output.json() {
        return session.output.document(&document);
    }
    let header = &["ORCHESTRATION", "ERROR", "COUNT", "LAST", "MESSAGE", "EXAMPLE"];
    let mut listing = Listing::begin(&mut session.output, header);
    for group in document["groups"].as_array().into_iter().flatten() {
        listing.add(group, |group| {
            let example = group["instances"].as_array().and_then(<[Value]>::first);
            vec![
                cell_of(&group["name"]),
                Cell::new(error(group)),
                cell_of(&group["count"]),
                Cell::new(moment(&group["last"])),
                cell_of(&group["message"]),
                cell_of(example.unwrap_or(&Value::Null)),
            ]
        })?;
    }
    listing.end(
        document["truncated"] == Value::Bool(true),
        "no orchestration has failed",
    )
}

/// Returns the type of an error and, if it is known, its variant.
fn error(group: &Value) -> String {
    let text = |name: &str| group[name].as_str().map(clean);
    let error_type = text("errorType").unwrap_or_default();
    match text("variant") {
        Some(variant) => format!("{error_type}::{variant}"),
        None => error_type,
    }
}
