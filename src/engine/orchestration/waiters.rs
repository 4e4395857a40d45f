//! Clients that wait for the end of an orchestration. They are notified when it ends. No client polls.

use std::collections::HashMap;

use crate::engine::ctx::Ctx;
use crate::engine::message::{Response, Token, WaitUntil, Waiter};
use crate::engine::orchestration::state::{put_orchestration, take_orchestration};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::InstanceId;
use crate::model::orchestration::{EndRecord, OrchestrationRecord, OrchestrationStatus, Stopped};
use crate::{model, schema};

/// The clients that wait for the ends of orchestrations.
#[derive(Debug, Default)]
pub(in crate::engine) struct Waiters(HashMap<InstanceId, Vec<Waiter>>);

impl Waiters {
    fn add(&mut self, id: &InstanceId, waiter: Waiter) {
        self.0.entry(id.clone()).or_default().push(waiter);
    }

    /// Takes all clients that wait for an orchestration.
    fn take(&mut self, id: &InstanceId) -> Vec<Waiter> {
        self.0.remove(id).unwrap_or_default()
    }

    /// Takes the clients that wait for an orchestration and satisfy the condition.
    fn take_if(&mut self, id: &InstanceId, fits: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let Some(waiters) = self.0.get_mut(id) else {
            return Vec::new();
        };
        let taken = waiters.extract_if(.., |waiter| fits(waiter)).collect();
        if waiters.is_empty() {
            self.0.remove(id);
        }
        taken
    }

    /// Removes a client that no longer waits.
    pub(in crate::engine) fn forget(&mut self, id: &InstanceId, token: Token) {
        self.take_if(id, |waiter| waiter.token == token);
    }

    /// Returns the number of orchestrations with waiting clients.
    #[cfg(test)]
    pub(in crate::engine) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Sends a client the outcome of an orchestration, now or when it ends. A client that asked for stops also receives a
/// stop, if this build has tried the orchestration.
pub(in crate::engine) fn wait_for_end(
    id: &InstanceId,
    waiter: Waiter,
    is_tried: bool,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let Some(state) = take_orchestration(id, ctx)? else {
        let error = Error::no_orchestration(id.as_str());
        ctx.step.settle(waiter.token, Response::Failed(Box::new(error.into())));
        return Ok(());
    };
    let stopped = state.record.stopped.as_ref();
    let stopped = stopped.filter(|_| waiter.until == WaitUntil::EndOrStop && is_tried);
    if state.is_terminal() {
        let end = match &state.end {
            Some(end) => Some(end.clone()),
            None => read_end(id, ctx)?,
        };
        ctx.step.settle(waiter.token, told(id, &state.record, end));
    } else if let Some(stopped) = stopped {
        ctx.step.settle(waiter.token, told_stop(id, stopped));
    } else {
        ctx.waiters.add(id, waiter);
    }
    put_orchestration(id, state, false, ctx)
}

/// Sends the outcome of an ended orchestration to all waiting clients.
pub(super) fn tell_waiters(id: &InstanceId, record: &OrchestrationRecord, end: &EndRecord, ctx: &mut Ctx<'_>) {
    for waiter in ctx.waiters.take(id) {
        ctx.step.settle(waiter.token, told(id, record, Some(end.clone())));
    }
}

/// Sends a stop to the waiting clients that asked for stops.
pub(super) fn tell_stop(id: &InstanceId, stopped: &Stopped, ctx: &mut Ctx<'_>) {
    for waiter in ctx.waiters.take_if(id, |waiter| waiter.until == WaitUntil::EndOrStop) {
        ctx.step.settle(waiter.token, told_stop(id, stopped));
    }
}

pub(super) fn read_end(id: &InstanceId, ctx: &Ctx<'_>) -> Result<Option<EndRecord>> {
    let row = ctx
        .reader
        .get(&schema::orchestration::end_key(ctx.settings.partition_of(id), id))?;
    row.map(|row| model::decode(&row, "end of an orchestration"))
        .transpose()
}

fn told_stop(id: &InstanceId, stopped: &Stopped) -> Response {
    Response::Failed(Box::new(stopped.error(id.as_str()).into()))
}

/// Returns the response to a client that waited for the end.
fn told(id: &InstanceId, record: &OrchestrationRecord, end: Option<EndRecord>) -> Response {
    match outcome(id, record.status, end) {
        Ok(output) => Response::Answer(output),
        Err(failure) => Response::Failed(Box::new(failure)),
    }
}

/// Returns the outcome of an ended orchestration.
pub(super) fn outcome(
    id: &InstanceId,
    status: OrchestrationStatus,
    end: Option<EndRecord>,
) -> std::result::Result<Vec<u8>, CallFailure> {
    match end {
        Some(EndRecord::Completed(output)) => Ok(output),
        Some(EndRecord::Failed(failure)) => Err(CallFailure::Returned(failure)),
        Some(EndRecord::Ended(reason)) => {
            let how = match status {
                OrchestrationStatus::Canceled => "was canceled by its parent",
                _ => "was terminated",
            };
            Err(Error::new(
                ErrorKind::Terminated,
                format!("the orchestration `{id}` {how}: {reason}"),
            )
            .into())
        }
        None => Err(Error::new(
            ErrorKind::Corrupted,
            format!("the orchestration `{id}` has ended, but the record of its end is missing"),
        )
        .into()),
    }
}
