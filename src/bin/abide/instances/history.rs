//! `abide instances history`

use std::collections::BTreeMap;

use clap::Args;
use comfy_table::Cell;

use crate::exit::{Exit, Failure, Result};
use crate::output::{Listing, brief, cell_of, moment};
use crate::request::Request;
use crate::session::Session;
use crate::value::Value;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The id of the orchestration.
    id: String,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let request = Request::get(&["instances", &arguments.id, "history"]);
    let events = session.hub()?.ask(&request)?.json()?;
    let Some(events) = events.as_array() else {
        return Err(Failure::new(Exit::Failed, "NoList", "the hub did not respond with a history").into());
    };
    let mut listing = Listing::begin(
        &mut session.output,
        &["TIME", "TURN", "EVENT", "STEP", "SUBJECT", "PAYLOAD"],
    );
    for event in events {
        listing.add(event, |event| {
            vec![
                Cell::new(moment(&event["time"])),
                cell_of(&event["turn"]),
                cell_of(&event["event"]),
                cell_of(&event["sequence"]),
                Cell::new(subject(event)),
                Cell::new(carried(event)),
            ]
        })?;
    }
    listing.end(false, "the history is empty")
}

/// Summarizes the subject of an event in a few words.
fn subject(event: &Value) -> String {
    let step = event["step"].as_object();
    let mut parts: Vec<String> = step.map(step_of).into_iter().collect();
    let texts = ["name", "instance", "entity", "operation", "timer", "reason"];
    parts.extend(
        texts
            .into_iter()
            .filter_map(|name| event[name].as_str().map(crate::output::clean)),
    );
    if event["due"].as_str().is_some() {
        parts.push(format!("due {}", moment(&event["due"])));
    }
    parts.join(" ")
}

/// Formats a step: its kind, and the fields that distinguish it from other steps of this kind.
fn step_of(step: &BTreeMap<String, Value>) -> String {
    let mut parts = vec![
        step.get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase(),
    ];
    for (name, value) in step.iter().filter(|(name, _)| *name != "kind") {
        parts.push(match (name.as_str(), value) {
            ("due", due) => moment(due),
            (_, Value::String(text)) => crate::output::clean(text),
            (_, value) => brief(value),
        });
    }
    parts.join(" ")
}

/// Formats the payloads of an event.
fn carried(event: &Value) -> String {
    let names = ["input", "result", "payload", "output", "failure", "error"];
    let values = names.into_iter().map(|name| &event[name]);
    values
        .filter(|value| !value.is_null())
        .map(brief)
        .collect::<Vec<_>>()
        .join(" ")
}
