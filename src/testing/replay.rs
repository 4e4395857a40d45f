//! Replays of recorded histories with the code of this build.

use crate::engine::orchestration::RecordedRun;
use crate::error::{Error, ErrorKind, Result};
use crate::history::RecordedHistory;
use crate::hub::HubBuilder;
use crate::id::PartitionId;
use crate::model::orchestration::Stopped;

/// A recorded history that the code does not fit. Returned by [`replay`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The id of the orchestration.
    pub instance_id: String,
    /// The stored name of its type.
    pub name: String,
    /// The reason why the orchestration would stop.
    pub stopped: Stopped,
}

/// Replays recorded histories with the code that a builder registers, and returns those that it does not fit. Nothing
/// but orchestrations runs.
///
/// ```
/// use abide::prelude::*;
/// use abide::testing::{TestHub, replay};
///
/// #[activity]
/// async fn greet(name: String) -> Result<String, Failure> {
///     Ok(format!("Hello {name}!"))
/// }
///
/// #[orchestration]
/// async fn greets(ctx: OrchestrationContext, name: String) -> Result<String, Failure> {
///     Ok(ctx.call_activity::<greet>(name).await?)
/// }
///
/// let builder = || Hub::in_memory().orchestration::<greets>().activity::<greet>();
/// let recorded = TestHub::new(builder).run(async |hub| {
///     let run = hub.client().start::<greets>("Carol".into()).await?;
///     run.result().await?;
///     Ok::<_, Box<dyn std::error::Error>>(run.recorded_history().await?)
/// })?;
/// assert!(replay(builder(), [recorded])?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Format`] if a history was recorded with another version of the stored format,
/// of kind [`ErrorKind::Corrupted`] if it is damaged, and of kind [`ErrorKind::Configuration`] if the builder is
/// invalid.
pub fn replay(mut builder: HubBuilder, histories: impl IntoIterator<Item = RecordedHistory>) -> Result<Vec<Mismatch>> {
    builder.check_registrations()?;
    let (registry, limits) = builder.code();
    let mut mismatches = Vec::new();
    for history in histories {
        let (id, record, store) = history.restore()?;
        let recorded = RecordedRun {
            registry,
            limits,
            partition: PartitionId(0),
            id: &id,
            record: &record,
            reader: &store,
        };
        if let Err(stopped) = recorded.replay()? {
            mismatches.push(Mismatch {
                instance_id: id.to_string(),
                name: record.name,
                stopped,
            });
        }
    }
    Ok(mismatches)
}

/// Replays the histories of a file with the code that a builder registers. Each line of the text is a
/// [`RecordedHistory`] as JSON, or the output of `abide export --recorded`.
///
/// ```no_run
/// # use abide::prelude::*;
/// # fn builder() -> abide::hub::HubBuilder { Hub::in_memory() }
/// // In a test that runs in CI:
/// let histories = std::fs::read_to_string("tests/histories.jsonl").unwrap();
/// abide::testing::assert_replays(builder(), &histories);
/// ```
///
/// # Panics
/// Panics if the code does not fit one of the histories, with the difference for each, or if the text contains no
/// histories or cannot be read.
#[track_caller]
pub fn assert_replays(builder: HubBuilder, lines: &str) {
    let histories = parse(lines).unwrap_or_else(|error| panic!("the histories cannot be read: {error}"));
    assert!(!histories.is_empty(), "the text contains no histories");
    let count = histories.len();
    let mismatches =
        replay(builder, histories).unwrap_or_else(|error| panic!("the histories cannot be replayed: {error}"));
    let texts = mismatches.iter().map(|mismatch| {
        format!(
            "`{}` ({}) would stop: {}\n",
            mismatch.instance_id, mismatch.name, mismatch.stopped.message
        )
    });
    let texts: String = texts.collect();
    assert!(
        mismatches.is_empty(),
        "this build does not fit {} of {count} recorded histories:\n{texts}",
        mismatches.len()
    );
}

pub(crate) fn parse(lines: &str) -> Result<Vec<RecordedHistory>> {
    let mut histories = Vec::new();
    for (number, line) in (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |reason: &dyn std::fmt::Display| {
            let text = format!("line {number} is not a recorded history: {reason}");
            Error::new(ErrorKind::InvalidArguments, text)
        };
        let mut document: serde_json::Value = serde_json::from_str(line).map_err(|error| wrong(&error))?;
        let document = match document.get_mut("recorded") {
            Some(recorded) => recorded.take(),
            None => document,
        };
        histories.push(serde_json::from_value(document).map_err(|error| wrong(&error))?);
    }
    Ok(histories)
}
