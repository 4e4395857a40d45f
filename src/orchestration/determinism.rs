//! Comparison of the issued commands with the history.

use std::fmt::Write;

use crate::model::history::Command;
use crate::model::orchestration::{StopKind, Stopped};
use crate::orchestration::agreement;
use crate::orchestration::commands::Emitted;
use crate::orchestration::describe::{describe_both, parts, sequence};
use crate::orchestration::execution::Replayed;

/// Compares the commands of a replayed turn with those of its record.
///
/// # Errors
/// Returns the first difference, with both sides.
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

/// Collects the facts of a record that its replay needs before it runs.
pub(super) fn replayed(recorded: &[Command]) -> Replayed {
    let refused = recorded.iter().filter_map(|command| match command {
        Command::Refuse { sequence, error, .. } => Some((*sequence, error.clone())),
        _ => None,
    });
    Replayed {
        commands: recorded.len(),
        refused: refused.collect(),
    }
}

fn diverged(number: u32, index: usize, of: usize, expected: Option<&Command>, actual: Option<&Emitted>) -> Stopped {
    let (was, is) = describe_both(expected, actual.map(|emitted| &emitted.command));
    let mut message = format!(
        "the code diverges from its history in turn {number}, command {} of {of}\n\
         recorded in the history: {was}\n\
         issued by the code:      {is}",
        index + 1,
    );
    if let Some(place) = actual.and_then(|emitted| emitted.place) {
        // Writing to a `String` cannot fail.
        let _ = write!(message, "\ncalled at {place}");
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
            (Some(recorded), Some(asked)) => agreement::agree(recorded, asked, actual.normalize),
            (None, None) => true,
            _ => false,
        }
}
