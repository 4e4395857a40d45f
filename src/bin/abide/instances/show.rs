//! `abide instances show`

use clap::Args;

use crate::exit::Result;
use crate::instances::filter::standing;
use crate::output::{clean, moment, payload};
use crate::request::Request;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The id of the orchestration.
    id: String,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let request = Request::get(&["instances", &arguments.id]);
    let document = session.hub()?.ask(&request)?.json()?;
    let output = &mut session.output;
    if output.json() {
        return output.document(&document);
    }
    let text = |name: &str| document[name].as_str().map(clean);
    let json = |name: &str| Some(&document[name]).filter(|value| !value.is_null()).map(payload);
    let stopped = &document["stopped"];
    let tags = document["tags"].as_object().map(|tags| {
        let tags = tags
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
        clean(&tags.collect::<Vec<_>>().join(", "))
    });
    output.fields(&[
        ("id", text("instanceId")),
        ("name", text("name")),
        ("version", text("version")),
        ("status", Some(output.style().status(standing(&document)))),
        ("stopped", stopped["message"].as_str().map(clean)),
        ("created", Some(moment(&document["createdTime"]))),
        ("changed", Some(moment(&document["lastUpdatedTime"]))),
        ("execution", text("executionId")),
        ("parent", text("parentInstanceId")),
        ("tags", tags),
        ("trace", text("traceparent")),
        ("input", json("input")),
        ("custom status", json("customStatus")),
        ("output", json("output")),
        ("failure", json("failure")),
    ])
}
