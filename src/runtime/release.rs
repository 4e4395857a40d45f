//! The release of outputs once they are durable.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;
use tokio::sync::OwnedSemaphorePermit;

use crate::engine::code::AsyncOperation;
use crate::engine::message::{AsyncEnded, Effect, Input};
use crate::engine::panic_text;
use crate::error::{Error, ErrorKind};
use crate::id::{InstanceId, MessageId};
use crate::runtime::contained::contained;
use crate::runtime::driver;
use crate::runtime::inbox::{Envelope, Reply};
use crate::runtime::shared::Runtime;

/// Minimum number of simultaneous outputs that are released from a thread of tokio, if tokio has threads of its own.
/// For fewer outputs, the handover takes longer than it saves.
const CROWD: usize = 8;

/// Time for an `async` operation to reach its next await after its time limit. After this time, its sender receives the
/// error.
const GRACE: Duration = Duration::from_secs(1);

/// An output that leaves the process once it is durable.
pub(crate) type Release = driver::Release<Reply>;

impl Runtime {
    /// Releases all items, or fails their receivers with `error`.
    pub(crate) fn release(self: &Arc<Self>, mut items: Vec<Release>, error: Option<&Error>) {
        // A user's waker may panic, or a value that is dropped with an operation that never began. The other items must
        // still be released.
        contained(|| give_back_room(&mut items));
        if error.is_none() {
            contained(|| self.publish(&mut items));
        }
        if error.is_none() && items.len() >= CROWD && self.tokio.runtime_flavor() == RuntimeFlavor::MultiThread {
            return self.release_from_worker(items);
        }
        for item in items {
            contained(|| match error {
                None => self.release_one(item),
                Some(error) => item.refuse(error),
            });
        }
    }

    /// Releases all items from a thread of tokio. Waking a task from such a thread costs a push to a local queue. From
    /// any other thread, it costs a lock and often a system call per task.
    #[expect(clippy::disallowed_methods, reason = "tasks are spawned here")]
    fn release_from_worker(self: &Arc<Self>, items: Vec<Release>) {
        let runtime = Arc::clone(self);
        // If tokio dropped the task before it runs, the items would never be released.
        let lost = FailOnDrop::of(self);
        self.tokio.spawn(async move {
            for item in items {
                contained(|| runtime.release_one(item));
            }
            lost.call_off();
        });
    }

    /// Publishes the changes among the items at once, because watchers receive them in the order of the commits.
    fn publish(&self, items: &mut [Release]) {
        for item in items {
            if let Release::Effect(Effect::Changes(changes)) = item {
                self.feed.publish(std::mem::take(changes));
            }
        }
    }

    fn release_one(self: &Arc<Self>, item: Release) {
        match item {
            Release::Reply { client, response } => {
                // A receiver that is gone wants nothing any more.
                let _ = client.sender.send(Ok(response));
            }
            // They were published before.
            Release::Effect(Effect::Changes(_)) => {}
            Release::Effect(Effect::Room { instance }) => self.room.open(&instance),
            Release::Effect(Effect::Mail { to, newest }) => self.mail.post(to, newest),
            #[cfg_attr(not(feature = "otel"), expect(unused_variables))]
            Release::Effect(Effect::Span(span)) =>
            {
                #[cfg(feature = "otel")]
                if let Some(exporter) = &self.exporter {
                    exporter.export(*span);
                }
            }
            Release::Effect(Effect::StartOperation {
                instance,
                message,
                operation,
            }) => self.start_operation(instance, message, operation),
            Release::Effect(Effect::StartActivity(start)) => self.start_activity(*start),
            Release::Effect(Effect::CancelActivity { activity }) => self.cancel_activity(&activity),
        }
    }

    /// Runs an `async` operation on the tokio runtime in which the hub was opened.
    #[expect(clippy::disallowed_methods, reason = "tasks are spawned here")]
    fn start_operation(self: &Arc<Self>, instance: InstanceId, message: MessageId, operation: AsyncOperation) {
        let Some(running) = self.operations.enter(&instance) else {
            // The hub is closed. The row remains for the next open.
            return;
        };
        let runtime: Weak<Self> = Arc::downgrade(self);
        let (limit, operations) = (self.limits.async_timeout, Arc::clone(&self.operations));
        let handle = self.tokio.clone();
        let lost = FailOnDrop::of(self);
        self.tokio.spawn(async move {
            let number = running.number();
            let mut task = handle.spawn(async move {
                let _running = running;
                operation.await
            });
            operations.note(number, task.abort_handle());
            let ended = match tokio::time::timeout(limit, &mut task).await {
                Ok(Ok(finished)) => AsyncEnded::Finished(finished),
                Ok(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => AsyncEnded::Panicked(panic_text(panic.as_ref())),
                    // The hub is closed, or the tokio runtime has shut down.
                    Err(_) => {
                        if operations.is_closed() {
                            lost.call_off();
                        }
                        return;
                    }
                },
                Err(_) => {
                    task.abort();
                    // The operation ends at its next await. If it does not reach one, its sender need not wait for it,
                    // but the entity's next operation must not run concurrently.
                    if tokio::time::timeout(GRACE, &mut task).await.is_err() {
                        tell_end(&runtime, &instance, message, AsyncEnded::Lingers);
                        let _ = task.await;
                    }
                    AsyncEnded::TimedOut
                }
            };
            lost.call_off();
            tell_end(&runtime, &instance, message, ended);
        });
    }
}

/// Reports the end of an `async` operation to its core.
fn tell_end(runtime: &Weak<Runtime>, instance: &InstanceId, message: MessageId, ended: AsyncEnded) {
    if let Some(runtime) = runtime.upgrade() {
        let input = Input::AsyncEnded {
            instance: instance.clone(),
            message,
            ended,
        };
        runtime.inbox_of(instance).send(Envelope::Input(Box::new(input)));
    }
}

/// Detects that the tokio runtime has shut down and dropped an operation or an activity.
///
/// The work has a row, so the next open runs it again. In this process, waiting for it would be pointless, so the hub
/// fails.
pub(super) struct FailOnDrop {
    runtime: Weak<Runtime>,
    /// Returns `true` if the hub itself may have dropped the work.
    is_ending: fn(&Runtime) -> bool,
}

impl FailOnDrop {
    pub(super) fn of(runtime: &Arc<Runtime>) -> Self {
        Self {
            runtime: Arc::downgrade(runtime),
            is_ending: |_| false,
        }
    }

    /// Like [`of`](Self::of), for an attempt of an activity. A hub that closes aborts its attempts, which is no failure.
    pub(super) fn of_attempt(runtime: &Arc<Runtime>) -> Self {
        Self {
            runtime: Arc::downgrade(runtime),
            is_ending: |runtime| runtime.attempts.is_closed(),
        }
    }

    /// Disarms the guard, because the end of the work is reported to the core.
    pub(super) fn call_off(mut self) {
        self.runtime = Weak::new();
    }
}

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.upgrade()
            && !(self.is_ending)(&runtime)
        {
            runtime.fail(&Error::new(
                ErrorKind::Closed,
                "the tokio runtime in which the hub was opened has shut down, which ended the hub's tasks; \
                 unacknowledged requests may or may not have been accepted, open the hub again to find out",
            ));
        }
    }
}

/// Releases the room that the replies hold. All permits are released at once because each release takes a lock. They
/// are released before the clients receive their replies, so a client that sends the next request finds room.
fn give_back_room(items: &mut [Release]) {
    let permits = items.iter_mut().filter_map(|item| match item {
        Release::Reply { client, .. } => client.permit.take(),
        _ => None,
    });
    // One merged permit per affected share of the room. There are few shares.
    let mut all: Vec<OwnedSemaphorePermit> = Vec::new();
    for permit in permits {
        let same = |all: &&mut OwnedSemaphorePermit| Arc::ptr_eq(all.semaphore(), permit.semaphore());
        match all.iter_mut().find(same) {
            Some(all) => all.merge(permit),
            None => all.push(permit),
        }
    }
}

impl Release {
    /// Fails the receiver with `error`.
    fn refuse(self, error: &Error) {
        if let Self::Reply { client, .. } = self {
            client.refuse(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::backpressure::Response;
    use tokio::sync::{Semaphore, oneshot};

    /// The room of a reply is released before its client receives the reply, and only once.
    #[test]
    fn room_is_released_before_clients_receive_replies() {
        let room = Arc::new(Semaphore::new(3));
        let mut items: Vec<Release> = (0..3)
            .map(|_| {
                let client = Reply {
                    sender: oneshot::channel().0,
                    permit: Arc::clone(&room).try_acquire_owned().ok(),
                };
                let response = Response::Accepted;
                Release::Reply { client, response }
            })
            .collect();
        let operators = Arc::new(Semaphore::new(1));
        items.push(Release::Reply {
            client: Reply {
                sender: oneshot::channel().0,
                permit: Arc::clone(&operators).try_acquire_owned().ok(),
            },
            response: Response::Accepted,
        });
        assert_eq!((room.available_permits(), operators.available_permits()), (0, 0));
        give_back_room(&mut items);
        assert_eq!(operators.available_permits(), 1);
        assert_eq!(room.available_permits(), 3);
        drop(items);
        assert_eq!(room.available_permits(), 3);
    }
}
