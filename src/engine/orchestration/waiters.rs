//! Clients that wait for the end of an orchestration. They are told when it ends; nobody polls.

use crate::engine::core::Core;
use crate::engine::message::{Settled, Token};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::InstanceId;
use crate::store::records;
use crate::store::records::instance::{EndRecord, InstanceRecord, OrchestrationStatus};
use crate::store::{Reader, keys};

impl Core {
    /// Tells a client how an orchestration ended, now or when it does.
    pub(in crate::engine) fn wait_for_end(
        &mut self,
        id: InstanceId,
        token: Token,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let Some(instance) = self.take_instance(&id, step, reader)? else {
            let error = not_found(&id);
            step.settle(token, Settled::Failed(Box::new(error.into())));
            return Ok(());
        };
        if instance.is_terminal() {
            let end = match &instance.end {
                Some(end) => Some(end.clone()),
                None => self.read_end(&id, reader)?,
            };
            step.settle(token, told(&id, &instance.record, end));
        } else {
            self.waiters.entry(id.clone()).or_default().push(token);
        }
        self.put_instance(&id, instance, false, step)
    }

    /// Forgets a client that does not wait any more.
    pub(in crate::engine) fn forget_waiter(&mut self, id: &InstanceId, token: Token) {
        if let Some(waiters) = self.waiters.get_mut(id) {
            waiters.retain(|waiter| *waiter != token);
            if waiters.is_empty() {
                self.waiters.remove(id);
            }
        }
    }

    /// Tells everyone who waits for an orchestration that has just ended.
    pub(super) fn tell_waiters(&mut self, id: &InstanceId, record: &InstanceRecord, end: &EndRecord, step: &mut Step) {
        for token in self.waiters.remove(id).unwrap_or_default() {
            step.settle(token, told(id, record, Some(end.clone())));
        }
    }

    pub(super) fn read_end(&self, id: &InstanceId, reader: &dyn Reader) -> Result<Option<EndRecord>> {
        let row = reader.get(&keys::end(self.partition_of(id), id))?;
        row.map(|row| records::decode(&row, "end of an orchestration"))
            .transpose()
    }
}

/// What is said of an id that no orchestration has.
pub(super) fn not_found(id: &InstanceId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no orchestration `{id}`; it was never started here, or it was purged"),
    )
}

/// What a client is told that waited for the end.
fn told(id: &InstanceId, record: &InstanceRecord, end: Option<EndRecord>) -> Settled {
    match outcome(id, record.status, end) {
        Ok(output) => Settled::Answer(output),
        Err(failure) => Settled::Failed(Box::new(failure)),
    }
}

/// How an orchestration ended, for who waits for it.
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
                OrchestrationStatus::Canceled => "was cancelled by its parent",
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
            format!("the orchestration `{id}` has ended and the record of its end is missing"),
        )
        .into()),
    }
}
