//! Replay: restores the code of an orchestration from its history.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::code::{Begin, OrchestrationCode, OrchestrationRun};
use crate::engine::ctx::Ctx;
use crate::engine::orchestration::state::{OrchestrationState, stopped};
use crate::engine::spans::TracedRun;
use crate::engine::{Limits, Registry, VersionPolicy, version_text};
use crate::error::Result;
use crate::id::{InstanceId, PartitionId, Sequence};
use crate::model::orchestration::{OrchestrationRecord, StopKind, Stopped};
use crate::store::Reader;
use crate::views::turns::read_turns;

/// Returns the code of an orchestration in the state after its history, from memory or by a replay. The inner error is
/// the reason why the orchestration stops.
pub(super) fn live<'i>(
    id: &InstanceId,
    state: &'i mut OrchestrationState,
    ctx: &mut Ctx<'_>,
) -> Result<Result<&'i mut Box<dyn OrchestrationRun>, Stopped>> {
    if state.run.is_none() {
        ctx.step.counts.replays += 1;
        let recorded = RecordedRun {
            registry: &ctx.settings.registry,
            limits: &ctx.settings.limits,
            partition: ctx.settings.partition_of(id),
            id,
            record: &state.record,
            reader: ctx.reader,
        };
        match recorded.replay()? {
            Ok(run) => state.run = Some(run),
            Err(stopped) => return Ok(Err(stopped)),
        }
    }
    let Some(run) = state.run.as_mut() else {
        unreachable!("it was set above");
    };
    Ok(Ok(run))
}

/// Returns a run of an execution before its first turn, or `None` if its code is not registered.
pub(super) fn first_run(
    id: &InstanceId,
    record: &OrchestrationRecord,
    ctx: &Ctx<'_>,
) -> Option<Box<dyn OrchestrationRun>> {
    let code = ctx.settings.registry.orchestration(&record.name, &record.version)?;
    Some(begin_run(&code, &ctx.settings.limits, id, record))
}

/// Returns the reason why no code of this build can run an orchestration of this record.
fn unregistered(registry: &Registry, record: &OrchestrationRecord) -> Stopped {
    let name = &record.name;
    let (version, known) = (version_text(&record.version), registry.known_versions(name));
    let message = match registry.version_policy {
        _ if registry.versions(name).is_empty() => {
            format!("no orchestration is registered as `{name}`; register it with the builder and open the hub again")
        }
        VersionPolicy::Strict => format!(
            "the version {version} of the orchestration `{name}` is not registered, only {known}; register it as well, \
             or open the hub with `.version_policy(VersionPolicy::CurrentOrOlder)`"
        ),
        VersionPolicy::CurrentOrOlder => format!(
            "the version {version} of the orchestration `{name}` is not registered, only {known}, the last of which is \
             older; register it as well"
        ),
    };
    stopped(StopKind::Unregistered, message)
}

/// A recorded execution, and what is needed to replay it with the code of this build.
#[derive(Clone, Copy)]
pub(crate) struct RecordedRun<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) limits: &'a Limits,
    pub(crate) partition: PartitionId,
    pub(crate) id: &'a InstanceId,
    pub(crate) record: &'a OrchestrationRecord,
    pub(crate) reader: &'a dyn Reader,
}

/// The code of an orchestration after some turns of its history.
pub(crate) struct ReplayedPart {
    pub(crate) run: Box<dyn OrchestrationRun>,
    /// The custom status that the code has set last, as JSON.
    pub(crate) custom_status: Option<Vec<u8>>,
}

impl ReplayedPart {
    /// Returns the position of each open step in the source of the code.
    pub(crate) fn sources(&self) -> BTreeMap<Sequence, String> {
        let places = self.run.places().into_iter();
        places.map(|(step, place)| (step, place.to_string())).collect()
    }
}

impl RecordedRun<'_> {
    /// Replays the whole history.
    ///
    /// # Errors
    /// Returns any error of the reader. The inner error is the reason why the orchestration would stop.
    pub(crate) fn replay(self) -> Result<Result<Box<dyn OrchestrationRun>, Stopped>> {
        let replayed = self.replay_part(self.record.turns, || Ok(()))?;
        Ok(replayed.map(|replayed| replayed.run))
    }

    /// Replays the first `turns` turns. Calls `before_turn` before each of them.
    ///
    /// # Errors
    /// Returns any error of the reader or of `before_turn`. The inner error is the reason why the orchestration would
    /// stop.
    pub(crate) fn replay_part(
        self,
        turns: u32,
        before_turn: impl Fn() -> Result<()>,
    ) -> Result<Result<ReplayedPart, Stopped>> {
        let Self { id, record, .. } = self;
        let Some(code) = self.registry.orchestration(&record.name, &record.version) else {
            return Ok(Err(unregistered(self.registry, record)));
        };
        let mut run = begin_run(&code, self.limits, id, record);
        let mut custom_status = None;
        let (mut allowed, mut ended) = (Ok(()), Ok(()));
        read_turns(self.reader, self.partition, id, record, 0..turns, |number, turn| {
            allowed = before_turn();
            if allowed.is_err() {
                return false;
            }
            match run.replay(number, &turn) {
                Ok(status) => custom_status = status.or(custom_status.take()),
                Err(stopped) => ended = Err(stopped),
            }
            ended.is_ok()
        })?;
        allowed?;
        Ok(ended.map(|()| ReplayedPart { run, custom_status }))
    }
}

fn begin_run(
    code: &Arc<dyn OrchestrationCode>,
    limits: &Limits,
    id: &InstanceId,
    record: &OrchestrationRecord,
) -> Box<dyn OrchestrationRun> {
    let run = code.begin(Begin {
        instance: id.clone(),
        execution: record.execution,
        actions: limits.actions,
        payload_bytes: limits.payload_bytes,
    });
    match limits.spans {
        Some(_) => TracedRun::wrap(run, id, record),
        None => run,
    }
}
