//! Clients that wait for the end of an orchestration. They are told when it ends; nobody polls.

use crate::engine::core::Core;
use crate::engine::mailbox::Block;
use crate::engine::message::{Settled, Token, Waiter};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::InstanceId;
use crate::store::records;
use crate::store::records::instance::{EndRecord, InstanceRecord, OrchestrationStatus, Stopped};
use crate::store::{Reader, keys};

impl Core {
    /// Tells a client how an orchestration ended, now or when it does; and of a stop, if the client asked for that.
    pub(in crate::engine) fn wait_for_end(
        &mut self,
        id: InstanceId,
        waiter: Waiter,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let Some(instance) = self.take_instance(&id, step, reader)? else {
            let error = not_found(&id);
            step.settle(waiter.token, Settled::Failed(Box::new(error.into())));
            return Ok(());
        };
        // One that this build has not tried yet may be able to continue.
        let is_tried = || {
            self.mailboxes
                .get(&id)
                .is_some_and(|mailbox| matches!(mailbox.block, Block::Stopped))
        };
        let stopped = instance
            .record
            .stopped
            .as_ref()
            .filter(|_| waiter.hears_stops && is_tried());
        if instance.is_terminal() {
            let end = match &instance.end {
                Some(end) => Some(end.clone()),
                None => self.read_end(&id, reader)?,
            };
            step.settle(waiter.token, told(&id, &instance.record, end));
        } else if let Some(stopped) = stopped {
            step.settle(waiter.token, told_stop(&id, stopped));
        } else {
            self.waiters.entry(id.clone()).or_default().push(waiter);
        }
        self.put_instance(&id, instance, false, step)
    }

    /// Forgets a client that does not wait any more.
    pub(in crate::engine) fn forget_waiter(&mut self, id: &InstanceId, token: Token) {
        if let Some(waiters) = self.waiters.get_mut(id) {
            waiters.retain(|waiter| waiter.token != token);
            if waiters.is_empty() {
                self.waiters.remove(id);
            }
        }
    }

    /// Tells everyone who waits for an orchestration that has just ended.
    pub(super) fn tell_waiters(&mut self, id: &InstanceId, record: &InstanceRecord, end: &EndRecord, step: &mut Step) {
        for waiter in self.waiters.remove(id).unwrap_or_default() {
            step.settle(waiter.token, told(id, record, Some(end.clone())));
        }
    }

    /// Tells the clients that asked for it that an orchestration is stopped.
    pub(super) fn tell_stop(&mut self, id: &InstanceId, stopped: &Stopped, step: &mut Step) {
        let Some(waiters) = self.waiters.get_mut(id) else {
            return;
        };
        for waiter in waiters.extract_if(.., |waiter| waiter.hears_stops) {
            step.settle(waiter.token, told_stop(id, stopped));
        }
        if waiters.is_empty() {
            self.waiters.remove(id);
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

fn told_stop(id: &InstanceId, stopped: &Stopped) -> Settled {
    Settled::Failed(Box::new(stopped.error(id.as_str()).into()))
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
