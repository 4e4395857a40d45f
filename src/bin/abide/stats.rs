//! `abide stats`

use clap::Args;
use comfy_table::Cell;

use crate::exit::Result;
use crate::output::{Listing, cell_of, clean};
use crate::request::Request;
use crate::session::Session;
use crate::value::Value;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Counts orchestrations by name and status, and entities by name, instead. Reads all of them, about a million per
    /// second.
    #[arg(long)]
    counts: bool,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    if arguments.counts {
        return counts(session);
    }
    let document = session.hub()?.ask(&Request::get(&["stats"]))?.json()?;
    let output = &mut session.output;
    if output.json() {
        return output.document(&document);
    }
    let numbers: Vec<(String, Option<String>)> = document
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (words(name), Some(clean(&value.to_string()))))
        .collect();
    let numbers: Vec<_> = numbers
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    output.fields(&numbers)
}

fn counts(session: &mut Session) -> Result {
    let document = session.hub()?.ask(&Request::get(&["counts"]))?.json()?;
    if session.output.json() {
        return session.output.document(&document);
    }
    let style = session.output.style();
    let mut listing = Listing::begin(&mut session.output, &["KIND", "NAME", "STATUS", "COUNT"]);
    let list = |name: &str| document[name].as_array().map(<[Value]>::to_vec).unwrap_or_default();
    for (kind, counts) in [
        ("orchestrations", list("orchestrations")),
        ("entities", list("entities")),
    ] {
        for count in &counts {
            listing.add(count, |count: &Value| {
                vec![
                    Cell::new(kind),
                    cell_of(&count["name"]),
                    style.status_cell(count["runtimeStatus"].as_str().unwrap_or_default()),
                    cell_of(&count["count"]),
                ]
            })?;
        }
    }
    listing.end(false, "the hub is empty")
}

/// Converts the name of a number into words: `walLiveBytes` becomes `wal live bytes`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in clean(name).chars() {
        if c.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}
