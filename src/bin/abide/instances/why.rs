//! `abide instances why`

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
    let request = Request::get(&["instances", &arguments.id, "waiting"]);
    let document = session.hub()?.ask(&request)?.json()?;
    let output = &mut session.output;
    if output.json() {
        return output.document(&document);
    }
    let mut lines = Vec::new();
    orchestration(&document, 0, &mut lines);
    for line in lines {
        output.line(line)?;
    }
    Ok(())
}

/// Adds the lines of one orchestration, indented by `depth` levels.
fn orchestration(document: &Value, depth: usize, lines: &mut Vec<String>) {
    let mut add = |line: String| lines.push(format!("{}{line}", "  ".repeat(depth)));
    let text = |name: &str| clean(document[name].as_str().unwrap_or_default());
    add(format!(
        "{} ({}) is {}, last changed {}",
        text("id"),
        text("name"),
        text("status"),
        moment(&document["lastChange"])
    ));
    if let Some(message) = document["stopped"]["message"].as_str() {
        add(format!("  it is stopped: {}", clean(message)));
    }
    if !document["startsAt"].is_null() {
        add(format!("  it starts at {}", moment(&document["startsAt"])));
    }
    for on in document["unregistered"].as_array().into_iter().flatten() {
        let name = clean(on["name"].as_str().unwrap_or_default());
        add(format!("  it needs `{name}`, which is not registered"));
    }
    for events in document["unreadEvents"].as_array().into_iter().flatten() {
        let name = clean(events["name"].as_str().unwrap_or_default());
        add(format!("  {} unread events `{name}`", events["count"]));
    }
    if document["messages"].as_u64().is_some_and(|messages| messages > 0) {
        add(format!("  {} messages wait to be processed", document["messages"]));
    }
    let steps = document["steps"].as_array();
    for step in steps.into_iter().flatten() {
        step_lines(step, depth + 1, lines);
    }
    if document["isTruncated"] == Value::Bool(true) {
        lines.push(format!("{}… and more", "  ".repeat(depth + 1)));
    }
}

fn step_lines(step: &Value, depth: usize, lines: &mut Vec<String>) {
    let text = |name: &str| clean(step[name].as_str().unwrap_or_default());
    let label = step["label"].as_str().map(|label| format!(" ({})", clean(label)));
    let source = step["source"].as_str().map(|source| format!(", at {}", clean(source)));
    let waits_for = match step["waitsFor"].as_str().unwrap_or_default() {
        "activity" => format!(
            "the activity `{}`, attempt {}, {}",
            text("name"),
            step["attempt"],
            progress(&step["progress"])
        ),
        "retry" => format!("the next attempt of step {} at {}", step["step"], moment(&step["due"])),
        "timer" => format!("a timer at {}", moment(&step["due"])),
        "event" => format!("the event `{}`", text("name")),
        "entityCall" => format!("`{}` of {}", text("operation"), text("entity")),
        "lock" => {
            let entities = step["entities"].as_array().into_iter().flatten();
            let entities: Vec<String> = entities.filter_map(Value::as_str).map(clean).collect();
            format!("the locks of {}, of which it has {}", entities.join(", "), step["held"])
        }
        "subOrchestration" => format!("the sub-orchestration {}", text("instance")),
        other => clean(other),
    };
    lines.push(format!(
        "{}step {}{} waits for {waits_for}, since {}{}",
        "  ".repeat(depth),
        step["sequence"],
        label.unwrap_or_default(),
        moment(&step["since"]),
        source.unwrap_or_default()
    ));
    if let Some(ahead) = step["ahead"].as_u64().filter(|ahead| *ahead > 0) {
        lines.push(format!("{}{ahead} messages are before it", "  ".repeat(depth + 1)));
    }
    block(&step["blocked"], depth + 1, lines);
    cause(&step["cause"], depth + 1, lines);
}

fn progress(progress: &Value) -> String {
    match progress["state"].as_str().unwrap_or_default() {
        "running" => "which runs".to_owned(),
        "inLine" => format!(
            "which waits for a slot behind {} others ({} of {} slots are taken)",
            progress["ahead"], progress["running"], progress["limit"]
        ),
        "queued" => "which waits for a slot".to_owned(),
        "unregistered" => "which is not registered".to_owned(),
        "stopped" => "which runs when the hub opens".to_owned(),
        "ended" => "which has ended".to_owned(),
        other => clean(other),
    }
}

fn block(block: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let text = |name: &str| clean(block[name].as_str().unwrap_or_default());
    match block["by"].as_str() {
        Some("lock") => {
            let since = moment(&block["since"]);
            lines.push(format!(
                "{indent}{} is locked by {} since {since}",
                text("entity"),
                text("owner")
            ));
            cause(&block["cause"], depth + 1, lines);
        }
        Some("quarantine") => lines.push(format!("{indent}{} is quarantined: {}", text("entity"), text("reason"))),
        Some("unregistered") => lines.push(format!("{indent}the type of {} is not registered", text("entity"))),
        Some("queue") => lines.push(format!(
            "{indent}{} messages are before it at {}",
            block["ahead"],
            text("entity")
        )),
        _ => {}
    }
}

fn cause(cause: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match cause.as_str() {
        Some("cycle") => lines.push(format!("{indent}which waits for this one: a deadlock")),
        Some("missing") => lines.push(format!("{indent}which does not exist (yet)")),
        Some("omitted") => lines.push(format!("{indent}…")),
        _ if !cause["report"].is_null() => orchestration(&cause["report"], depth, lines),
        _ => {}
    }
}
