//! Backpressure: clients that found the queue of an instance full wait here until it has shrunk.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Semaphore;

use crate::engine::message;
use crate::id::InstanceId;
use crate::runtime::contained::contained;

/// The response to a client. The door is where it waits before it sends the message again.
pub(crate) type Response = message::Response<CapacityWaiter>;

/// A door that opens when there is room.
#[derive(Clone, Debug)]
pub(crate) struct CapacityWaiter(Arc<Semaphore>);

impl CapacityWaiter {
    /// Returns `true` if the door is open.
    #[cfg(test)]
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_closed()
    }

    /// Returns a door that is open.
    pub(crate) fn open() -> Self {
        let door = Self(Arc::new(Semaphore::new(0)));
        door.0.close();
        door
    }

    /// Waits until the door opens. An open door remains open.
    pub(crate) async fn opened(&self) {
        // The semaphore never has permits, so the wait ends only when the semaphore is closed.
        let _ = self.0.acquire().await;
    }
}

/// The doors of the instances whose queues are full.
#[derive(Debug, Default)]
pub(crate) struct Backpressure {
    doors: DashMap<InstanceId, CapacityWaiter>,
}

impl Backpressure {
    /// Returns the response that a client receives.
    pub(crate) fn respond(&self, response: message::Response) -> Response {
        response.at_door(|instance| {
            let door = self.doors.entry(instance.clone());
            door.or_insert_with(|| CapacityWaiter(Arc::new(Semaphore::new(0))))
                .clone()
        })
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
