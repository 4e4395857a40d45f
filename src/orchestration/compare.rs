//! Whether the code asks for what its history records.

use std::fmt::Write;

use serde_json::Value;

use crate::id::Sequence;
use crate::orchestration::commands::Emitted;
use crate::orchestration::journal::{END, Replayed};
use crate::orchestration::payload::Normalize;
use crate::store::records::history::Command;
use crate::store::records::instance::{StopKind, Stopped};
use crate::time::Timestamp;

/// Compares the commands of a turn that runs again with those of its record.
///
/// # Errors
/// The first difference, with both sides.
pub(super) fn compare(number: u32, recorded: &[Command], asked: &[Emitted]) -> Result<(), Stopped> {
    let most = recorded.len().max(asked.len());
    for index in 0..most {
        let (expected, actual) = (recorded.get(index), asked.get(index));
        if let (Some(expected), Some(actual)) = (expected, actual)
            && agree(expected, actual)
        {
            continue;
        }
        return Err(diverged(number, index, most, expected, actual));
    }
    Ok(())
}

/// What a turn that runs again has to know of its record before it runs.
pub(super) fn replayed(recorded: &[Command], payload_limit: usize) -> Replayed {
    let payloads = recorded.iter().map(|command| (command, parts(command).payload));
    Replayed {
        commands: recorded.len(),
        large: payloads
            .filter(|(_, payload)| payload.is_some_and(|payload| payload.bytes().len() > payload_limit))
            .map(|(command, _)| sequence(command).unwrap_or(END))
            .collect(),
    }
}

fn diverged(number: u32, index: usize, of: usize, expected: Option<&Command>, actual: Option<&Emitted>) -> Stopped {
    let show = |command: Option<&Command>| command.map_or_else(|| "nothing more".to_owned(), describe);
    let mut message = format!(
        "the code asks for something else than its history records, in turn {number}, command {} of {of}\n\
         expected by the history: {}\n\
         asked for by the code:   {}",
        index + 1,
        show(expected),
        show(actual.map(|emitted| &emitted.command)),
    );
    if let Some(place) = actual.and_then(|emitted| emitted.place) {
        // Writing to a `String` cannot fail.
        let _ = write!(message, "\nwhich is called at {place}");
    }
    Stopped {
        kind: StopKind::NonDeterministic,
        message,
    }
}

fn agree(expected: &Command, actual: &Emitted) -> bool {
    if *expected == actual.command {
        return true;
    }
    let (recorded, asked) = (parts(expected), parts(&actual.command));
    recorded.kind == asked.kind
        && sequence(expected) == sequence(&actual.command)
        && recorded.facts == asked.facts
        && match (recorded.payload, asked.payload) {
            (Some(recorded), Some(asked)) => recorded.agrees(&asked, actual.normalize),
            (None, None) => true,
            _ => false,
        }
}

/// A command, laid out to be compared and shown.
struct Parts<'a> {
    kind: &'static str,
    /// What has to be equal.
    facts: Vec<(&'static str, String)>,
    /// What is shown and may differ: it does not change what the code does next.
    notes: Vec<(&'static str, String)>,
    payload: Option<Payload<'a>>,
}

#[derive(Clone, Copy)]
enum Payload<'a> {
    /// One value.
    Value(&'a [u8]),
    /// Arguments of an operation, by name.
    Arguments(&'a [u8]),
}

impl<'a> Payload<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Value(bytes) | Self::Arguments(bytes) => bytes,
        }
    }

    /// Whether the payload of today says what the recorded one says. A field that only today's type has, with a default,
    /// does not count as a difference.
    fn agrees(&self, asked: &Self, normalize: Option<Normalize>) -> bool {
        let (recorded, asked) = (self.bytes(), asked.bytes());
        if recorded == asked {
            return true;
        }
        let (Some(was), Some(is)) = (value(recorded), value(asked)) else {
            return false;
        };
        if was == is {
            return true;
        }
        match self {
            Self::Arguments(_) => match (&was, &is) {
                (Value::Object(was), Value::Object(is)) => was.iter().all(|(name, value)| is.get(name) == Some(value)),
                _ => false,
            },
            Self::Value(_) => {
                let normalized = normalize.and_then(|normalize| normalize(recorded));
                normalized.is_some_and(|normalized| value(&normalized) == Some(is))
            }
        }
    }
}

/// Reads JSON. Nothing at all is an object without fields, as in the arguments of operations.
fn value(json: &[u8]) -> Option<Value> {
    if json.is_empty() {
        return Some(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(json).ok()
}

fn sequence(command: &Command) -> Option<Sequence> {
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
        | Command::Cancel { sequence, .. } => Some(*sequence),
        Command::ContinueAsNew { .. } | Command::Complete { .. } | Command::Fail { .. } => None,
    }
}

fn parts(command: &Command) -> Parts<'_> {
    let parts = |kind, facts, payload| Parts {
        kind,
        facts,
        notes: Vec::new(),
        payload,
    };
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
            ..parts(
                "call of an activity",
                vec![("name", name.clone()), ("attempt", attempt.to_string())],
                Some(Payload::Value(input)),
            )
        },
        Command::CreateTimer { due, .. } => parts("timer", vec![("due", show_time(*due))], None),
        Command::WaitForEvent { name, .. } => parts("wait for an event", vec![("name", name.to_lowercase())], None),
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
            ..parts(
                if *wait {
                    "sub-orchestration"
                } else {
                    "start of an orchestration"
                },
                vec![
                    ("name", name.clone()),
                    ("version", version.as_deref().unwrap_or("newest").to_owned()),
                    ("id", instance.clone()),
                    ("attempt", attempt.to_string()),
                ],
                Some(Payload::Value(input)),
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
            let facts = [("entity", target.clone()), ("operation", operation.clone())];
            parts(
                "call of an entity",
                facts.into_iter().chain(lock).collect(),
                Some(Payload::Arguments(arguments)),
            )
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
            let facts = [("entity", target.clone()), ("operation", operation.clone())];
            parts(
                "signal of an entity",
                facts.into_iter().chain(at).collect(),
                Some(Payload::Arguments(arguments)),
            )
        }
        Command::CancelSignal { target, timer, .. } => parts(
            "cancelling of a signal",
            vec![("entity", target.clone()), ("timer", timer.clone())],
            None,
        ),
        Command::SendEvent {
            instance,
            name,
            payload,
            ..
        } => parts(
            "event for an orchestration",
            vec![("id", instance.clone()), ("name", name.clone())],
            Some(Payload::Value(payload)),
        ),
        Command::Lock { entities, .. } => parts("request for locks", vec![("entities", entities.join(", "))], None),
        Command::Cancel { step, .. } => parts(
            "end of a step that is not wanted",
            vec![("step", format!("{step:?}"))],
            None,
        ),
        Command::ContinueAsNew {
            input,
            version,
            keep_events,
        } => parts(
            "end by continuing as new",
            vec![
                ("version", version.as_deref().unwrap_or("unchanged").to_owned()),
                ("keeps events", keep_events.to_string()),
            ],
            Some(Payload::Value(input)),
        ),
        Command::Complete { output } => parts("end with an output", Vec::new(), Some(Payload::Value(output))),
        Command::Fail { failure } => parts(
            "end with an error",
            vec![("type", failure.error_type.clone()), ("message", failure.to_string())],
            None,
        ),
    }
}

fn show_time(time: Timestamp) -> String {
    format!("{} ms after the epoch", time.0)
}

fn describe(command: &Command) -> String {
    let parts = parts(command);
    let mut text = parts.kind.to_owned();
    // Writing to a `String` cannot fail.
    if let Some(sequence) = sequence(command) {
        let _ = write!(text, ", step {sequence}");
    }
    for (label, fact) in parts.facts.iter().chain(&parts.notes) {
        let _ = write!(text, ", {label} {fact}");
    }
    if let Some(payload) = parts.payload {
        let _ = write!(text, ", payload {}", String::from_utf8_lossy(payload.bytes()));
    }
    text
}
