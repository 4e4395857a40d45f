//! `abide hubs`

use std::fs;
use std::path::{Path, PathBuf};

use abide::{Hub, admin::HubSummary};
use clap::Args;
use comfy_table::Cell;
use serde_json::json;

use crate::exit::{Exit, Failure, Result};
use crate::hub::Place;
use crate::output::{Listing, cell_of, clean};
use crate::session::Session;
use crate::value::Value;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directories to search (default: the directory given by --hub, or the current directory).
    directories: Vec<PathBuf>,

    /// Maximum number of directory levels to search.
    #[arg(long, default_value_t = 3)]
    depth: u32,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let mut directories = arguments.directories.clone();
    if directories.is_empty() {
        directories.push(match &session.place {
            Place::Directory(directory) => directory.clone(),
            Place::Url(_) => PathBuf::from("."),
        });
    }
    let mut found = Vec::new();
    for directory in &directories {
        if !directory.is_dir() {
            let text = format!("{} is not a directory or does not exist", directory.display());
            return Err(Failure::new(Exit::NotFound, "NotFound", text).into());
        }
        search(directory, arguments.depth, &mut found);
    }
    let header = &["DIRECTORY", "HUB", "STATE", "PARTITIONS", "INCARNATION", "COMMITS"];
    let mut listing = Listing::begin(&mut session.output, header);
    for directory in &found {
        listing.add(&document(directory), |document| {
            vec![
                cell_of(&document["directory"]),
                cell_of(&document["hub"]),
                Cell::new(state(document)),
                cell_of(&document["partitions"]),
                cell_of(&document["incarnation"]),
                cell_of(&document["acknowledged"]),
            ]
        })?;
    }
    listing.end(false, "no hub was found")
}

/// Adds the hubs in and below a directory, sorted by name. Does not descend into hubs or follow links.
fn search(directory: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    if directory.join("FORMAT").is_file() {
        found.push(directory.to_owned());
        return;
    }
    let Some(depth) = depth.checked_sub(1) else { return };
    // An unreadable directory contains no hub that could be inspected.
    let Ok(entries) = fs::read_dir(directory) else { return };
    let entries = entries.filter_map(std::result::Result::ok);
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut inside: Vec<PathBuf> = entries.filter(is_directory).map(|entry| entry.path()).collect();
    inside.sort();
    for directory in inside {
        search(&directory, depth, found);
    }
}

/// Returns a summary of the hub in a directory, or the reason why there is none.
fn document(directory: &Path) -> Value {
    let summary = Hub::inspect(directory).summary();
    let mut document = match &summary {
        Ok(summary) => serde_json::to_value(summary).unwrap_or_default(),
        Err(error) => json!({"error": error.to_string()}),
    };
    document["directory"] = json!(directory.display().to_string());
    document["state"] = json!(summary.map_or("broken", |summary| state_of(&summary)));
    document.into()
}

fn state_of(summary: &HubSummary) -> &'static str {
    match summary {
        HubSummary { open_by: Some(_), .. } => "open",
        HubSummary { copy: true, .. } => "copy",
        HubSummary { closed: true, .. } => "closed",
        _ => "killed",
    }
}

fn state(document: &Value) -> String {
    let text = |name: &str| document[name].as_str().map(clean);
    let state = text("state").unwrap_or_default();
    match text("openBy").or_else(|| text("error")) {
        Some(why) if state == "open" => format!("open by {why}"),
        Some(why) => format!("{state}: {why}"),
        None => state,
    }
}
