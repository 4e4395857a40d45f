//! Room: clients that found an instance's queue full wait here until it has shrunk.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Semaphore;

use crate::engine::message::{Message, Settled};
use crate::failure::CallFailure;
use crate::id::InstanceId;
use crate::runtime::contained::contained;

/// What a client hears.
#[derive(Debug)]
pub(crate) enum Told {
    /// The operation's answer, as JSON.
    Answer(Vec<u8>),
    /// The message is durable.
    Accepted,
    /// There is no answer. Boxed, because it is rare and large.
    Failed(Box<CallFailure>),
    /// The queue is full: send the message again when the door has opened.
    Full { message: Box<Message>, door: Door },
}

/// Opens when there is room.
#[derive(Clone, Debug)]
pub(crate) struct Door(Arc<Semaphore>);

impl Door {
    /// Waits until the door opens. One that is open already stays open.
    pub(crate) async fn opened(&self) {
        // Nothing ever adds a permit: the only way out is that the semaphore is closed.
        let _ = self.0.acquire().await;
    }
}

/// The doors of the instances whose queues are full.
#[derive(Debug, Default)]
pub(crate) struct Room {
    doors: DashMap<InstanceId, Door>,
}

impl Room {
    /// What a client hears of `settled`.
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

    /// Lets everyone in who waits for `instance`.
    pub(crate) fn open(&self, instance: &InstanceId) {
        if let Some((_, door)) = self.doors.remove(instance) {
            contained(|| door.0.close());
        }
    }

    /// Lets everyone go, because the hub ends.
    pub(crate) fn open_all(&self) {
        self.doors.retain(|_, door| {
            contained(|| door.0.close());
            false
        });
    }
}
