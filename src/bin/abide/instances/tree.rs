//! `abide instances tree`

use clap::Args;

use crate::exit::Result;
use crate::output::{clean, moment};
use crate::request::Request;
use crate::session::Session;
use crate::value::Value;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The id of the orchestration.
    id: String,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let request = Request::get(&["instances", &arguments.id, "tree"]);
    let document = session.hub()?.ask(&request)?.json()?;
    if session.output.json() {
        return session.output.document(&document);
    }
    let mut lines = Vec::new();
    node(&document, 0, &mut lines);
    for line in lines {
        session.output.line(line)?;
    }
    Ok(())
}

/// Adds the lines of an orchestration and of those that it has started.
fn node(document: &Value, depth: usize, lines: &mut Vec<String>) {
    let text = |name: &str| document[name].as_str().map(clean);
    let indent = "  ".repeat(depth);
    let status = match text("runtimeStatus") {
        Some(status) => format!("{status}, last changed {}", moment(&document["lastUpdatedTime"])),
        None => "does not exist".to_owned(),
    };
    let detached = if document["detached"] == Value::Bool(true) {
        ", not awaited"
    } else {
        ""
    };
    lines.push(format!(
        "{indent}{} ({}): {status}{detached}",
        text("instanceId").unwrap_or_default(),
        text("name").unwrap_or_default()
    ));
    for child in document["children"].as_array().into_iter().flatten() {
        node(child, depth + 1, lines);
    }
    if document["truncated"] == Value::Bool(true) {
        lines.push(format!("{indent}  … and more"));
    }
}
