//! A history as a text that is the same in every run.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use crate::history::{HistoryEvent, HistoryEventKind, HistoryStep};
use crate::testing::diff::difference;

/// Returns a history as a text with a line for each event, for [`assert_history`] or as a snapshot. It contains no
/// points in time and no turns, so it is the same whenever and however often the orchestration runs.
///
/// ```
/// use std::time::Duration;
///
/// use abide::prelude::*;
/// use abide::testing::{TestHub, outline};
///
/// #[activity]
/// async fn greet(name: String) -> Result<String, Failure> {
///     Ok(format!("Hello {name}!"))
/// }
///
/// #[orchestration]
/// async fn greets(ctx: OrchestrationContext, name: String) -> Result<String, Failure> {
///     ctx.create_timer(Duration::from_secs(60)).await;
///     Ok(ctx.call_activity::<greet>(name).label("say hello").await?)
/// }
///
/// let hub = TestHub::new(|| Hub::in_memory().orchestration::<greets>().activity::<greet>());
/// hub.run(async |hub| {
///     let run = hub.client().start::<greets>("Carol".into()).await?;
///     run.result().await?;
///     let expected = r#"
/// started: greets "Carol"
/// 1 timer: 60s
/// 1 done: null
/// 2 activity greet (say hello): "Carol"
/// 2 done: "Hello Carol!"
/// completed: "Hello Carol!"
/// "#;
///     assert_eq!(outline(&run.history().await?), expected.trim_start());
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn outline(history: &[HistoryEvent]) -> String {
    let mut text = String::new();
    for event in history {
        let label = event
            .label
            .as_deref()
            .map(|label| format!(" ({label})"))
            .unwrap_or_default();
        let _ = writeln!(text, "{}", line(&event.kind, &label, event.time));
    }
    text
}

/// Checks that a history has this [`outline`]. Spaces around lines and empty lines around the text are not compared, so
/// the text may be indented.
///
/// ```
/// use abide::prelude::*;
/// use abide::testing::{TestHub, assert_history};
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
/// let hub = TestHub::new(|| Hub::in_memory().orchestration::<greets>().activity::<greet>());
/// hub.run(async |hub| {
///     let run = hub.client().start::<greets>("Carol".into()).await.unwrap();
///     run.result().await.unwrap();
///     assert_history(
///         &run.history().await.unwrap(),
///         r#"
///             started: greets "Carol"
///             1 activity greet: "Carol"
///             1 done: "Hello Carol!"
///             completed: "Hello Carol!"
///         "#,
///     );
/// });
/// ```
///
/// # Panics
/// Panics if the outline differs, and shows the lines that differ.
#[track_caller]
pub fn assert_history(history: &[HistoryEvent], expected: &str) {
    let found = outline(history);
    let lines = |text: &str| -> Vec<String> { text.trim().lines().map(|line| line.trim().to_owned()).collect() };
    let (expected, found) = (lines(expected), lines(&found));
    if expected != found {
        let difference = difference(expected.iter().map(String::as_str), found.iter().map(String::as_str));
        panic!(
            "the history is not as expected; `-` is expected, `+` is the history, and if the latter is right, change the \
             expected text\n{difference}"
        );
    }
}

fn line(kind: &HistoryEventKind, label: &str, time: SystemTime) -> String {
    use HistoryEventKind as Kind;
    match kind {
        Kind::ExecutionStarted {
            name, version, input, ..
        } => match version.as_str() {
            "" => format!("started: {name} {input}"),
            version => format!("started: {name} {version} {input}"),
        },
        Kind::StepScheduled {
            sequence,
            step,
            input,
            attempt,
        } => {
            let again = if *attempt > 1 {
                format!(", attempt {attempt}")
            } else {
                String::new()
            };
            let input = input.as_deref().map(|input| format!(": {input}")).unwrap_or_default();
            format!("{sequence} {}{label}{again}{input}", name_of(step, time))
        }
        Kind::StepCompleted { sequence, result, .. } => format!("{sequence} done: {result}"),
        Kind::StepFailed {
            sequence,
            failure,
            error,
            ..
        } => {
            let failure = failure.as_ref().map(ToString::to_string);
            let reason = failure.or_else(|| error.as_ref().map(ToString::to_string));
            format!("{sequence} failed: {}", reason.unwrap_or_default())
        }
        Kind::StepCanceled { sequence, .. } => format!("{sequence} canceled"),
        Kind::LockReleased { sequence, .. } => format!("{sequence} released"),
        Kind::StepRefused { sequence, what, error } => format!("{sequence} refused: {what}: {error}"),
        Kind::EventRaised { name, payload } => format!("event {name}: {payload}"),
        Kind::EventSent {
            sequence,
            instance,
            name,
            payload,
        } => format!("{sequence} sent event {name} to {instance}: {payload}"),
        Kind::OrchestrationStarted {
            sequence,
            instance,
            name,
            input,
        } => format!("{sequence} started {name} as {instance}: {input}"),
        Kind::EntitySignaled {
            sequence,
            entity,
            operation,
            input,
            due,
        } => {
            let delay = due.map(|due| format!(" in {:?}", since(time, due))).unwrap_or_default();
            format!("{sequence} signaled {entity}.{operation}{delay}: {input}")
        }
        Kind::SignalCanceled {
            sequence,
            entity,
            timer,
        } => {
            format!("{sequence} canceled the scheduled signal {timer} to {entity}")
        }
        Kind::LockLost { sequence, entity } => format!("{sequence} lost the lock of {entity}"),
        Kind::ExecutionSuspended { reason } => format!("suspended: {reason}"),
        Kind::ExecutionResumed { reason } => format!("resumed: {reason}"),
        Kind::ContinuedAsNew { input, .. } => format!("continued as new: {input}"),
        Kind::ExecutionCompleted { output } => format!("completed: {output}"),
        Kind::ExecutionFailed { failure } => format!("failed: {failure}"),
        Kind::ExecutionTerminated {
            reason,
            by_parent: false,
        } => format!("terminated: {reason}"),
        Kind::ExecutionTerminated {
            reason,
            by_parent: true,
        } => format!("canceled by its parent: {reason}"),
    }
}

fn name_of(step: &HistoryStep, time: SystemTime) -> String {
    match step {
        HistoryStep::Activity { name } => format!("activity {name}"),
        HistoryStep::Timer { due } => format!("timer: {:?}", since(time, *due)),
        HistoryStep::Event { name } => format!("waits for event {name}"),
        HistoryStep::SubOrchestration { name, instance } => format!("sub-orchestration {name} as {instance}"),
        HistoryStep::EntityCall { entity, operation } => format!("call {entity}.{operation}"),
        HistoryStep::Lock { entities } => format!("lock {}", entities.join(", ")),
    }
}

fn since(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}
