//! Backpressure: clients that found the queue of an instance full wait here until it has shrunk.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Semaphore;

use crate::engine::message::{Message, Settled};
use crate::failure::CallFailure;
use crate::id::InstanceId;
use crate::runtime::contained::contained;

/// The reply to a client.
#[derive(Debug)]
pub(crate) enum Told {
    /// The answer of the operation, as JSON.
    Answer(Vec<u8>),
    /// The message is durable.
    Accepted,
    /// The call failed. Boxed because it is rare and large.
    Failed(Box<CallFailure>),
    /// The queue is full. The client sends the message again when the door opens.
    Full { message: Box<Message>, door: Door },
}

/// A door that opens when there is room.
#[derive(Clone, Debug)]
pub(crate) struct Door(Arc<Semaphore>);

impl Door {
    /// Waits until the door opens. An open door remains open.
    pub(crate) async fn opened(&self) {
        // The semaphore never has permits, so the wait ends only when the semaphore is closed.
        let _ = self.0.acquire().await;
    }
}

/// The doors of the instances whose queues are full.
#[derive(Debug, Default)]
pub(crate) struct Room {
    doors: DashMap<InstanceId, Door>,
}

impl Room {
    /// Returns the reply for `settled`.
    pub(crate) fn told(&self, settled: Settled) -> Told {
        match settled {
            Settled::Answer(answer) => Told::Answer(answer),
            Settled::Accepted => Told::Accepted,
            Settled::Failed(failure) => Told::Failed(failure),
            Settled::Full(message) => {
                let door = self.doors.entry(message.target.clone());
                let door = door.or_insert_with(|| Door(Arc::new(Semaphore::new(0)))).clone();
                Told::Full { message, door }
            }
        }
    }

    /// Opens the door of `instance` for all waiting clients.
    pub(crate) fn open(&self, instance: &InstanceId) {
        if let Some((_, door)) = self.doors.remove(instance) {
            contained(|| door.0.close());
        }
    }

    /// Opens all doors because the hub ends.
    pub(crate) fn open_all(&self) {
        self.doors.retain(|_, door| {
            contained(|| door.0.close());
            false
        });
    }
}
