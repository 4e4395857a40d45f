//! Descriptions of commands for error messages.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64;

use crate::failure::shortened;
use crate::id::{Sequence, list_of_ids};
use crate::model::history::Command;
use crate::model::history::OpenStep;
use crate::payload::Payload;
use crate::time::Timestamp;

/// A command, split into parts for comparison and display.
pub(super) struct Parts<'a> {
    pub(super) kind: &'static str,
    /// The facts that have to be equal.
    pub(super) facts: Vec<(&'static str, String)>,
    /// The facts that are shown and may differ, because they do not change what the code does next.
    notes: Vec<(&'static str, String)>,
    pub(super) payload: Option<&'a [u8]>,
}

/// Size of the excerpt of a payload before and after the first difference, in bytes.
const EXCERPT: usize = 48;

/// Maximum size of any other fact that is shown, in bytes.
const FACT: usize = 256;

/// Describes two commands. Payloads may be large and contain secrets, and the text appears in logs and lists. A long
/// payload is therefore reduced to the surroundings of the first difference, with its length and hash.
pub(super) fn describe_both(expected: Option<&Command>, actual: Option<&Command>) -> (String, String) {
    let (was, is) = (payload(expected), payload(actual));
    let common = was.iter().zip(is).take_while(|(was, is)| was == is).count();
    let difference = if was.is_empty() || is.is_empty() { 0 } else { common };
    let show = |command: Option<&Command>| match command {
        Some(command) => describe(command, difference),
        None => "no further command".to_owned(),
    };
    (show(expected), show(actual))
}

fn payload(command: Option<&Command>) -> &[u8] {
    command.and_then(|command| parts(command).payload).unwrap_or_default()
}

fn describe(command: &Command, difference: usize) -> String {
    let parts = parts(command);
    let mut text = parts.kind.to_owned();
    // Writing to a `String` cannot fail.
    if let Some(sequence) = sequence(command) {
        let _ = write!(text, ", step {sequence}");
    }
    for (label, fact) in parts.facts.iter().chain(&parts.notes) {
        let _ = write!(text, ", {label} {}", shortened(fact, FACT));
    }
    if let Some(payload) = parts.payload {
        let _ = write!(text, ", payload {}", excerpt(payload, difference));
    }
    text
}

fn excerpt(payload: &[u8], difference: usize) -> String {
    if payload.len() <= 2 * EXCERPT {
        return Payload::of(payload).shown().into_owned();
    }
    let start = difference.saturating_sub(EXCERPT).min(payload.len());
    let end = difference.saturating_add(EXCERPT).min(payload.len());
    // A character that is cut in two is omitted.
    let shown = String::from_utf8_lossy(&payload[start..end]);
    let shown = shown.trim_matches(char::REPLACEMENT_CHARACTER);
    let before = if start > 0 { "…" } else { "" };
    let behind = if end < payload.len() { "…" } else { "" };
    format!(
        "{before}{shown}{behind} (from byte {start} of {}, hash {:016x})",
        payload.len(),
        xxh3_64(payload)
    )
}

pub(super) fn sequence(command: &Command) -> Option<Sequence> {
    match command {
        Command::CallActivity { sequence, .. }
        | Command::CreateTimer { sequence, .. }
        | Command::WaitForEvent { sequence, .. }
        | Command::StartOrchestration { sequence, .. }
        | Command::CallEntity { sequence, .. }
        | Command::SignalEntity { sequence, .. }
        | Command::CancelSignal { sequence, .. }
        | Command::SendEvent { sequence, .. }
        | Command::Lock { sequence, .. }
        | Command::Cancel { sequence, .. }
        | Command::Refuse { sequence, .. } => Some(*sequence),
        Command::ContinueAsNew { .. } | Command::Complete { .. } | Command::Fail { .. } => None,
    }
}

pub(super) fn parts(command: &Command) -> Parts<'_> {
    match command {
        Command::CallActivity {
            name,
            input,
            attempt,
            timeout_ms,
            ..
        } => Parts {
            notes: timeout_ms
                .map(|timeout| ("timeout in ms", timeout.to_string()))
                .into_iter()
                .collect(),
            ..lay_out(
                "activity call",
                vec![("name", name.clone()), ("attempt", attempt.to_string())],
                Some(input),
            )
        },
        Command::CreateTimer { due, .. } => lay_out("timer", vec![("due", show_time(*due))], None),
        Command::WaitForEvent { name, .. } => lay_out("event wait", vec![("name", name.to_lowercase())], None),
        Command::StartOrchestration {
            instance,
            name,
            version,
            input,
            tags,
            wait,
            attempt,
            ..
        } => Parts {
            notes: tags
                .iter()
                .map(|(key, value)| ("tag", format!("{key}={value}")))
                .collect(),
            ..lay_out(
                if *wait {
                    "sub-orchestration"
                } else {
                    "orchestration start"
                },
                vec![
                    ("name", name.clone()),
                    ("version", version.as_deref().unwrap_or("newest").to_owned()),
                    ("id", instance.to_string()),
                    ("attempt", attempt.to_string()),
                ],
                Some(input),
            )
        },
        Command::CallEntity {
            target,
            operation,
            arguments,
            lock,
            ..
        } => {
            let lock = lock.map(|lock| ("under the lock of step", lock.to_string()));
            let facts = [("entity", target.to_string()), ("operation", operation.clone())];
            lay_out("entity call", facts.into_iter().chain(lock).collect(), Some(arguments))
        }
        Command::SignalEntity {
            target,
            operation,
            arguments,
            at,
            ..
        } => {
            let at = at
                .iter()
                .flat_map(|(timer, due)| [("timer", timer.clone()), ("due", show_time(*due))]);
            let facts = [("entity", target.to_string()), ("operation", operation.clone())];
            lay_out("entity signal", facts.into_iter().chain(at).collect(), Some(arguments))
        }
        Command::CancelSignal { target, timer, .. } => lay_out(
            "cancellation of a signal",
            vec![("entity", target.to_string()), ("timer", timer.clone())],
            None,
        ),
        Command::SendEvent {
            instance,
            name,
            payload,
            ..
        } => lay_out(
            "event for an orchestration",
            vec![("id", instance.to_string()), ("name", name.to_lowercase())],
            Some(payload),
        ),
        Command::Lock { entities, .. } => lay_out("lock request", vec![("entities", list_of_ids(entities))], None),
        Command::Cancel { step, .. } => lay_out("cancellation of a step", vec![("step", open_step(step))], None),
        Command::Refuse { what, .. } => lay_out("refusal", vec![("of", what.clone())], None),
        Command::ContinueAsNew {
            input,
            version,
            keep_events,
        } => lay_out(
            "continue-as-new",
            vec![
                ("version", version.as_deref().unwrap_or("unchanged").to_owned()),
                ("keeps events", keep_events.to_string()),
            ],
            Some(input),
        ),
        Command::Complete { output } => lay_out("completion", Vec::new(), Some(output)),
        Command::Fail { failure } => lay_out(
            "failure",
            vec![("type", failure.error_type.clone()), ("message", failure.to_string())],
            None,
        ),
    }
}

/// Describes a canceled step.
fn open_step(step: &OpenStep) -> String {
    match step {
        OpenStep::Activity => "activity".to_owned(),
        OpenStep::Timer { due } => format!("timer due {}", show_time(*due)),
        OpenStep::Event => "event wait".to_owned(),
        OpenStep::Child { instance } => format!("sub-orchestration `{instance}`"),
        OpenStep::Call { target } => format!("call of `{target}`"),
        OpenStep::Lock { entities, granted } => {
            let state = if *granted { "locks" } else { "lock request" };
            format!("{state} of {}", list_of_ids(entities))
        }
    }
}

fn lay_out<'a>(kind: &'static str, facts: Vec<(&'static str, String)>, payload: Option<&'a Vec<u8>>) -> Parts<'a> {
    Parts {
        kind,
        facts,
        notes: Vec::new(),
        payload: payload.map(Vec::as_slice),
    }
}

fn show_time(time: Timestamp) -> String {
    format!("{} ms after the epoch", time.0)
}
