//! Replay: restores the code of an orchestration from its history.

use std::sync::Arc;

use crate::engine::code::{Begin, OrchestrationCode, OrchestrationRun};
use crate::engine::ctx::Ctx;
use crate::engine::orchestration::state::{OrchestrationState, stopped};
use crate::engine::spans::TracedRun;
use crate::engine::{Limits, Registry, VersionPolicy, version_text};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::model;
use crate::model::history::TurnRecord;
use crate::model::orchestration::{OrchestrationRecord, StopKind, Stopped};
use crate::schema;
use crate::store::{PageBounds, Reader};

/// Returns the code of an orchestration in the state after its history, from memory or by a replay. The inner error is
/// the reason why the orchestration stops.
pub(super) fn live<'i>(
    id: &InstanceId,
    state: &'i mut OrchestrationState,
    ctx: &mut Ctx<'_>,
) -> Result<Result<&'i mut Box<dyn OrchestrationRun>, Stopped>> {
    if state.run.is_none() {
        let partition = ctx.settings.partition_of(id);
        let record = &state.record;
        ctx.step.counts.replays += 1;
        match replay(
            &ctx.settings.registry,
            &ctx.settings.limits,
            partition,
            id,
            record,
            ctx.reader,
        )? {
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

/// Reads the turns of an execution in order, one page at a time, until `take` returns `false`.
pub(crate) fn read_turns(
    reader: &dyn Reader,
    partition: PartitionId,
    id: &InstanceId,
    record: &OrchestrationRecord,
    mut take: impl FnMut(u32, TurnRecord) -> bool,
) -> Result<()> {
    let mut next = 0;
    while next < record.turns {
        let range = schema::orchestration::turns(partition, id, record.execution, next..record.turns);
        let page = reader.page(range, PageBounds::USUAL)?;
        for (key, row) in &page.rows {
            if !key.ends_with(&next.to_be_bytes()) {
                return Err(lacks(id, next));
            }
            if !take(next, model::decode(row, "turn")?) {
                return Ok(());
            }
            next += 1;
        }
        if next < record.turns && !page.full {
            return Err(lacks(id, next));
        }
    }
    Ok(())
}

fn lacks(id: &InstanceId, turn: u32) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("the history of `{id}` lacks turn {turn}; open a checkpoint that contains it"),
    )
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

/// Replays an orchestration's history against the code of this build.
///
/// # Errors
/// Returns any error of the reader. The inner error is the reason why the orchestration would stop.
pub(crate) fn replay(
    registry: &Registry,
    limits: &Limits,
    partition: PartitionId,
    id: &InstanceId,
    record: &OrchestrationRecord,
    reader: &dyn Reader,
) -> Result<Result<Box<dyn OrchestrationRun>, Stopped>> {
    let Some(code) = registry.orchestration(&record.name, &record.version) else {
        return Ok(Err(unregistered(registry, record)));
    };
    let mut run = begin_run(&code, limits, id, record);
    let mut ended = Ok(());
    read_turns(reader, partition, id, record, |number, turn| {
        ended = run.replay(number, &turn);
        ended.is_ok()
    })?;
    Ok(ended.map(|()| run))
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
