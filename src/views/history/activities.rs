//! The calls of an activity in a history.

use crate::error::Error;
use crate::failure::Failure;
use crate::views::history::{HistoryEvent, HistoryEventKind, HistoryStep};

/// A call of an activity, with all of its attempts. Returned by [`activities`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ActivityCall {
    /// The number of the step.
    pub sequence: u64,
    /// The label of the step.
    pub label: Option<String>,
    /// The input as JSON text.
    pub input: String,
    /// The number of attempts that the code requested.
    pub attempts: u32,
    /// The outcome of the newest attempt.
    pub outcome: ActivityOutcome,
}

/// The outcome of the newest attempt of an [`ActivityCall`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ActivityOutcome {
    /// It has not ended.
    Pending,
    /// It returned a result.
    Completed {
        /// The result as JSON text.
        result: String,
    },
    /// It failed. Another attempt may follow.
    Failed {
        /// The error returned by the code of the activity.
        failure: Option<Failure>,
        /// The error of the runtime, if the code of the activity did not return one.
        error: Option<Error>,
    },
    /// It was canceled because its result is no longer needed.
    Canceled,
}

/// Returns the calls of the activity with this stored name, in the order in which the code made them. Calls that began
/// before the first of the events are left out.
///
/// ```
/// use abide::history::{ActivityOutcome, activities};
/// use abide::prelude::*;
///
/// #[activity]
/// async fn charge(cents: u64) -> String {
///     format!("charged {cents}")
/// }
///
/// #[orchestration]
/// async fn order(ctx: OrchestrationContext, cents: u64) -> Result<String, Failure> {
///     Ok(ctx.call_activity::<charge>(cents).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::in_memory().activity::<charge>().orchestration::<order>().open().await?;
/// let run = hub.client().start::<order>(900).await?;
/// run.result().await?;
///
/// let calls = activities(&run.history().await?, "charge");
/// assert_eq!((calls.len(), calls[0].input.as_str(), calls[0].attempts), (1, "900", 1));
/// let result = r#""charged 900""#.to_owned();
/// assert_eq!(calls[0].outcome, ActivityOutcome::Completed { result });
/// # hub.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub fn activities(history: &[HistoryEvent], name: &str) -> Vec<ActivityCall> {
    let mut calls: Vec<ActivityCall> = Vec::new();
    for event in history {
        if let HistoryEventKind::StepScheduled {
            sequence,
            step: HistoryStep::Activity { name: scheduled },
            input,
            attempt: 1,
        } = &event.kind
            && scheduled == name
        {
            calls.push(ActivityCall {
                sequence: *sequence,
                label: event.label.clone(),
                input: input.clone().unwrap_or_default(),
                attempts: 1,
                outcome: ActivityOutcome::Pending,
            });
            continue;
        }
        let Some(sequence) = event.kind.sequence() else {
            continue;
        };
        // Sequences are in the order of the calls.
        if let Ok(at) = calls.binary_search_by_key(&sequence, |call| call.sequence) {
            calls[at].follow(&event.kind);
        }
    }
    calls
}

impl ActivityCall {
    fn follow(&mut self, kind: &HistoryEventKind) {
        match kind {
            HistoryEventKind::StepScheduled { attempt, .. } => {
                self.attempts = *attempt;
                self.outcome = ActivityOutcome::Pending;
            }
            HistoryEventKind::StepCompleted { result, .. } => {
                let result = result.clone();
                self.outcome = ActivityOutcome::Completed { result };
            }
            HistoryEventKind::StepFailed { failure, error, .. } => {
                let (failure, error) = (failure.clone(), error.clone());
                self.outcome = ActivityOutcome::Failed { failure, error };
            }
            HistoryEventKind::StepCanceled { .. } => self.outcome = ActivityOutcome::Canceled,
            _ => {}
        }
    }
}
