//! Replays of a recorded history: how an orchestration stood after one of its turns, and whether this build still has
//! the code for it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use crate::client::orchestration::OrchestrationHandle;
use crate::client::source::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, Sequence};
use crate::model::orchestration::{OrchestrationRecord, Stopped};
use crate::runtime::{ReplayPermit, Runtime};
use crate::views::history::HistoryStep;
use crate::views::open_steps::OpenSteps;
use crate::views::turns::read_turns;
use crate::views::view::View;
use crate::views::{json, orchestrations};

/// How an orchestration stood after one of its turns. Returned by [`OrchestrationHandle::at_turn`].
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TurnState {
    /// The number of the turn, starting at 0.
    pub turn: u32,
    /// The number of turns of the execution so far.
    pub turns: u32,
    /// The time at which the turn began.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub time: SystemTime,
    /// The steps that the code waited for after the turn, in the order in which they began.
    pub open: Vec<OpenStep>,
    /// The custom status after the turn, as JSON. `None` if there was none, or if the history was not replayed.
    #[serde(serialize_with = "json::optional_payload")]
    #[cfg_attr(feature = "http", schema(value_type = Option<serde_json::Value>))]
    pub custom_status: Option<String>,
    /// The result of the replay up to the turn.
    pub replay: ReplayOutcome,
}

/// A step that the code of an orchestration waits for.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OpenStep {
    /// The number of the step in its execution.
    pub sequence: u64,
    /// Its label, if the code gave it one.
    pub label: Option<String>,
    /// The time at which it began, or at which its last attempt did.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub since: SystemTime,
    /// The kind of the step.
    pub step: HistoryStep,
    /// The position of its call in the source of the code, as `file:line:column`. `None` if the history was not
    /// replayed.
    pub source: Option<String>,
}

/// The result of a replay of a recorded history with the code of this build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(tag = "result", rename_all = "camelCase")]
#[non_exhaustive]
pub enum ReplayOutcome {
    /// The code issues the recorded commands.
    Matches,
    /// The code is not registered, panics, or issues other commands than the recorded ones.
    Stops(Stopped),
    /// The client inspects a stopped hub, whose code it does not know.
    NoCode,
}

impl<O> OrchestrationHandle<O> {
    /// Replays the history of the newest execution up to a turn, and returns how the orchestration stood after it. The
    /// replay runs the code on a thread that may block. It changes nothing.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    ///     ctx.set_custom_status("waiting for a decision");
    ///     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    ///     Ok(format!("{expense}: {approved}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// let run = hub.client().start::<approval>("a chair".into()).await?;
    /// run.raise_event("decision", true).await?;
    /// run.result().await?;
    ///
    /// let before = run.at_turn(0).await?;
    /// assert_eq!(before.custom_status.as_deref(), Some("\"waiting for a decision\""));
    /// // The position of `wait_for_external_event` above.
    /// println!("{:?} is open at {:?}", before.open[0].step, before.open[0].source);
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration or turn, of kind
    /// [`ErrorKind::Corrupted`] if a row cannot be read, or any [hub error](crate::Error).
    pub async fn at_turn(&self, turn: u32) -> Result<TurnState> {
        let (id, source) = (self.instance()?.clone(), self.client.source().await?);
        let permit = begin(&source, &id).await?;
        let read = move |view: View<'_>| {
            let code = code(&source, permit.as_ref());
            turn_state(view, code, &id, turn)
        };
        self.client.on_blocking_thread(read).await
    }

    /// Replays the history of the newest execution with the code of this build, and returns whether the code still
    /// issues the recorded commands. The replay runs on a thread that may block. It changes nothing.
    ///
    /// ```
    /// use abide::client::ReplayOutcome;
    /// use abide::prelude::*;
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// let run = hub.client().start::<approval>("a chair".into()).await?;
    /// assert_eq!(run.check_replay().await?, ReplayOutcome::Matches);
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such orchestration, of kind
    /// [`ErrorKind::Corrupted`] if a row cannot be read, or any [hub error](crate::Error).
    pub async fn check_replay(&self) -> Result<ReplayOutcome> {
        let (id, source) = (self.instance()?.clone(), self.client.source().await?);
        let permit = begin(&source, &id).await?;
        let check = move |view: View<'_>| {
            let record = record(view, &id)?;
            let code = code(&source, permit.as_ref());
            Ok(replay(view, code, &id, &record, record.turns)?.outcome)
        };
        self.client.on_blocking_thread(check).await
    }
}

/// Waits for the turn of a replay. A directory has no code, and needs none.
async fn begin(source: &Source, id: &InstanceId) -> Result<Option<ReplayPermit>> {
    match source.runtime() {
        Some(runtime) => runtime.replays.begin(id).await.map(Some),
        None => Ok(None),
    }
}

/// The code of an open hub, and the permit to run it.
type Code<'a> = Option<(&'a Runtime, &'a ReplayPermit)>;

fn code<'a>(source: &'a Source, permit: Option<&'a ReplayPermit>) -> Code<'a> {
    Some((source.runtime()?, permit?))
}

fn record(view: View<'_>, id: &InstanceId) -> Result<OrchestrationRecord> {
    orchestrations::record(view.reader, id.partition(view.partitions), id)?
        .ok_or_else(|| Error::no_orchestration(id.as_str()))
}

fn turn_state(view: View<'_>, code: Code<'_>, id: &InstanceId, turn: u32) -> Result<TurnState> {
    let record = record(view, id)?;
    let mut time = None;
    let partition = id.partition(view.partitions);
    read_turns(
        view.reader,
        partition,
        id,
        &record,
        turn..turn.saturating_add(1),
        |_, turn| {
            time = Some(turn.time);
            true
        },
    )?;
    let Some(time) = time else {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "the orchestration `{id}` has no turn {turn}; it has had {} turns, the first of which is 0",
                record.turns
            ),
        ));
    };
    let replayed = replay(view, code, id, &record, turn + 1)?;
    let steps = OpenSteps::read(view, id, &record, turn + 1)?;
    let open = steps.open.into_iter().filter_map(|(sequence, open)| {
        Some(OpenStep {
            sequence,
            step: open.what.history_step()?,
            label: open.label,
            since: open.since,
            source: replayed.sources.get(&sequence).cloned(),
        })
    });
    Ok(TurnState {
        turn,
        turns: record.turns,
        time: time.into(),
        open: open.collect(),
        custom_status: replayed.custom_status.map(json::text),
        replay: replayed.outcome,
    })
}

/// The result of a replay, and what it shows of the code.
struct Replayed {
    outcome: ReplayOutcome,
    custom_status: Option<Vec<u8>>,
    sources: BTreeMap<Sequence, String>,
}

impl Replayed {
    fn without_code(outcome: ReplayOutcome) -> Self {
        Self {
            outcome,
            custom_status: None,
            sources: BTreeMap::new(),
        }
    }
}

fn replay(
    view: View<'_>,
    code: Code<'_>,
    id: &InstanceId,
    record: &OrchestrationRecord,
    turns: u32,
) -> Result<Replayed> {
    let Some((runtime, permit)) = code else {
        return Ok(Replayed::without_code(ReplayOutcome::NoCode));
    };
    Ok(match runtime.replay(permit, id, record, view.reader, turns)? {
        Ok(part) => Replayed {
            outcome: ReplayOutcome::Matches,
            sources: part.sources(),
            custom_status: part.custom_status,
        },
        Err(stopped) => Replayed::without_code(ReplayOutcome::Stops(stopped)),
    })
}
